"""JPEGs of every kind people send, and those nobody should."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from alphacut_server.errors import CorruptImage, ResolutionTooBig
from alphacut_server.imaging.codec import Picture, decode
from alphacut_server.imaging.probe import probe_header
from support.pictures import (
    gradient,
    insert_after_soi,
    jpeg_bytes,
    jpeg_segment,
    noise,
    photo,
    photo_of_size,
    stored_as,
)
from support.profiles import cmyk_profile, grey_profile, rgb_profile, srgb_profile

U8 = NDArray[np.uint8]


def read(content: bytes) -> Picture:
    """Probe and decode."""
    return decode(content, probe_header(content, 4096))


def distance(one: U8, other: U8) -> float:
    """Mean absolute difference in levels."""
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


def pillow_rgb(content: bytes) -> U8:
    """Decode with Pillow, the reference."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("restart_blocks", [0, 5])
def test_rgb_kinds_decode_to_the_photo(progressive: bool, subsampling: int, restart_blocks: int) -> None:
    """Baseline and progressive, every subsampling, with and without restart markers."""
    content = jpeg_bytes(
        quality=95, progressive=progressive, subsampling=subsampling, restart_blocks=restart_blocks
    )

    picture = read(content)

    assert picture.alpha is None
    assert picture.rgb.flags.c_contiguous
    assert distance(picture.rgb, photo()) < 4


def test_decoding_agrees_with_pillow() -> None:
    """The fast decoder gives what the reference decoder gives, but for rounding."""
    content = jpeg_bytes()

    assert distance(read(content).rgb, pillow_rgb(content)) < 0.5


def test_grey_becomes_three_equal_channels() -> None:
    """A grey JPEG is RGB afterwards."""
    grey = photo()[..., 1]

    rgb = read(jpeg_bytes(grey)).rgb

    assert np.ptp(rgb, axis=2).max() == 0
    assert distance(rgb[..., 0], grey) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_agree(orientation: int) -> None:
    """However the camera was held, the picture comes out the same."""
    upright = photo_of_size(48, 80)

    rgb = read(
        jpeg_bytes(stored_as(upright, orientation), quality=97, subsampling=0, orientation=orientation)
    ).rgb

    assert rgb.shape == upright.shape
    assert rgb.flags.c_contiguous
    assert distance(rgb, upright) < 3


@pytest.mark.parametrize("subsampling", [0, 2])
def test_cmyk_inks_darken(subsampling: int) -> None:
    """CMYK as Adobe writes it: each ink takes its colour away, black takes all."""
    inks = np.zeros((16, 64, 4), np.uint8)
    for index in range(4):
        inks[:, 16 * index : 16 * index + 16, index] = 255

    rgb = read(jpeg_bytes(inks, quality=100, subsampling=subsampling, cmyk=True)).rgb

    expected = np.array([[0, 255, 255], [255, 0, 255], [255, 255, 0], [0, 0, 0]], np.uint8)
    assert distance(rgb[8, [6, 22, 38, 56]], expected) < 12


def test_ycck_is_read() -> None:
    """The YCC form of CMYK (Adobe transform 2) gives what Pillow gives."""
    plain = jpeg_bytes(noise(16, 16, 4) // 2, quality=100, subsampling=0, cmyk=True)
    at = plain.index(b"Adobe")
    ycck = plain[: at + 11] + b"\x02" + plain[at + 12 :]

    rgb = read(ycck).rgb

    assert np.array_equal(rgb, pillow_rgb(ycck))
    assert not np.array_equal(rgb, read(plain).rgb)


def test_odd_subsampling_is_read() -> None:
    """Sampling factors that the fast decoder does not know go to the other one."""
    inks = np.dstack([photo(), np.zeros((400, 600), np.uint8)])

    rgb = read(jpeg_bytes(inks, cmyk=True, subsampling=2)).rgb

    assert distance(rgb, 255 - photo()) < 8


def test_wide_gamut_profile_changes_colours() -> None:
    """Adobe RGB numbers are brought to sRGB: a green of it is greener there."""
    stored = np.full((16, 16, 3), (100, 180, 100), np.uint8)
    content = jpeg_bytes(stored, quality=100, subsampling=0, icc=rgb_profile())

    red, green, blue = read(content).rgb[8, 8].tolist()

    assert green >= 180
    assert red < 80
    assert blue <= 100


def test_srgb_profile_changes_nothing() -> None:
    """A profile that is sRGB leaves the decoded bytes alone."""
    plain, tagged = (read(jpeg_bytes(icc=icc)).rgb for icc in (None, srgb_profile()))

    assert np.array_equal(plain, tagged)


def test_grey_profile_is_used() -> None:
    """A grey profile of linear light makes the middle brighter in sRGB."""
    content = jpeg_bytes(np.full((16, 16), 128, np.uint8), icc=grey_profile(gamma=1.0))

    rgb = read(content).rgb

    assert 183 <= rgb.min() <= rgb.max() <= 192


def test_cmyk_profile_is_used() -> None:
    """With a profile that makes every ink grey, pure cyan comes out grey."""
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[..., 0] = 255

    rgb = read(jpeg_bytes(inks, quality=100, cmyk=True, icc=cmyk_profile())).rgb

    assert np.ptp(rgb[8, 8].astype(int)) <= 6
    assert 20 < rgb[8, 8, 0] < 235


@pytest.mark.parametrize(
    "profile", [b"", b"garbage", rgb_profile()[:200], cmyk_profile(), rgb_profile() * 3000]
)
def test_useless_profile_is_ignored(profile: bytes) -> None:
    """A broken profile, or one for another kind of picture, never fails the picture."""
    stored = gradient(24, 40)

    rgb = read(jpeg_bytes(stored, icc=profile)).rgb

    assert rgb.shape == stored.shape


def test_incomplete_profile_pieces_are_ignored() -> None:
    """Profile pieces of which one is missing count as no profile."""
    plain = jpeg_bytes(gradient(24, 40))
    piece = jpeg_segment(0xE2, b"ICC_PROFILE\0\x02\x02" + rgb_profile())

    assert np.array_equal(read(insert_after_soi(plain, piece)).rgb, read(plain).rgb)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("cmyk", [False, True])
def test_truncated_scan_is_refused(progressive: bool, kept: float, cmyk: bool) -> None:
    """A JPEG cut in the middle of its scans is refused, not filled up with grey."""
    pixels = noise(64, 64, 4 if cmyk else 3)
    content = jpeg_bytes(pixels, progressive=progressive, cmyk=cmyk)
    scan = content.index(b"\xff\xda") + 20
    cut = content[: scan + int((len(content) - scan - 8) * kept)]

    with pytest.raises(CorruptImage):
        read(cut)


def test_missing_end_is_refused() -> None:
    """A JPEG that lacks only its last bytes is cut short too."""
    with pytest.raises(CorruptImage):
        read(jpeg_bytes()[:-2])


def test_scan_ended_early_is_refused() -> None:
    """An end marker in the middle of the picture does not make it whole."""
    content = jpeg_bytes()

    with pytest.raises(CorruptImage):
        read(content[: len(content) // 2] + b"\xff\xd9")


def test_bytes_behind_the_end_are_ignored() -> None:
    """Phones append videos; nothing behind the end marker counts."""
    content = jpeg_bytes()

    assert np.array_equal(read(content + noise(50, 50).tobytes()).rgb, read(content).rgb)


@pytest.mark.parametrize(
    "extra",
    [jpeg_segment(0xFE, b"x") + b"\0\0\0", jpeg_segment(0xE0, b"JFIF\0\x09\x01\0\0\x01\0\x01\0\0")],
    ids=["stray bytes", "odd JFIF"],
)
def test_harmless_oddities_are_tolerated(extra: bytes) -> None:
    """What costs no pixel fails no picture."""
    content = jpeg_bytes()

    assert distance(read(insert_after_soi(content, extra)).rgb, read(content).rgb) < 0.5


def test_too_many_scans_are_refused() -> None:
    """A progressive JPEG of thousands of scans, each a pass over the whole picture, is refused before decoding."""
    content = jpeg_bytes(gradient(64, 64), progressive=True)
    at = content.rindex(b"\xff\xda")
    bomb = content[:at] + content[at:-2] * 2000 + content[-2:]

    with pytest.raises(CorruptImage, match="scans"):
        read(bomb)


def test_scan_markers_behind_the_end_do_not_count() -> None:
    """Appended data may look like scans without harm."""
    content = jpeg_bytes(gradient(64, 64), progressive=True) + b"\xff\xda" * 500

    assert read(content).rgb.shape == (64, 64, 3)


def test_size_change_between_probe_and_decoder_is_refused() -> None:
    """A header that says another size than the one admitted is refused before its pixels are allocated."""
    content = jpeg_bytes(gradient(40, 40))
    other = jpeg_bytes(gradient(400, 400))

    with pytest.raises(CorruptImage):
        decode(other, probe_header(content, 4096))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5000), st.integers(0, 255), st.booleans())
def test_damaged_bytes_give_a_picture_or_a_refusal(position: int, value: int, cmyk: bool) -> None:
    """Whatever byte is damaged, the answer is a picture of the header's size or CorruptImage."""
    content = bytearray(jpeg_bytes(photo_of_size(40, 64) if not cmyk else noise(40, 64, 4), cmyk=cmyk))
    content[position % len(content)] = value

    try:
        header = probe_header(bytes(content), 200)
        picture = decode(bytes(content), header)
    except (CorruptImage, ResolutionTooBig):
        return

    assert picture.rgb.shape == (header.upright_height_px, header.upright_width_px, 3)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4000))
def test_every_truncation_is_refused(cut: int) -> None:
    """However many bytes are missing at the end, the picture is refused."""
    content = jpeg_bytes(photo_of_size(40, 64))

    with pytest.raises(CorruptImage):
        read(content[: max(0, len(content) - cut)])


def test_odd_rows_across_bands_are_complete() -> None:
    """A picture higher than one working band and not a multiple of it is converted to its last row."""
    stored = photo_of_size(515, 33)
    content = jpeg_bytes(
        255 - np.dstack([stored, np.full(stored.shape[:2], 255, np.uint8)]), cmyk=True, subsampling=0
    )

    rgb = read(content).rgb

    assert np.array_equal(rgb, pillow_rgb(content))
