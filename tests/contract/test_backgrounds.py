"""Backgrounds: centred at their own scale, transparent where they do not reach, ignored for masks."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from support.images import KnownPicture, read_png
from support.pictures import gradient, jpeg_bytes, noise, png_bytes, undecodable_png
from support.rest import RESULTS, Part, PictureSite, RestService, image_part, text_part

HEIGHT, WIDTH = 96, 128
NOT_LOADABLE = ("failure", "Can not load background image.")


def background_part(content: bytes) -> Part:
    """Make the part of a background."""
    return Part("image-bg", content, "bg.png", "image/png")


def blend(rest: RestService, picture: KnownPicture, background: bytes, query: str = "") -> NDArray[np.uint8]:
    """Return the pixels of an answer with a background."""
    reply = rest.post(image_part(picture.content), background_part(background), path=RESULTS + query)
    return read_png(reply.result.image)


@pytest.mark.parametrize(
    ("height", "width"),
    [(HEIGHT, WIDTH), (200, 300), (40, 60), (40, 300), (200, 60), (1, 1)],
    ids=["same size", "larger", "smaller", "wide", "tall", "a pixel"],
)
def test_a_background_is_centred_at_its_own_scale(
    rest: RestService, picture: KnownPicture, height: int, width: int
) -> None:
    """What is too large is cropped by the canvas; where it does not reach, the result stays transparent."""
    behind = noise(height, width, seed=height)
    canvas = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    top, left = (HEIGHT - height) // 2, (WIDTH - width) // 2
    rows = slice(max(0, top), min(HEIGHT, top + height))
    columns = slice(max(0, left), min(WIDTH, left + width))
    canvas[rows, columns, :3] = behind[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    canvas[rows, columns, 3] = 255

    blended = blend(rest, picture, png_bytes(behind))

    clear, opaque = picture.alpha == 0, picture.alpha == 255
    assert blended.shape == (HEIGHT, WIDTH, 4)
    assert np.array_equal(blended[clear], canvas[clear])
    assert np.array_equal(blended[opaque][:, :3], picture.rgb[opaque])
    assert (blended[opaque][:, 3] == 255).all()


def test_a_background_shows_through_soft_borders(rest: RestService, picture: KnownPicture) -> None:
    """Over an opaque background nothing is transparent, and a border pixel lies between both colours."""
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)

    blended = blend(rest, picture, png_bytes(white)).astype(int)

    soft = (picture.alpha > 0) & (picture.alpha < 255)
    assert soft.any()
    assert (blended[..., 3] == 255).all()
    assert (blended[soft][:, :3] >= picture.rgb[soft].astype(int) - 1).all()


def test_a_background_may_be_transparent_itself(rest: RestService, picture: KnownPicture) -> None:
    """Beside the subject its alpha is kept, and alpha adds up as one layer over another."""
    behind = np.dstack([gradient(HEIGHT, WIDTH), np.full((HEIGHT, WIDTH), 100, np.uint8)])

    blended = blend(rest, picture, png_bytes(behind))

    over = picture.alpha + (255.0 - picture.alpha) * 100 / 255
    assert np.abs(blended[..., 3] - over).max() <= 1
    assert np.array_equal(blended[picture.alpha == 0], behind[picture.alpha == 0])


@pytest.mark.parametrize("mode", ["fg-image", "fg-image-shadow"])
def test_a_background_changes_neither_name_nor_box(
    rest: RestService, picture: KnownPicture, mode: str
) -> None:
    """Size, entity name, box and MD5 are the main picture's, as without a background."""
    path = f"{RESULTS}?mode={mode}"
    background = background_part(png_bytes(noise(300, 50)))

    plain = json.loads(rest.post(image_part(picture.content), path=path).body)
    blended = json.loads(rest.post(image_part(picture.content), background, path=path).body)

    assert blended["results"][0]["entities"][0].pop("image") != plain["results"][0]["entities"][0].pop(
        "image"
    )
    assert blended == plain


def test_a_shadow_falls_on_the_background(rest: RestService, picture: KnownPicture) -> None:
    """Beside the subject the background is as bright or darker, and somewhere darker."""
    white = png_bytes(np.full((HEIGHT, WIDTH, 3), 255, np.uint8))

    blended = blend(rest, picture, white, "?mode=fg-image-shadow")

    ground = blended[picture.alpha == 0]
    assert (ground[:, 3] == 255).all()
    assert ground[:, :3].min() < 250
    assert np.array_equal(blended[picture.alpha == 255][:, :3], picture.rgb[picture.alpha == 255])


@pytest.mark.parametrize("background", [b"no picture at all", b"", jpeg_bytes(gradient(20, 20))])
def test_a_mask_ignores_the_background_unread(
    rest: RestService, picture: KnownPicture, background: bytes
) -> None:
    """Meaningless for a mask, so not even a broken one matters; nor does a URL that leads nowhere."""
    path = f"{RESULTS}?mode=fg-mask"
    plain = rest.post(image_part(picture.content), path=path)

    by_file = rest.post(image_part(picture.content), background_part(background), path=path)
    by_url = rest.post(image_part(picture.content), text_part("url-bg", "http://10.0.0.1/x.png"), path=path)

    assert by_file.text == plain.text
    assert by_url.text == plain.text


def test_a_background_may_be_a_url(rest: RestService, picture: KnownPicture, site: PictureSite) -> None:
    """In either form; the answer is the same as with the file."""
    behind = png_bytes(noise(50, 50))
    url = site.hold("behind.png", behind)
    by_file = rest.post(image_part(picture.content), background_part(behind))

    by_url = rest.post(image_part(picture.content), text_part("url-bg", url))
    both_urls = rest.post_urlencoded(**{"url": site.hold("img.jpg", picture.content), "url-bg": url})

    assert by_url.text == by_file.text
    assert both_urls.text == by_file.text


def test_a_background_file_wins_over_its_url(
    rest: RestService, picture: KnownPicture, site: PictureSite
) -> None:
    """As for the main picture."""
    by_file = rest.post(image_part(picture.content), background_part(png_bytes(noise(50, 50))))

    both = rest.post(
        image_part(picture.content),
        text_part("url-bg", site.url("no-background-asked-for.png")),
        background_part(png_bytes(noise(50, 50))),
    )

    assert both.text == by_file.text
    assert not site.was_asked_for("no-background-asked-for.png")


@pytest.mark.parametrize("mode", ["fg-image", "fg-image-shadow"])
@pytest.mark.parametrize(
    "background",
    [
        pytest.param(b"no picture", id="no picture"),
        pytest.param(b"", id="empty"),
        pytest.param(png_bytes(noise(50, 50))[:2000], id="truncated"),
        pytest.param(undecodable_png(4097, 8), id="resolution too big"),
        pytest.param(b"GIF89a" + bytes(100), id="unsupported type"),
    ],
)
def test_a_background_that_cannot_be_loaded_fails(
    rest: RestService, picture: KnownPicture, background: bytes, mode: str
) -> None:
    """One message for every cause; name and MD5 are the main picture's."""
    plain = rest.post(image_part(picture.content, "main.jpg")).result

    result = rest.post(
        image_part(picture.content, "main.jpg"), background_part(background), path=f"{RESULTS}?mode={mode}"
    ).result

    assert (result.code, result.message) == NOT_LOADABLE
    assert result.keys == ("status", "name", "md5", "entities")
    assert (result.name, result.md5) == ("main.jpg", plain.md5)


@pytest.mark.parametrize("path", ["missing", "cut-short", "silent", "endless"])
def test_a_background_url_that_gives_no_picture_fails(
    rest: RestService, picture: KnownPicture, site: PictureSite, path: str
) -> None:
    """Whatever goes wrong on the way is a background that cannot be loaded."""
    result = rest.post(image_part(picture.content), text_part("url-bg", site.url(path))).result

    assert (result.code, result.message) == NOT_LOADABLE


def test_a_background_file_of_16_mib_is_too_big(rest: RestService, picture: KnownPicture) -> None:
    """The limit of a file holds for backgrounds, too, in the words for a file that is too big."""
    background = background_part(png_bytes(noise(50, 50)) + bytes(16 << 20))

    result = rest.post(image_part(picture.content, "main.jpg"), background).result

    assert (result.code, result.message) == (
        "failure",
        "File size is too big: 16.0Mb. Max allowed size: 16Mb.",
    )
    assert result.name == "main.jpg"


def test_the_main_picture_s_failure_wins(rest: RestService) -> None:
    """With both broken, the main picture is what the caller hears of."""
    result = rest.post(image_part(b"no picture"), background_part(b"no picture")).result

    assert result.message == "Can not load image."
