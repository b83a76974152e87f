"""Pixels to bytes, in the three formats that are written; read back by Pillow."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from alphacut_server.imaging.compose import compose_cutout
from alphacut_server.imaging.encode import (
    MAX_WEBP_SIDE_PX,
    OutputFormat,
    encode,
    encode_jpeg,
    encode_png,
    encode_webp,
)
from support.pictures import disc_alpha, noise, photo, png_chunk

U8 = NDArray[np.uint8]

ENCODERS = (encode_png, encode_webp, encode_jpeg)


def opened(content: bytes) -> Image.Image:
    """Open a file."""
    return Image.open(io.BytesIO(content))


def cut_photo() -> U8:
    """Return a photo cut to a soft ellipse, RGBA."""
    return compose_cutout(photo(), disc_alpha(400, 600))


def psnr(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the peak signal-to-noise ratio of 8-bit values, dB."""
    return float(10 * np.log10(255**2 / np.mean((one - other) ** 2)))


@given(st.sampled_from([1, 4]), st.integers(1, 40), st.integers(1, 40), st.data())
@settings(max_examples=60, deadline=None)
def test_a_png_round_trips_exactly(channels: int, height: int, width: int, data: st.DataObject) -> None:
    """Whatever the pixels are."""
    shape = (height, width) if channels == 1 else (height, width, 4)
    pixels = data.draw(hnp.arrays(np.uint8, shape))

    image = opened(encode_png(pixels))

    assert image.mode == ("L" if channels == 1 else "RGBA")
    assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(("channels", "colour"), [(1, 0), (4, 6)])
def test_a_png_has_the_promised_form(channels: int, colour: int) -> None:
    """Masks are 8-bit colour type 0, cut-outs 8-bit colour type 6 marked as sRGB, neither interlaced."""
    pixels = noise(33, 44, channels)

    encoded = encode_png(pixels[..., 0] if channels == 1 else pixels)

    assert struct.unpack(">IIBBBBB", encoded[16:29]) == (44, 33, 8, colour, 0, 0, 0)
    assert (encoded[33:46] == png_chunk(b"sRGB", b"\0")) is (channels == 4)


def test_a_webp_keeps_alpha_exactly_and_colours_closely() -> None:
    """At a fifth of the PNG's size or less."""
    pixels = cut_photo()

    content = encode_webp(pixels)

    image = opened(content)
    assert (image.format, image.mode, image.size) == ("WEBP", "RGBA", (600, 400))
    read = np.asarray(image)
    assert np.array_equal(read[..., 3], pixels[..., 3])
    seen = pixels[..., 3] > 0
    assert psnr(read[seen][:, :3].astype(float), pixels[seen][:, :3].astype(float)) > 36
    assert len(content) * 5 < len(encode_png(pixels))


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_a_webp_s_mask_is_exact(mask: U8) -> None:
    """Its numbers are opacity, so none may change; a WebP has no grey, so there are three equal channels."""
    image = opened(encode_webp(mask))

    assert image.format == "WEBP"
    assert np.array_equal(np.asarray(image.convert("RGB")), np.repeat(mask[..., None], 3, axis=2))


def test_an_opaque_webp_has_no_alpha() -> None:
    """Nothing is stored for nothing."""
    pixels = np.dstack([photo(), np.full((400, 600), 255, np.uint8)])

    assert opened(encode_webp(pixels)).mode == "RGB"


def test_a_webp_is_not_larger_than_the_format_allows() -> None:
    """The pipeline refuses such a picture before; here it is a bug."""
    with pytest.raises(ValueError, match="16383"):
        encode_webp(np.zeros((1, MAX_WEBP_SIDE_PX + 1), np.uint8))

    assert opened(encode_webp(np.zeros((1, MAX_WEBP_SIDE_PX), np.uint8))).size == (MAX_WEBP_SIDE_PX, 1)


def test_a_jpeg_keeps_colours_at_full_resolution() -> None:
    """Coloured edges over a flat background stay sharp: one sampling factor for all channels."""
    pixels = np.dstack([photo(), np.full((400, 600), 255, np.uint8)])

    image = opened(encode_jpeg(pixels))

    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (600, 400))
    assert {layer[1:3] for layer in image.layer} == {(1, 1)}  # type: ignore[attr-defined]  # of Pillow's JPEG class
    assert psnr(np.asarray(image).astype(float), pixels[..., :3].astype(float)) > 35


def test_a_jpeg_s_mask_is_grey() -> None:
    """One channel, as in the PNG."""
    mask = disc_alpha(60, 80)

    image = opened(encode_jpeg(mask))

    assert (image.format, image.mode) == ("JPEG", "L")
    assert np.abs(np.asarray(image).astype(int) - mask).max() < 12


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_part_of_a_picture_is_encoded_as_its_copy_is(encoder: Callable[[U8], bytes], channels: int) -> None:
    """A crop is a view; the bytes are the same, also the second time, and the pixels are not written to."""
    whole = noise(30, 40, channels)
    whole = whole[..., 0] if channels == 1 else whole
    before = whole.copy()
    part = whole[3:25, 7:30]

    encoded = encoder(part)

    assert encoded == encoder(part.copy())
    assert np.array_equal(whole, before)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint16), np.zeros(4, np.uint8)], ids=str
)
def test_other_arrays_are_refused(encoder: Callable[[U8], bytes], pixels: U8) -> None:
    """Anything but grey and RGBA of 8 bits is a bug, and said so."""
    with pytest.raises(ValueError, match="pixels"):
        encoder(pixels)


@pytest.mark.parametrize("output_format", OutputFormat)
def test_every_format_has_its_encoder(output_format: OutputFormat) -> None:
    """The file is of the kind that was asked for."""
    image = opened(encode(cut_photo(), output_format))

    assert image.format == output_format.name
