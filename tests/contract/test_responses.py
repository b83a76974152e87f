"""What a 200 looks like around the picture: keys, numbers, names, headers."""

import hashlib
import json
import re

import numpy as np
import pytest

from support.images import KnownPicture, known_picture, tight_box
from support.pictures import jpeg_bytes, png_bytes
from support.rest import RESULTS, RestService, image_part

MODES = ("fg-image", "fg-mask", "fg-image-shadow")


@pytest.mark.parametrize("mode", MODES)
def test_an_entity_is_named_after_its_mode(rest: RestService, picture: KnownPicture, mode: str) -> None:
    """`general-` and the mode, first of the entities, PNG in base64."""
    reply = rest.post(image_part(picture.content), path=f"{RESULTS}?mode={mode}")

    (result,) = json.loads(reply.body)["results"]
    first, second = result["entities"]
    assert list(first) == ["kind", "name", "image", "format", "representation"]
    assert (first["kind"], first["name"]) == ("image", f"general-{mode}")
    assert (first["format"], first["representation"]) == ("PNG", "base64")
    assert (second["kind"], second["name"]) == ("objects", "objects")


def test_keys_stand_in_the_documented_order(rest: RestService, picture: KnownPicture) -> None:
    """No `page` for a picture that has none, and nothing beyond the documented keys."""
    reply = rest.post(image_part(picture.content))

    (result,) = json.loads(reply.body)["results"]
    (found,) = result["entities"][1]["objects"]
    assert list(result) == ["status", "name", "md5", "width", "height", "entities"]
    assert list(result["status"]) == ["code", "message"]
    assert list(result["entities"][1]) == ["kind", "name", "objects"]
    assert list(found) == ["box", "entities"]
    assert found["entities"] == [{"kind": "classes", "name": "classes", "classes": {"opaque-content": 1.0}}]


def test_a_status_holds_strings_alone(rest: RestService, picture: KnownPicture) -> None:
    """Typed callers read it as a map of strings, for success and for failure."""
    good = json.loads(rest.post(image_part(picture.content)).body)["results"][0]["status"]
    bad = json.loads(rest.post(image_part(b"no picture")).body)["results"][0]["status"]

    assert good == {"code": "ok", "message": "Success"}
    assert bad == {"code": "failure", "message": "Can not load image."}


def test_opaque_content_is_a_float(rest: RestService, picture: KnownPicture) -> None:
    """Written as 1.0, as the service has always sent it."""
    reply = rest.post(image_part(picture.content))

    assert '"classes":{"opaque-content":1.0}' in reply.compact


def test_base64_is_plain(rest: RestService, picture: KnownPicture) -> None:
    """The standard alphabet with padding, no line breaks, no prefix of a data URL."""
    image = json.loads(rest.post(image_part(picture.content)).body)["results"][0]["entities"][0]["image"]

    assert re.fullmatch(r"iVBORw0KGgo[A-Za-z0-9+/]+={0,2}", image)
    assert len(image) % 4 == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_box_is_the_tight_box_in_unrounded_shares(rest: RestService, seed: int) -> None:
    """x, y, width and height over the picture's width and height, to the last digit of a double."""
    picture = known_picture(seed, 101, 137)
    box = ",".join(json.dumps(float(share)) for share in tight_box(picture.alpha))

    reply = rest.post(image_part(picture.content))

    assert f'"box":[{box}]' in reply.compact


def test_the_box_is_the_same_in_every_mode(rest: RestService, picture: KnownPicture) -> None:
    """A shadow or a mask moves no box."""
    replies = [rest.post(image_part(picture.content), path=f"{RESULTS}?mode={mode}") for mode in MODES]

    boxes = {re.search(r'"box":\[.*?\]', reply.compact) for reply in replies}
    texts = {found[0] for found in boxes if found}
    assert len(texts) == 1


def test_no_foreground_is_no_object(rest: RestService) -> None:
    """A picture without a subject is cut all the same, and its list of objects is empty."""
    blank = png_bytes(np.zeros((24, 32, 4), np.uint8))

    reply = rest.post(image_part(blank))

    assert reply.result.code == "ok"
    assert reply.compact.endswith('{"kind":"objects","name":"objects","objects":[]}]}]}')


@pytest.mark.parametrize("mode", MODES)
def test_width_height_and_md5_are_the_input_s(rest: RestService, mode: str) -> None:
    """The size in px, and the MD5 of the bytes received, whatever is made of them."""
    content = jpeg_bytes() + b"bytes behind the picture"

    result = rest.post(image_part(content), path=f"{RESULTS}?mode={mode}").result

    assert (result.width, result.height) == (600, 400)
    assert result.md5 == hashlib.md5(content).hexdigest()


def test_width_and_height_are_the_upright_picture_s(rest: RestService) -> None:
    """A camera's rotation is applied first, as viewers show the photo."""
    result = rest.post(image_part(jpeg_bytes(orientation=6))).result

    assert (result.width, result.height) == (400, 600)


@pytest.mark.parametrize("name", ["my_image.jpg", "no extension", "фото ☕.png", "a'b&c;d.jpg"])
def test_name_is_the_filename(rest: RestService, picture: KnownPicture, name: str) -> None:
    """As sent, also beyond ASCII."""
    assert rest.post(image_part(picture.content, name)).result.name == name


def test_an_answer_carries_the_request_s_id(rest: RestService, picture: KnownPicture) -> None:
    """The caller's own id comes back; without one a new one does."""
    own = rest.post(image_part(picture.content), headers={"X-Request-Id": "order-4711"})
    new = rest.post(image_part(picture.content))

    assert own.headers["x-request-id"] == "order-4711"
    assert re.fullmatch(r"[0-9a-f]{16,}", new.headers["x-request-id"])


def test_nobody_between_keeps_an_answer(rest: RestService, picture: KnownPicture) -> None:
    """Results and refusals are marked so that no cache stores them, and carry no validator."""
    for reply in (rest.post(image_part(picture.content)), rest.post(), rest.post(image_part(b"no"))):
        assert "no-store" in reply.headers["cache-control"]
        assert "etag" not in reply.headers
