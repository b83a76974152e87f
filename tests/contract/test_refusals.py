"""Requests that are refused before any picture is looked at: 404, 405, 413, 422."""

import json
import time

import pytest

from support.images import KnownPicture
from support.rest import (
    MULTIPART,
    RESULTS,
    Part,
    RestService,
    image_part,
    multipart,
    raw_exchange,
    request,
    text_part,
)

MISSING = '{"detail":"Missing image or url field."}'
MIB = 1 << 20
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([], id="no parts"),
        pytest.param([text_part("mode", "fg-mask")], id="another field"),
        pytest.param([text_part("image_url", "http://shop.example/x.jpg")], id="a misspelt field"),
        pytest.param([Part("file", b"bytes", "img.jpg")], id="a misnamed file"),
        pytest.param([Part("image-bg", b"bytes", "bg.jpg")], id="a background alone"),
        pytest.param([text_part("url", ""), Part("image", b"")], id="empty fields"),
    ],
)
def test_no_image_and_no_url_is_422(rest: RestService, parts: list[Part]) -> None:
    """The documented answer to the letter, whatever else was sent."""
    reply = rest.post(*parts)

    assert reply.status == 422
    assert reply.headers["content-type"] == "application/json"
    assert reply.text == MISSING


@pytest.mark.parametrize("body", [b"", b"url=", b"image_url=http%3A%2F%2Fshop.example%2Fx.jpg"])
def test_an_urlencoded_form_without_a_picture_is_422(rest: RestService, body: bytes) -> None:
    """The same answer as for multipart."""
    reply = request(rest.address, "POST", RESULTS, body, URLENCODED)

    assert (reply.status, reply.text) == (422, MISSING)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b"", {}, id="no body"),
        pytest.param(
            b'{"url": "http://shop.example/x.jpg"}', {"Content-Type": "application/json"}, id="JSON"
        ),
    ],
)
def test_a_body_that_is_no_form_has_no_image(rest: RestService, body: bytes, headers: dict[str, str]) -> None:
    """What holds no fields holds neither image nor url."""
    reply = request(rest.address, "POST", RESULTS, body, headers)

    assert (reply.status, reply.text) == (422, MISSING)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("mode", "fg"),
        ("mode", ""),
        ("mode", "FG-IMAGE"),
        ("representation", "url"),
        ("representation", "hex"),
    ],
)
def test_a_bad_parameter_is_422(rest: RestService, picture: KnownPicture, parameter: str, value: str) -> None:
    """A list of what is wrong, each with a place made of strings, a sentence and a word to switch on."""
    reply = rest.post(image_part(picture.content), path=f"{RESULTS}?{parameter}={value}")

    assert reply.status == 422
    assert reply.headers["content-type"] == "application/json"
    answer = json.loads(reply.body)
    assert list(answer) == ["detail"]
    (wrong,) = answer["detail"]
    assert list(wrong) == ["loc", "msg", "type"]
    assert wrong["loc"] == ["query", parameter]
    assert wrong["msg"]
    assert wrong["type"]


def test_a_broken_multipart_body_is_refused_as_json(rest: RestService) -> None:
    """A body without the boundary it promised is the caller's fault, and the answer says so."""
    reply = request(rest.address, "POST", RESULTS, b"no boundary in here", MULTIPART)

    assert reply.status in {400, 422}
    assert reply.headers["content-type"] == "application/json"
    assert json.loads(reply.body)["detail"]


def assert_too_large(reply_status: int, content_type: str, text: str) -> None:
    """Check the documented page."""
    assert reply_status == 413
    assert content_type.startswith("text/html")
    assert "Error: Request Entity Too Large" in text
    assert "Your client issued a request that was too large." in text


def test_a_declared_body_over_32_mib_is_413_for_who_writes_it_all_first(rest: RestService) -> None:
    """Most clients read nothing before they have written everything: they get the answer, not a reset."""
    body = multipart(image_part(bytes(40 * MIB)))
    head = f"POST {RESULTS} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {MULTIPART['Content-Type']}\r\n\r\n"

    reply = raw_exchange(rest.address, head.encode(), body)

    assert_too_large(reply.status, reply.headers["content-type"], reply.text)


def test_a_streamed_body_over_32_mib_is_413_for_who_writes_it_all_first(rest: RestService) -> None:
    """The same for a body whose length nobody told."""
    body = multipart(image_part(bytes(40 * MIB)))
    head = f"POST {RESULTS} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
    head += f"Content-Type: {MULTIPART['Content-Type']}\r\n\r\n"
    chunks = [body[at : at + MIB] for at in range(0, len(body), MIB)]
    written = [f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks]

    reply = raw_exchange(rest.address, head.encode(), *written, b"0\r\n\r\n")

    assert_too_large(reply.status, reply.headers["content-type"], reply.text)


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
def test_a_declared_body_over_32_mib_is_413_before_it_is_sent(rest: RestService, expect: str) -> None:
    """A client that only announces it, or asks first, is answered at once."""
    head = f"POST {RESULTS} HTTP/1.1\r\nHost: test\r\nContent-Length: {33 * MIB}\r\n{expect}"
    head += f"Content-Type: {MULTIPART['Content-Type']}\r\n\r\n"
    began_s = time.monotonic()

    reply = raw_exchange(rest.address, head.encode())

    assert_too_large(reply.status, reply.headers["content-type"], reply.text)
    assert time.monotonic() - began_s < 2.0


def test_a_body_of_32_mib_is_still_read(rest: RestService) -> None:
    """At the limit the request is allowed, and it is the file in it that is too big."""
    overhead = len(multipart(image_part(b"")))

    reply = rest.post(image_part(bytes(32 * MIB - overhead)))

    assert reply.result.message.startswith("File size is too big: 32.0Mb.")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"{RESULTS}?mode=nonsense", 422),
        ("POST", "/v1/nowhere", 404),
        ("PUT", RESULTS, 405),
    ],
)
def test_a_refusal_reaches_who_writes_everything_first(
    rest: RestService, method: str, path: str, status: int
) -> None:
    """What is decided without the body is answered all the same to a client that reads only after writing it."""
    body = multipart(image_part(bytes(20 * MIB)))
    head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {MULTIPART['Content-Type']}\r\n\r\n"

    reply = raw_exchange(rest.address, head.encode(), body)

    assert reply.status == status


@pytest.mark.parametrize("path", ["/v2/results", "/v1/result", "/v1/people/results", "/api"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_404(rest: RestService, path: str, method: str) -> None:
    """Also with the prefix in front."""
    assert request(rest.address, method, path).status == 404
    assert request(rest.address, method, f"/img-bg-removal{path}").status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/results", "POST"),
        ("PUT", "/img-bg-removal/v1/general/results", "POST"),
        ("DELETE", "/v1/results", "POST"),
        ("POST", "/v1/version", "GET"),
        ("POST", "/v1/modes", "GET"),
    ],
)
def test_a_wrong_method_is_405(rest: RestService, method: str, path: str, allowed: str) -> None:
    """`Allow` names the right one."""
    reply = request(rest.address, method, path)

    assert reply.status == 405
    assert allowed in reply.headers["allow"]
