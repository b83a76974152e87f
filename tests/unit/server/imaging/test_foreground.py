"""The subject's own colour in half transparent pixels."""

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alphacut_server.imaging.foreground import SOLID_ALPHA, free_colours
from support.pictures import disc_alpha, noise, photo, photo_of_size

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


def soft_disc(height: int, width: int, softness: float) -> U8:
    """Blur a disc's alpha: opaque in the middle, a wide soft band around it."""
    return np.asarray(cv2.GaussianBlur(disc_alpha(height, width, radius=0.35), (0, 0), softness), np.uint8)


def ramp(height: int, width: int, *, from_rgb: tuple[int, int, int], to_rgb: tuple[int, int, int]) -> F32:
    """Make a picture whose colour changes from left to right: (height, width, 3) float32."""
    share = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    colours = np.array(from_rgb, np.float32) * (1 - share) + np.array(to_rgb, np.float32) * share
    return np.asarray(np.broadcast_to(colours, (height, width, 3)), np.float32)


def mixed(front: F32, back: F32, alpha: U8) -> U8:
    """Lay one over the other: (H, W, 3) uint8."""
    share = alpha[..., None].astype(np.float32) / 255
    return np.asarray(np.rint(share * front + (1 - share) * back), np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 9),
    kind=st.sampled_from(["noise", "soft", "faint", "nearly solid", "hard"]),
)
def test_only_half_transparent_pixels_change(size: tuple[int, int], seed: int, kind: str) -> None:
    """For any picture and alpha: the rest is the input's to the byte, inputs stay as they are, twice gives the same."""
    height, width = size
    rgb = noise(height, width, seed=seed)
    alphas = {
        "noise": noise(height, width, seed=seed + 100)[..., 0].copy(),
        "soft": soft_disc(height, width, 3.0),
        "faint": np.full(size, 1, np.uint8),
        "nearly solid": np.full(size, SOLID_ALPHA - 1, np.uint8),
        "hard": disc_alpha(height, width, radius=0.3),
    }
    alpha = alphas[kind]
    rgb_before, alpha_before = rgb.copy(), alpha.copy()

    freed = free_colours(rgb, alpha)

    kept = (alpha == 0) | (alpha >= SOLID_ALPHA)
    assert freed.shape == rgb.shape
    assert freed.dtype == np.uint8
    assert np.array_equal(freed[kept], rgb[kept])
    assert np.array_equal(freed, free_colours(rgb, alpha))
    assert np.array_equal(rgb, rgb_before)
    assert np.array_equal(alpha, alpha_before)


@pytest.mark.parametrize("softness", [1.0, 3.0, 5.0])
@pytest.mark.parametrize(("height", "width"), [(240, 320), (321, 243), (90, 500)])
def test_a_known_mixture_is_taken_apart(height: int, width: int, softness: float) -> None:
    """Smooth colours over a smooth background, the alpha known: the mean error falls to a few levels, under a fifth."""
    front = ramp(height, width, from_rgb=(220, 60, 30), to_rgb=(150, 120, 20))
    back = ramp(height, width, from_rgb=(20, 60, 200), to_rgb=(60, 220, 180))
    alpha = soft_disc(height, width, softness)
    rgb = mixed(front, back, alpha)

    freed = free_colours(rgb, alpha)

    band = (alpha > 5) & (alpha < SOLID_ALPHA)
    before = np.abs(rgb - front)[band].mean()
    after = np.abs(freed - front)[band].mean()
    assert after < 5
    assert after < before / 5


def test_a_photo_over_a_photo_loses_most_of_its_halo() -> None:
    """With textures on both sides the composite over white comes closer to the true one by half."""
    front = photo_of_size(300, 400).astype(np.float32)
    back = photo_of_size(300, 400, "rocket.jpg").astype(np.float32)
    alpha = soft_disc(300, 400, 5.0)
    rgb = mixed(front, back, alpha)

    freed = free_colours(rgb, alpha)

    white = np.full_like(front, 255)
    truth = mixed(front, white, alpha).astype(np.float32)
    band = (alpha > 5) & (alpha < 250)
    before = np.abs(mixed(rgb.astype(np.float32), white, alpha) - truth)[band].mean()
    after = np.abs(mixed(freed.astype(np.float32), white, alpha) - truth)[band].mean()
    assert after < before / 2


@pytest.mark.parametrize("value", [0, SOLID_ALPHA, 255])
def test_without_soft_pixels_the_picture_comes_back_itself(value: int) -> None:
    """Nothing is copied, let alone computed."""
    rgb = photo()

    assert free_colours(rgb, np.full(rgb.shape[:2], value, np.uint8)) is rgb


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (2, 3), (5, 600)])
@pytest.mark.parametrize("value", [1, 128, SOLID_ALPHA - 1])
def test_an_even_colour_stays(height: int, width: int, value: int) -> None:
    """Subject and background of one colour: nothing to free, at any size, up to the border."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[...] = (40, 180, 90)

    freed = free_colours(rgb, np.full((height, width), value, np.uint8))

    assert np.abs(freed.astype(int) - rgb).max() <= 1


def test_what_is_far_from_the_band_has_no_say() -> None:
    """Work is bounded by the box around the band and its margin: another picture outside gives the same colours."""
    alpha = np.zeros((200, 300), np.uint8)
    alpha[90:110, 140:160] = 255
    alpha = np.asarray(cv2.GaussianBlur(alpha, (9, 9), 2.0), np.uint8)
    rgb = photo_of_size(200, 300)
    other = 255 - rgb
    other[60:140, 110:190] = rgb[60:140, 110:190]
    band = (alpha > 0) & (alpha < SOLID_ALPHA)

    assert np.array_equal(free_colours(rgb, alpha)[band], free_colours(other, alpha)[band])


def test_strips_leave_no_seams() -> None:
    """The picture is worked on in strips: where everything is smooth, rows on both sides of their ends are as alike as others."""
    front = ramp(256, 256, from_rgb=(200, 40, 40), to_rgb=(120, 90, 40))
    back = ramp(256, 256, from_rgb=(30, 60, 160), to_rgb=(90, 160, 200))
    share = np.linspace(20, 235, 256, dtype=np.float32)
    alpha = np.asarray(np.rint(np.broadcast_to(share, (256, 256))), np.uint8)

    freed = free_colours(mixed(front, back, alpha), alpha).astype(int)

    assert np.abs(np.diff(freed, axis=0)).max() <= 2


@pytest.mark.parametrize("kind", ["band", "all"])
def test_memory_stays_within_twelve_bytes_a_pixel(kind: str) -> None:
    """The result included, also when every pixel is half transparent."""
    rgb = photo_of_size(768, 1024)
    alpha = soft_disc(768, 1024, 8.0) if kind == "band" else np.full((768, 1024), 128, np.uint8)
    free_colours(rgb[:64, :64].copy(), alpha[:64, :64].copy())
    tracemalloc.start()
    try:
        free_colours(rgb, alpha)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert 3 * alpha.size < peak_bytes < 12 * alpha.size


def test_sizes_must_agree() -> None:
    """A picture with another one's alpha is a bug of ours."""
    with pytest.raises(ValueError, match="alpha"):
        free_colours(photo_of_size(20, 30), np.zeros((30, 20), np.uint8))
