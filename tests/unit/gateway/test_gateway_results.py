"""From a form to the documented answer, with a server that answers as told."""

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import Mapping

import httpx
import pytest
from starlette.types import Message

from alphacut import errors
from alphacut.errors import AlphacutError, FieldViolation
from alphacut.v1 import image_pb2, options_pb2
from alphacut_gateway.intake import BodyLimits
from alphacut_gateway.room import Room, RoomLimits
from support.gateway_backend import MD5, FakeBackend, calling, cut_picture, gateway_app

RESULTS = "/v1/results"
ONE_BYTE_FORM = b'--b\r\nContent-Disposition: form-data; name="image"; filename="i"\r\n\r\nx\r\n--b--\r\n'
PHOTO = b"\xff\xd8\xff photo"
File = tuple[str, bytes]


async def post(
    backend: FakeBackend,
    path: str = RESULTS,
    *,
    files: Mapping[str, File] | None = None,
    data: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Send a form to a gateway before the backend; a photo if nothing else is told."""
    if files is None and data is None:
        files = {"image": ("img.jpg", PHOTO)}
    async with calling(gateway_app(backend)) as client:
        return await client.post(path, files=files, data=data, headers=headers)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/results",
        "/v1/general/results",
        "/img-bg-removal/v1/results",
        "/img-bg-removal/v1/general/results",
    ],
)
async def test_answer_is_the_documented_text(path: str) -> None:
    """Key order, number formats and blanks included, at every path callers use."""
    response = await post(FakeBackend(), path)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.text == (
        '{"results":[{"status":{"code":"ok","message":"Success"},"name":"img.jpg",'
        f'"md5":"{MD5}","width":1024,"height":768,"entities":['
        '{"kind":"image","name":"general-fg-image","image":"iVBORyBjdXQ=","format":"PNG",'
        '"representation":"base64"},'
        '{"kind":"objects","name":"objects","objects":[{"box":[0.125,0.37,0.6666666666666666,0.456],'
        '"entities":[{"kind":"classes","name":"classes","classes":{"opaque-content":1.0}}]}]}]}]}'
    )


async def test_nothing_found_is_an_empty_list() -> None:
    """No foreground is no failure."""
    response = await post(FakeBackend(response=cut_picture(box=None)))

    assert response.text.endswith('{"kind":"objects","name":"objects","objects":[]}]}]}')


@pytest.mark.parametrize("mode", ["fg-image", "fg-mask", "fg-image-shadow"])
async def test_mode_reaches_the_server_and_names_the_entity(mode: str) -> None:
    """`general-` and the mode."""
    backend = FakeBackend()
    response = await post(backend, f"{RESULTS}?mode={mode}")

    assert response.json()["results"][0]["entities"][0]["name"] == f"general-{mode}"
    (request,) = backend.requests
    assert request.mode == options_pb2.Mode.Value(f"MODE_{mode.upper().replace('-', '_')}")


async def test_plain_request_sets_nothing_but_picture_and_mode() -> None:
    """What the caller leaves open the server decides."""
    backend = FakeBackend()
    await post(backend)

    (request,) = backend.requests
    assert request.image.content == PHOTO
    assert {field.name for field, _ in request.ListFields()} == {"image", "mode"}


async def test_extensions_reach_the_server() -> None:
    """Each in its own field."""
    backend = FakeBackend()
    await post(
        backend, f"{RESULTS}?format=webp&crop=true&crop-margin=0.25&quality=best&model=m1&bg-color=fff"
    )

    (request,) = backend.requests
    assert request.output.format == image_pb2.IMAGE_FORMAT_WEBP
    assert request.output.crop.margin == 0.25
    assert request.quality == options_pb2.QUALITY_BEST
    assert request.model == "m1"
    assert request.background.color == "#fff"


async def test_crop_without_margin_is_a_crop() -> None:
    """A margin of 0 must not make the crop vanish from the message."""
    backend = FakeBackend()
    await post(backend, f"{RESULTS}?crop=true")
    await post(backend, f"{RESULTS}?crop-margin=0.5")

    assert [request.output.HasField("crop") for request in backend.requests] == [True, False]


async def test_url_is_the_servers_to_fetch_and_to_name() -> None:
    """Urlencoded or multipart; the name is what the server made of it."""
    backend = FakeBackend(response=cut_picture(name="shoes.jpg"))
    urlencoded = await post(backend, data={"url": "http://shop.example/a/shoes.jpg?x=1"})
    async with calling(gateway_app(backend)) as client:
        part = {"url": (None, b"http://shop.example/a/shoes.jpg?x=1")}
        multipart = await client.post(RESULTS, files=part)

    assert [request.image.url for request in backend.requests] == ["http://shop.example/a/shoes.jpg?x=1"] * 2
    assert urlencoded.json()["results"][0]["name"] == "shoes.jpg"
    assert multipart.text == urlencoded.text


async def test_files_win_over_urls() -> None:
    """For the picture and for the background."""
    backend = FakeBackend()
    await post(
        backend,
        f"{RESULTS}?bg-fit=cover",
        files={"image": ("a.jpg", PHOTO), "image-bg": ("b.png", b"backdrop")},
        data={"url": "http://shop.example/x.jpg", "url-bg": "http://shop.example/y.jpg"},
    )

    (request,) = backend.requests
    assert request.image.content == PHOTO
    assert request.background.image.content == b"backdrop"
    assert request.background.fit == options_pb2.BACKGROUND_FIT_COVER


async def test_background_may_come_from_a_url_and_wins_over_a_colour() -> None:
    """A colour is for who has no picture."""
    backend = FakeBackend()
    await post(
        backend,
        f"{RESULTS}?bg-color=red",
        files={"image": ("a.jpg", PHOTO)},
        data={"url-bg": "http://shop.example/y.jpg", "url": ""},
    )

    (request,) = backend.requests
    assert request.background.image.url == "http://shop.example/y.jpg"
    assert request.background.color == ""


async def test_empty_file_with_a_name_is_sent_to_fail() -> None:
    """Whoever chose an empty file is told that it is no picture."""
    backend = FakeBackend()
    await post(backend, files={"image": ("empty.jpg", b"")})

    (request,) = backend.requests
    assert request.image.WhichOneof("source") == "content"


@pytest.mark.parametrize(
    "data",
    [{}, {"url": ""}, {"url-bg": "http://shop.example/y.jpg"}, {"mode": "fg-mask"}],
)
async def test_no_picture_is_422_without_a_call(data: dict[str, str]) -> None:
    """The documented sentence, and no work for the server."""
    backend = FakeBackend()
    response = await post(backend, data=data)

    assert response.status_code == 422
    assert response.text == '{"detail":"Missing image or url field."}'
    assert backend.requests == []


async def test_wrong_parameter_is_422_by_name() -> None:
    """In the list that callers of the API know."""
    backend = FakeBackend()
    response = await post(backend, f"{RESULTS}?mode=fg&representation=url")

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/json"
    assert [list(wrong) for wrong in response.json()["detail"]] == [["loc", "msg", "type"]] * 2
    assert [wrong["loc"] for wrong in response.json()["detail"]] == [
        ["query", "mode"],
        ["query", "representation"],
    ]
    assert backend.requests == []


@pytest.mark.parametrize(
    ("failure", "parameter"),
    [
        (errors.UnknownModel("No model 'x'; ListModels names them."), "model"),
        (
            errors.InvalidOption("w", violations=(FieldViolation("background.color", "No colour."),)),
            "bg-color",
        ),
        (
            errors.InvalidOption("w", violations=(FieldViolation("output.crop.margin", "Too wide."),)),
            "crop-margin",
        ),
    ],
)
async def test_what_the_server_refuses_is_told_by_the_parameters_name(
    failure: AlphacutError, parameter: str
) -> None:
    """Its fields have other names than ours."""
    response = await post(FakeBackend(failure=failure))

    assert response.status_code == 422
    (wrong,) = response.json()["detail"]
    assert wrong["loc"] == ["query", parameter]
    assert wrong["msg"] != "w"


async def test_option_that_callers_cannot_set_is_422_in_the_servers_words() -> None:
    """There is no parameter to blame, so the sentence must do."""
    response = await post(FakeBackend(failure=errors.InvalidOption("priority 9 is unknown.")))

    assert (response.status_code, response.json()) == (422, {"detail": "priority 9 is unknown."})


async def test_failed_picture_is_200_with_the_documented_keys() -> None:
    """MD5 as the server told it, the name as sent, nothing of width or height."""
    metadata = {"md5": "d41d8cd98f00b204e9800998ecf8427e", "name": "cut short"}
    response = await post(
        FakeBackend(failure=errors.ImageNotLoadable("words", metadata=metadata)),
        files={"image": ("file.txt", b"text")},
    )

    assert response.status_code == 200
    assert response.text == (
        '{"results":[{"status":{"code":"failure","message":"Can not load image."},"name":"file.txt",'
        '"md5":"d41d8cd98f00b204e9800998ecf8427e","entities":[]}]}'
    )


async def test_failed_url_has_the_servers_name_and_md5() -> None:
    """Only the server knows what arrived."""
    failure = errors.UrlNotFetched("words", metadata={"md5": MD5, "name": "x.jpg"})
    response = await post(FakeBackend(failure=failure), data={"url": "http://shop.example/x.jpg"})

    (result,) = response.json()["results"]
    assert result["status"] == {"code": "failure", "message": "Can not load image from url."}
    assert (result["name"], result["md5"]) == ("x.jpg", MD5)


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("image.url", "Can not load image from url."),
        ("background.image.url", "Can not load background image."),
    ],
)
async def test_url_the_server_does_not_try_has_failed_like_any_other(field: str, sentence: str) -> None:
    """One too long, say: its callers know no other answer to a URL."""
    violation = FieldViolation(field, "May have at most 8192 characters.")
    response = await post(
        FakeBackend(failure=errors.InvalidOption("words", violations=(violation,))),
        data={"url": "http://shop.example/x.jpg?" + "y" * 3000},
    )

    (result,) = response.json()["results"]
    assert result["status"] == {"code": "failure", "message": sentence}
    assert (result["name"], result["md5"]) == ("x.jpg", hashlib.md5(b"").hexdigest())


async def test_fault_of_the_server_is_a_failed_picture() -> None:
    """It tells nothing of the picture, so name and MD5 are the gateway's own."""
    response = await post(FakeBackend(failure=errors.ServerFault("stack of secrets", request_id="4711")))

    assert response.status_code == 200
    (result,) = response.json()["results"]
    assert result["status"] == {"code": "failure", "message": "Processing failed"}
    assert (result["name"], result["md5"]) == ("img.jpg", hashlib.md5(PHOTO).hexdigest())


async def test_fault_on_a_url_names_its_last_segment() -> None:
    """Decoded; the MD5 is that of nothing."""
    response = await post(
        FakeBackend(failure=errors.EngineFailed("boom")),
        data={"url": "http://shop.example/a/caf%C3%A9.jpg?size=9#top"},
    )

    (result,) = response.json()["results"]
    assert (result["name"], result["md5"]) == ("café.jpg", hashlib.md5(b"").hexdigest())


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (errors.Unauthenticated("words"), 401),
        (errors.PermissionDenied("words"), 403),
        (errors.NotServed("words"), 501),
        (errors.Overloaded("words", retry_after_s=3), 503),
        (errors.Unavailable("words"), 503),
        (errors.Draining("words"), 503),
        (errors.DeadlineExceeded("words"), 504),
    ],
)
async def test_failed_call_is_a_message(failure: AlphacutError, status: int) -> None:
    """One sentence, and when to return where that helps."""
    response = await post(FakeBackend(failure=failure))

    assert response.status_code == status
    assert list(response.json()) == ["message"]
    assert ("retry-after" in response.headers) == (status == 503)


async def test_message_over_grpcs_limit_is_the_413_page() -> None:
    """As for any other request that is too large."""
    response = await post(FakeBackend(failure=errors.MessageTooLarge("words")))

    assert response.status_code == 413
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Error: Request Entity Too Large</title>" in response.text
    assert "Your client issued a request that was too large." in response.text


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("фото ☕.png".encode(), "фото ☕.png"),
        (b"caf\xe9.jpg", "café.jpg"),
        (b'a\\"image\\":\\"\\".png', 'a"image":"".png'),
        (b"n" * 5000 + b".jpg", "n" * 5000 + ".jpg"),
        (b"<script>&amp;.png", "<script>&amp;.png"),
    ],
)
async def test_name_comes_back_as_sent(sent: bytes, name: str) -> None:
    """In UTF-8, whole however long, and whatever it looks like."""
    head = b'Content-Disposition: form-data; name="image"; filename="' + sent + b'"'
    async with calling(gateway_app(FakeBackend())) as client:
        response = await client.post(
            RESULTS,
            content=b"--b\r\n" + head + b"\r\n\r\nx\r\n--b--",
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )

    (result,) = response.json()["results"]
    assert result["name"] == name
    assert result["entities"][0]["image"] == "iVBORyBjdXQ="
    assert "\\u" not in response.text


async def test_large_picture_comes_whole() -> None:
    """In pieces, with the length told beforehand."""
    content = bytes(range(256)) * 8000
    response = await post(FakeBackend(response=cut_picture(content)))

    assert base64.b64decode(response.json()["results"][0]["entities"][0]["image"]) == content
    assert int(response.headers["content-length"]) == len(response.content)


async def test_bytes_come_with_their_facts_in_headers() -> None:
    """Nothing of the JSON is lost but the fixed words."""
    backend = FakeBackend(response=cut_picture(image_format=image_pb2.IMAGE_FORMAT_WEBP))
    response = await post(
        backend,
        f"{RESULTS}?mode=fg-mask",
        files={"image": ("my photo ☕.jpg", PHOTO)},
        headers={"Accept": "image/webp"},
    )

    assert response.status_code == 200
    assert response.content == b"\x89PNG cut"
    (request,) = backend.requests
    assert request.output.format == image_pb2.IMAGE_FORMAT_WEBP
    headers = {
        "content-type": "image/webp",
        "content-length": "8",
        "x-alphacut-name": "my%20photo%20%E2%98%95.jpg",
        "x-alphacut-md5": MD5,
        "x-alphacut-width": "1024",
        "x-alphacut-height": "768",
        "x-alphacut-mode": "fg-mask",
        "x-alphacut-box": "0.125,0.37,0.6666666666666666,0.456",
        "content-disposition": "inline; filename*=UTF-8''my%20photo%20%E2%98%95.webp",
        "x-content-type-options": "nosniff",
    }
    assert {name: response.headers[name] for name in headers} == headers


async def test_bytes_of_a_picture_without_foreground_have_no_box() -> None:
    """Absent, not empty."""
    response = await post(
        FakeBackend(response=cut_picture(box=None)),
        f"{RESULTS}?response=binary",
        files={"image": ("", PHOTO)},
    )

    assert "x-alphacut-box" not in response.headers
    assert response.headers["content-disposition"] == "inline; filename*=UTF-8''cutout.png"


async def test_failure_stays_json_for_who_wants_bytes() -> None:
    """There are no bytes to send."""
    response = await post(
        FakeBackend(failure=errors.ImageNotLoadable("words")), headers={"Accept": "image/png"}
    )

    assert response.json()["results"][0]["status"]["code"] == "failure"


@pytest.mark.parametrize("headers", [{}, {"Accept": "image/png"}])
async def test_results_are_nobodys_to_keep_and_tell_their_stages(headers: dict[str, str]) -> None:
    """Either kind: not stored, told apart by Accept, timed in milliseconds for scripts of any origin."""
    response = await post(FakeBackend(), headers={"Origin": "https://shop.example", **headers})

    assert response.headers["cache-control"] == "no-store"
    assert "Accept" in response.headers["vary"].split(", ")
    assert response.headers["server-timing"] == "decode;dur=4.200, inference;dur=61.000"
    assert response.headers["timing-allow-origin"] == "*"
    assert "Server-Timing" in response.headers["access-control-expose-headers"]
    assert "etag" not in response.headers


@pytest.mark.parametrize(
    ("path", "headers", "key"),
    [
        (RESULTS, {"X-API-KEY": "k1", "X-RapidAPI-Key": "k2"}, "k1"),
        (RESULTS, {"X-RapidAPI-Key": " k2 "}, "k2"),
        (f"{RESULTS}?api_key=k%203", {}, "k 3"),
        (f"{RESULTS}?api_key=k3", {"X-API-KEY": ""}, "k3"),
        (f"{RESULTS}?api_key=k3", {"X-API-KEY": "k1"}, "k1"),
    ],
)
async def test_callers_key_goes_to_the_server(path: str, headers: dict[str, str], key: str) -> None:
    """From any of the three places."""
    backend = FakeBackend()
    await post(backend, path, headers={"X-Request-Id": "r1", **headers})

    assert backend.carried == [[("x-request-id", "r1"), ("x-api-key", key)]]


@pytest.mark.parametrize("key", ["", "ключ", "k\x01", "k" * 1025])
async def test_key_that_cannot_travel_is_no_key(key: str) -> None:
    """It must not fail a call to a server that wants none."""
    backend = FakeBackend()
    async with calling(gateway_app(backend)) as client:
        response = await client.post(
            RESULTS,
            params={"api_key": key},
            files={"image": ("img.jpg", PHOTO)},
            headers={"X-Request-Id": "r1"},
        )

    assert response.status_code == 200
    assert backend.carried == [[("x-request-id", "r1")]]


@pytest.mark.parametrize("failure", [None, errors.Unauthenticated("words"), RuntimeError("bug")])
async def test_keys_are_in_no_log(failure: Exception | None, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever they came in, and whatever became of the call."""
    caplog.set_level(logging.DEBUG)
    await post(
        FakeBackend(failure=failure), f"{RESULTS}?api_key=s3cret", headers={"X-RapidAPI-Key": "s3cret"}
    )

    own = [vars(record) for record in caplog.records if record.name.startswith("alphacut")]
    assert own
    assert "s3cret" not in json.dumps(own, default=str)


async def test_body_over_the_limit_is_the_413_page() -> None:
    """Declared or not."""
    limits = BodyLimits(upload_timeout_s=30, min_bytes_per_s=1, grace_s=30, max_body_bytes=100)
    async with calling(gateway_app(FakeBackend(), body_limits=limits)) as client:
        response = await client.post(RESULTS, files={"image": ("img.jpg", bytes(101))})

    assert response.status_code == 413
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]


async def test_broken_form_is_422_in_a_sentence() -> None:
    """The caller's program is at fault, and may say so to its author."""
    async with calling(gateway_app(FakeBackend())) as client:
        response = await client.post(
            RESULTS, content=b"no boundary", headers={"Content-Type": "multipart/form-data; boundary=b"}
        )

    assert response.status_code == 422
    assert isinstance(response.json()["detail"], str)


async def test_want_of_room_is_503_with_when_to_return() -> None:
    """The body was not read."""
    room = Room(RoomLimits(max_bytes=1, max_waiting=0, timeout_s=5))
    async with room.hold(1), calling(gateway_app(FakeBackend(), room=room)) as client:
        response = await client.post(RESULTS, files={"image": ("img.jpg", PHOTO)})

    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert list(response.json()) == ["message"]


async def test_large_answer_takes_its_room() -> None:
    """A small upload may come back as many times its size; what is in memory keeps other requests out."""
    room = Room(RoomLimits(max_bytes=1 << 30, max_waiting=0, timeout_s=5))
    held_bytes: list[int] = []
    messages = [{"type": "http.request", "body": ONE_BYTE_FORM, "more_body": False}]
    never = asyncio.Event()

    async def receive() -> Message:
        if not messages:
            await never.wait()
        return messages.pop(0)

    async def send(_message: Message) -> None:
        held_bytes.append(room.held_bytes)

    backend = FakeBackend(response=cut_picture(bytes(10_000_000)))
    await gateway_app(backend, room=room)(a_post(), receive, send)

    assert min(held_bytes) >= 20_000_000
    assert room.held_bytes == 0


async def test_body_that_does_not_come_is_408() -> None:
    """And the connection closes, for the rest of it may still be on its way."""
    limits = BodyLimits(upload_timeout_s=0.01, min_bytes_per_s=1, grace_s=0.01)
    never = asyncio.Event()
    sent: list[Message] = []

    async def receive() -> Message:
        await never.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await gateway_app(FakeBackend(), body_limits=limits)(a_post(), receive, send)

    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert list(json.loads(sent[1]["body"])) == ["message"]


async def test_caller_who_leaves_cancels_the_call() -> None:
    """The server must not work for nobody."""
    backend = FakeBackend(hold=True)
    messages = [{"type": "http.request", "body": ONE_BYTE_FORM, "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await backend.entered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(10):
        await gateway_app(backend)(a_post(), receive, send)

    assert backend.was_cancelled
    assert sent[0]["status"] == 499


def a_post() -> dict[str, object]:
    """Return the scope of a form's POST."""
    return {
        "type": "http",
        "method": "POST",
        "path": RESULTS,
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=b"), (b"content-length", b"99")],
        "state": {},
    }
