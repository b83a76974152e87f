"""The way to sRGB."""

import numpy as np
import pytest

from alphacut_server.imaging.colour import convert_in_place, find_transform
from support.pictures import photo_of_size
from support.profiles import cmyk_profile, grey_profile, rgb_profile, srgb_profile


@pytest.mark.parametrize(
    ("profile", "mode"),
    [
        (None, "RGB"),
        (b"", "RGB"),
        (b"x" * 5000, "RGB"),
        (rgb_profile()[:150], "RGB"),
        (srgb_profile(), "RGB"),
        (srgb_profile(), "L"),
        (cmyk_profile(), "RGB"),
        (grey_profile(), "RGB"),
        (rgb_profile(), "CMYK"),
    ],
    ids=[
        "none",
        "empty",
        "garbage",
        "cut",
        "sRGB",
        "sRGB on grey",
        "CMYK on RGB",
        "grey on RGB",
        "RGB on CMYK",
    ],
)
def test_nothing_to_do(profile: bytes | None, mode: str) -> None:
    """No profile, a broken or unfitting one, and sRGB itself need no transform."""
    assert find_transform(profile, mode) is None


@pytest.mark.parametrize(
    ("profile", "mode", "applied"),
    [
        (rgb_profile(), "RGB", "RGB"),
        (rgb_profile(gamma=1.0), "L", "RGB"),
        (grey_profile(), "L", "L"),
        (cmyk_profile(), "CMYK", "CMYK"),
    ],
)
def test_fitting_profile_gives_a_transform(profile: bytes, mode: str, applied: str) -> None:
    """Profiles of the picture's kind are used, and an RGB one on grey too."""
    transform = find_transform(profile, mode)

    assert transform is not None
    assert transform.mode == applied


def test_neutral_colours_stay_neutral() -> None:
    """Black, white and a grey axis are kept by relative colorimetric conversion."""
    transform = find_transform(rgb_profile(), "RGB")
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2).copy()

    assert transform is not None
    convert_in_place(greys, transform)

    assert np.ptp(greys[0].astype(int), axis=1).max() <= 3
    assert greys[0, 0].max() <= 1
    assert greys[0, 255].min() >= 254


def test_bands_equal_the_whole() -> None:
    """A picture of several bands is converted as its rows are one by one."""
    transform = find_transform(rgb_profile(), "RGB")
    rgb = photo_of_size(520, 40)
    rows = [row[None].copy() for row in rgb]

    assert transform is not None
    convert_in_place(rgb, transform)
    for row in rows:
        convert_in_place(row, transform)

    assert np.array_equal(rgb, np.concatenate(rows))
