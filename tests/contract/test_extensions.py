"""What goes beyond the document: all of it optional, none of it in an answer that did not ask."""

import io
import json
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from support.images import KnownPicture, read_png
from support.pictures import noise, png_bytes
from support.rest import RESULTS, Part, RestService, image_part

SIGNATURES = {"png": b"\x89PNG", "webp": b"RIFF", "jpeg": b"\xff\xd8\xff"}


@pytest.mark.parametrize("picture_format", ["png", "webp", "jpeg"])
def test_format_chooses_the_file(rest: RestService, picture: KnownPicture, picture_format: str) -> None:
    """Base64 of that file, named in capitals like the documented PNG."""
    reply = rest.post(image_part(picture.content), path=f"{RESULTS}?format={picture_format}")

    entity = json.loads(reply.body)["results"][0]["entities"][0]
    assert entity["format"] == picture_format.upper()
    assert reply.result.image.startswith(SIGNATURES[picture_format])
    with Image.open(io.BytesIO(reply.result.image)) as image:
        assert image.size == (128, 96)


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("", "image/png", "image/png"),
        ("", "image/webp", "image/webp"),
        ("?response=binary", "*/*", "image/png"),
        ("?response=binary&format=jpeg", "*/*", "image/jpeg"),
    ],
)
def test_raw_bytes_spare_the_base64(
    rest: RestService, picture: KnownPicture, query: str, accept: str, content_type: str
) -> None:
    """By Accept or by parameter: the body is the file, and as long as Content-Length says."""
    reply = rest.post(image_part(picture.content), path=RESULTS + query, headers={"Accept": accept})

    assert (reply.status, reply.headers["content-type"]) == (200, content_type)
    assert reply.body.startswith(SIGNATURES[content_type.removeprefix("image/")])
    assert reply.headers["content-length"] == str(len(reply.body))


def test_raw_bytes_are_those_of_the_json(rest: RestService, picture: KnownPicture) -> None:
    """The same file either way, what the JSON says in headers, and the parameter wins over Accept."""
    raw = rest.post(image_part(picture.content, "фото.jpg"), path=f"{RESULTS}?response=binary")
    told = rest.post(
        image_part(picture.content), path=f"{RESULTS}?response=json", headers={"Accept": "image/png"}
    )

    assert raw.body == told.result.image
    assert raw.headers["x-alphacut-name"] == quote("фото.jpg")
    assert raw.headers["x-alphacut-md5"] == told.result.md5
    assert raw.headers["x-alphacut-mode"] == "fg-image"
    assert (raw.headers["x-alphacut-width"], raw.headers["x-alphacut-height"]) == ("128", "96")
    assert raw.headers["x-alphacut-box"] == ",".join(map(repr, told.result.boxes[0]))


def test_crop_cuts_the_canvas_to_the_box(rest: RestService, picture: KnownPicture) -> None:
    """The picture shrinks to the subject; width, height and box still speak of the input."""
    whole = rest.post(image_part(picture.content)).result
    cropped = rest.post(image_part(picture.content), path=f"{RESULTS}?crop=true").result

    rows, columns = np.flatnonzero(picture.alpha.any(axis=1)), np.flatnonzero(picture.alpha.any(axis=0))
    inside = read_png(whole.image)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert np.array_equal(read_png(cropped.image), inside)
    assert (cropped.width, cropped.height, cropped.boxes) == (whole.width, whole.height, whole.boxes)


def test_a_margin_leaves_room(rest: RestService, picture: KnownPicture) -> None:
    """The margin is a share of the subject's longer side, around it."""
    tight = read_png(rest.post(image_part(picture.content), path=f"{RESULTS}?crop=true").result.image)
    wide = read_png(
        rest.post(image_part(picture.content), path=f"{RESULTS}?crop=true&crop-margin=0.1").result.image
    )

    assert wide.shape[0] > tight.shape[0]
    assert wide.shape[1] > tight.shape[1]


@pytest.mark.parametrize(
    ("colour", "rgba"),
    [
        ("%23ff8000", (255, 128, 0, 255)),
        ("ff800080", (255, 128, 0, 128)),
        ("white", (255, 255, 255, 255)),
    ],
)
def test_a_background_colour_fills_the_canvas(
    rest: RestService, picture: KnownPicture, colour: str, rgba: tuple[int, ...]
) -> None:
    """Behind the subject everywhere, under its own name."""
    reply = rest.post(image_part(picture.content), path=f"{RESULTS}?bg-color={colour}")

    cut = read_png(reply.result.image)
    assert np.array_equal(np.unique(cut[picture.alpha == 0], axis=0), [rgba])
    assert np.array_equal(cut[picture.alpha == 255][:, :3], picture.rgb[picture.alpha == 255])
    assert reply.result.entity_name == "general-fg-image"


@pytest.mark.parametrize(
    ("fit", "reach", "shows_edge"),
    [
        pytest.param("none", np.s_[32:64, 32:96], True, id="none"),
        pytest.param("contain", np.s_[16:80, 0:128], True, id="contain"),
        pytest.param("cover", np.s_[0:96, 0:128], False, id="cover"),
        pytest.param("stretch", np.s_[0:96, 0:128], True, id="stretch"),
    ],
)
def test_a_background_fits_as_told(
    rest: RestService, picture: KnownPicture, fit: str, reach: tuple[slice, slice], shows_edge: bool
) -> None:
    """64x32 px, blue with a red left edge, behind 128x96 px: where it reaches, and whether the edge is cropped."""
    behind = np.full((32, 64, 3), (0, 0, 255), np.uint8)
    behind[:, :8] = (255, 0, 0)
    reached = np.zeros((96, 128), bool)
    reached[reach] = True

    reply = rest.post(
        image_part(picture.content),
        Part("image-bg", png_bytes(behind), "bg.png"),
        path=f"{RESULTS}?bg-fit={fit}",
    )

    cut = read_png(reply.result.image)
    ground = picture.alpha == 0
    assert np.array_equal(cut[ground][:, 3], np.where(reached, 255, 0)[ground])
    assert bool((cut[ground][:, 0] == 255).any()) is shows_edge


def test_a_model_may_be_named(rest: RestService, picture: KnownPicture) -> None:
    """One that is served gives the answer; another is the parameter's fault."""
    named = rest.post(image_part(picture.content), path=f"{RESULTS}?model=emulated")
    unknown = rest.post(image_part(picture.content), path=f"{RESULTS}?model=no-such-model")

    assert named.text == rest.post(image_part(picture.content)).text
    assert unknown.status == 422
    assert json.loads(unknown.body)["detail"][0]["loc"] == ["query", "model"]


def test_a_quality_may_be_named(rest: RestService, picture: KnownPicture) -> None:
    """The server's own gives the same answer as none; one that is not served here is told with those that are."""
    own = rest.post(image_part(picture.content), path=f"{RESULTS}?quality=fast")
    other = rest.post(image_part(picture.content), path=f"{RESULTS}?quality=best")

    (wrong,) = json.loads(other.body)["detail"]
    assert own.text == rest.post(image_part(picture.content)).text
    assert (other.status, wrong["loc"]) == (422, ["query", "quality"])
    assert "fast" in wrong["msg"]


@pytest.mark.parametrize(
    "query",
    [
        "shadow-type=contact",
        "shadow-type=cast",
        "shadow-type=drop",
        "shadow-type=float",
        "shadow-direction=250",
        "shadow-elevation=20",
        "shadow-softness=0",
        "shadow-opacity=0.3",
        "shadow-color=ff0000",
    ],
)
def test_a_shadow_may_be_shaped(rest: RestService, picture: KnownPicture, query: str) -> None:
    """Each parameter changes what lies around the subject, and nothing where that is opaque."""
    path = f"{RESULTS}?mode=fg-image-shadow"

    plain, shaped = (
        read_png(rest.post(image_part(picture.content), path=each).result.image)
        for each in (path, f"{path}&{query}")
    )

    solid = picture.alpha == 255
    assert not np.array_equal(plain, shaped)
    assert np.array_equal(plain[solid], shaped[solid])
    assert (shaped[..., 3] >= picture.alpha).all()


def test_a_shadow_s_parameters_leave_other_modes_alone(rest: RestService, picture: KnownPicture) -> None:
    """Modes without a shadow ignore them."""
    for mode in ("fg-image", "fg-mask"):
        plain, asked = (
            rest.post(image_part(picture.content), path=f"{RESULTS}?mode={mode}{more}").result.image
            for more in ("", "&shadow-type=drop&shadow-color=ff0000")
        )

        assert plain == asked


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("format", "gif"),
        ("crop", "perhaps"),
        ("crop-margin", "2"),
        ("crop-margin", "nan"),
        ("quality", "superb"),
        ("bg-fit", "tile"),
        ("bg-color", "no-colour"),
        ("response", "xml"),
        ("shadow-type", "hard"),
        ("shadow-direction", "360"),
        ("shadow-elevation", "0"),
        ("shadow-softness", "2"),
        ("shadow-opacity", "nan"),
        ("shadow-color", "00000080"),
    ],
)
def test_a_bad_extension_is_422(rest: RestService, picture: KnownPicture, parameter: str, value: str) -> None:
    """Named like any other bad parameter."""
    reply = rest.post(image_part(picture.content), path=f"{RESULTS}?{parameter}={value}")

    assert reply.status == 422
    assert json.loads(reply.body)["detail"][0]["loc"] == ["query", parameter]


def test_a_default_answer_knows_no_extension(rest: RestService, picture: KnownPicture) -> None:
    """Backgrounds, crops and formats leave no key and no header behind in an answer that asked for none."""
    rest.post(image_part(picture.content), path=f"{RESULTS}?crop=true&format=webp")
    rest.post(image_part(picture.content), Part("image-bg", png_bytes(noise(9, 9)), "bg.png"))

    plain = rest.post(image_part(picture.content))

    (result,) = json.loads(plain.body)["results"]
    assert list(result) == ["status", "name", "md5", "width", "height", "entities"]
    assert not [name for name in plain.headers if name.startswith("x-alphacut")]
