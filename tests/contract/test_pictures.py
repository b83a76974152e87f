"""The picture in the answer: file format, colours, transparency, mask."""

import struct
from dataclasses import dataclass

import numpy as np
import pytest

from support.images import KnownPicture, read_png
from support.pictures import PNG_SIGNATURE, gradient, jpeg_bytes, photo, png_bytes
from support.rest import RESULTS, RestService, image_part

GREY, RGBA = 0, 6
NOT_INTERLACED = 0


@dataclass(frozen=True, slots=True)
class PngHeader:
    """The IHDR chunk, which no decoder has touched."""

    width: int
    height: int
    bits: int
    colour: int
    interlace: int


def read_header(content: bytes) -> PngHeader:
    """Read it."""
    assert content.startswith(PNG_SIGNATURE + b"\0\0\0\rIHDR")
    width, height, bits, colour, _, _, interlace = struct.unpack(">IIBBBBB", content[16:29])
    return PngHeader(width, height, bits, colour, interlace)


@pytest.mark.parametrize("mode", ["fg-image", "fg-image-shadow"])
def test_an_image_is_a_plain_rgba_png(rest: RestService, picture: KnownPicture, mode: str) -> None:
    """Eight bits, four channels, not interlaced, as large as the input."""
    result = rest.post(image_part(picture.content), path=f"{RESULTS}?mode={mode}").result

    assert read_header(result.image) == PngHeader(128, 96, 8, RGBA, NOT_INTERLACED)


def test_a_mask_is_a_plain_grey_png(rest: RestService, picture: KnownPicture) -> None:
    """Eight bits, one channel, not interlaced, as large as the input."""
    result = rest.post(image_part(picture.content), path=f"{RESULTS}?mode=fg-mask").result

    assert read_header(result.image) == PngHeader(128, 96, 8, GREY, NOT_INTERLACED)


def test_foreground_keeps_its_colours(rest: RestService, picture: KnownPicture) -> None:
    """Pixels that are wholly foreground are the input's, and they reach 255."""
    cut = read_png(rest.post(image_part(picture.content)).result.image)

    opaque = cut[..., 3] == 255
    assert opaque.any()
    assert np.array_equal(cut[..., 3], picture.alpha)
    assert np.array_equal(cut[opaque][:, :3], picture.rgb[opaque])


@pytest.mark.parametrize("mode", ["fg-image", "fg-image-shadow"])
def test_what_is_transparent_has_no_colour(rest: RestService, picture: KnownPicture, mode: str) -> None:
    """The background is transparent, and no trace of it is left in the RGB beneath."""
    cut = read_png(rest.post(image_part(picture.content), path=f"{RESULTS}?mode={mode}").result.image)

    clear = cut[..., 3] == 0
    assert clear.any()
    assert not cut[clear].any()


def test_borders_are_semi_transparent(rest: RestService, picture: KnownPicture) -> None:
    """Between foreground and background lie other values than 0 and 255."""
    alpha = read_png(rest.post(image_part(picture.content)).result.image)[..., 3]

    assert len(np.unique(alpha)) > 2


def test_the_mask_is_the_image_s_alpha(rest: RestService, picture: KnownPicture) -> None:
    """White is foreground, black background, grey what lies between: exactly the alpha of fg-image."""
    cut = read_png(rest.post(image_part(picture.content)).result.image)
    mask = read_png(rest.post(image_part(picture.content), path=f"{RESULTS}?mode=fg-mask").result.image)

    assert np.array_equal(mask, cut[..., 3])
    assert (mask.min(), mask.max()) == (0, 255)


def test_a_shadow_lies_below_the_foreground(rest: RestService, picture: KnownPicture) -> None:
    """What is wholly foreground is untouched, alpha only grows, and somewhere there is shadow."""
    plain = read_png(rest.post(image_part(picture.content)).result.image)
    shaded = read_png(
        rest.post(image_part(picture.content), path=f"{RESULTS}?mode=fg-image-shadow").result.image
    )

    opaque = plain[..., 3] == 255
    assert np.array_equal(shaded[opaque], plain[opaque])
    assert (shaded[..., 3] >= plain[..., 3]).all()
    assert (shaded[..., 3] > plain[..., 3]).any()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(jpeg_bytes(gradient(60, 80)[..., 0]), id="grey JPEG"),
        pytest.param(jpeg_bytes(gradient(60, 80), progressive=True), id="progressive JPEG"),
        pytest.param(png_bytes(gradient(60, 80)[..., 0]), id="grey PNG"),
        pytest.param(png_bytes(gradient(60, 80)), id="RGB PNG"),
        pytest.param(png_bytes(gradient(60, 80)[..., [0, 1, 2, 1]]), id="PNG with transparency"),
        pytest.param(
            png_bytes(
                gradient(60, 80)[..., 0] // np.uint8(16), bits=4, palette=gradient(4, 4).reshape(16, 3)
            ),
            id="palette PNG",
        ),
        pytest.param(png_bytes(gradient(60, 80), interlaced=True), id="interlaced PNG"),
    ],
)
def test_every_kind_of_the_two_types_gives_rgba(rest: RestService, content: bytes) -> None:
    """With or without transparency, grey or in colour: the answer's format is always the same."""
    result = rest.post(image_part(content)).result

    assert result.code == "ok"
    assert read_header(result.image) == PngHeader(80, 60, 8, RGBA, NOT_INTERLACED)


def test_what_came_in_transparent_stays_so(rest: RestService) -> None:
    """A PNG's own transparency is never filled."""
    half = np.dstack([gradient(60, 80), np.full((60, 80), 255, np.uint8)])
    half[:, :40, 3] = 0

    cut = read_png(rest.post(image_part(png_bytes(half))).result.image)

    assert not cut[:, :40].any()
    assert cut[:, 40:, 3].any()


@pytest.mark.weights
@pytest.mark.slow
def test_a_real_photo_is_cut(cut_rest: RestService) -> None:
    """A cup on a table: kept in the middle with its own colours, gone in the corners, by one box around it."""
    content = png_bytes(photo("coffee.png"))

    result = cut_rest.post(image_part(content, "coffee.png")).result
    mask = read_png(cut_rest.post(image_part(content), path=f"{RESULTS}?mode=fg-mask").result.image)

    cut = read_png(result.image)
    opaque = cut[..., 3] == 255
    assert np.array_equal(mask, cut[..., 3])
    assert 0.2 < opaque.mean() < 0.8
    assert opaque[200, 300]
    assert not cut[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert np.array_equal(cut[opaque][:, :3], photo("coffee.png")[opaque])
    (box,) = result.boxes
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert box == (
        columns[0] / 600,
        rows[0] / 400,
        (columns[-1] + 1 - columns[0]) / 600,
        (rows[-1] + 1 - rows[0]) / 400,
    )
