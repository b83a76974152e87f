"""Requests that real callers send, and that must work."""

import pytest

from support.images import KnownPicture, small_png
from support.pictures import jpeg_bytes, png_bytes
from support.rest import (
    MULTIPART,
    RESULTS,
    Part,
    PictureSite,
    RestService,
    image_part,
    multipart,
    raw_exchange,
    request,
    text_part,
)

MISSING = '{"detail":"Missing image or url field."}'


@pytest.mark.parametrize(
    "content_type", [None, "application/octet-stream", "image/jpeg", "text/plain", "nonsense"]
)
@pytest.mark.parametrize("filename", ["photo.jpg", "photo", "photo.png", "photo.txt"])
def test_the_type_is_told_by_the_bytes(
    rest: RestService, picture: KnownPicture, content_type: str | None, filename: str
) -> None:
    """Neither the part's Content-Type, or its absence, nor the name's extension decides what a file is."""
    result = rest.post(image_part(picture.content, filename, content_type)).result

    assert (result.code, result.message, result.name) == ("ok", "Success", filename)


@pytest.mark.parametrize("content", [jpeg_bytes(), png_bytes()], ids=["jpeg", "png"])
def test_both_documented_types_are_cut(rest: RestService, content: bytes) -> None:
    """A regular JPEG and a regular PNG."""
    assert rest.post(image_part(content)).result.code == "ok"


def test_a_closing_boundary_may_end_the_body(rest: RestService, picture: KnownPicture) -> None:
    """No line end after the last boundary, as the vendor's Swift sample writes it."""
    body = multipart(image_part(picture.content, content_type=None), end="")

    reply = request(rest.address, "POST", RESULTS, body, MULTIPART)

    assert reply.result.code == "ok"


def test_a_body_may_come_in_chunks(rest: RestService, picture: KnownPicture) -> None:
    """A caller that streams declares no length."""
    body = multipart(image_part(picture.content))
    head = f"POST {RESULTS} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
    head += f"Content-Type: {MULTIPART['Content-Type']}\r\n\r\n"
    chunks = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    written = [f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks]

    reply = raw_exchange(rest.address, head.encode(), *written, b"0\r\n\r\n")

    assert reply.result.code == "ok"


def test_a_caller_that_asks_first_is_told_to_go_on(rest: RestService, picture: KnownPicture) -> None:
    """`Expect: 100-continue`, as curl sends it with large files, is answered before the body."""
    body = multipart(image_part(picture.content))
    head = f"POST {RESULTS} HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {MULTIPART['Content-Type']}\r\n\r\n"

    reply = raw_exchange(rest.address, head.encode(), body)

    assert reply.result.code == "ok"


def test_a_quoted_boundary_is_understood(rest: RestService, picture: KnownPicture) -> None:
    """Some clients put the boundary in quotes, or write the type in capitals."""
    boundary = MULTIPART["Content-Type"].partition("boundary=")[2]
    kind = {"Content-Type": f'Multipart/Form-Data; charset=utf-8; boundary="{boundary}"'}

    reply = request(rest.address, "POST", RESULTS, multipart(image_part(picture.content)), kind)

    assert reply.result.code == "ok"


def test_empty_texts_mean_absent(rest: RestService, picture: KnownPicture) -> None:
    """Fields that a form's page left empty change nothing."""
    empty = [text_part(name, "") for name in ("image-bg", "url", "url-bg")]

    reply = rest.post(image_part(picture.content), *empty)

    assert reply.text == rest.post(image_part(picture.content)).text


def test_empty_texts_alone_are_a_missing_image(rest: RestService) -> None:
    """An empty URL is no URL."""
    reply = rest.post(text_part("url", ""), text_part("image-bg", ""))

    assert (reply.status, reply.text) == (422, MISSING)


def test_a_url_may_come_urlencoded(rest: RestService, site: PictureSite, picture: KnownPicture) -> None:
    """The vendor's Python, C# and Swift samples post it so."""
    url = site.hold("shoes.jpg", picture.content)

    result = rest.post_urlencoded(url=url).result

    assert (result.code, result.name) == ("ok", "shoes.jpg")


def test_a_url_may_come_as_multipart(rest: RestService, site: PictureSite, picture: KnownPicture) -> None:
    """The document posts it so."""
    url = site.hold("shoes.jpg", picture.content)

    result = rest.post(text_part("url", url)).result

    assert (result.code, result.name) == ("ok", "shoes.jpg")


def test_the_image_wins_over_the_url(rest: RestService, site: PictureSite, picture: KnownPicture) -> None:
    """With both, the file is cut and the URL is not even fetched."""
    url = site.url("never-asked-for.jpg")

    result = rest.post(text_part("url", url), image_part(picture.content, "mine.jpg")).result

    assert (result.code, result.name) == ("ok", "mine.jpg")
    assert not site.was_asked_for("never-asked-for.jpg")


def test_an_empty_image_without_a_filename_is_absent(
    rest: RestService, site: PictureSite, picture: KnownPicture
) -> None:
    """The URL beside it is cut; without one the image is missing."""
    url = site.hold("shoes.jpg", picture.content)

    beside = rest.post(Part("image", b""), text_part("url", url))
    alone = rest.post(Part("image", b""))

    assert beside.result.name == "shoes.jpg"
    assert (alone.status, alone.text) == (422, MISSING)


def test_an_empty_image_with_a_filename_fails(rest: RestService, site: PictureSite) -> None:
    """A file was chosen, and it is no picture; the URL beside it does not count."""
    result = rest.post(image_part(b"", "empty.jpg"), text_part("url", site.url("x.jpg"))).result

    assert (result.code, result.message, result.name) == ("failure", "Can not load image.", "empty.jpg")


def test_an_image_without_a_filename_is_cut(rest: RestService, picture: KnownPicture) -> None:
    """Some callers send the bytes as a plain field; they have no name then."""
    result = rest.post(Part("image", picture.content)).result

    assert (result.code, result.name) == ("ok", "")


def test_the_order_of_fields_does_not_matter(rest: RestService, picture: KnownPicture) -> None:
    """The image may come last, after a background and after fields that mean nothing."""
    first = rest.post(image_part(picture.content), Part("image-bg", small_png(3), "bg.png"))
    last = rest.post(
        text_part("unknown", "field"), Part("image-bg", small_png(3), "bg.png"), image_part(picture.content)
    )

    assert first.result.code == "ok"
    assert last.text == first.text


def test_what_is_unknown_is_ignored(rest: RestService, picture: KnownPicture) -> None:
    """Unknown fields, files and query parameters change nothing."""
    plain = rest.post(image_part(picture.content))

    more = rest.post(
        image_part(picture.content),
        Part("another", b"\0" * 1000, "another.bin"),
        text_part("size", "auto"),
        path=f"{RESULTS}?size=auto&algo=2",
    )

    assert more.text == plain.text


def test_a_mode_is_taken_from_the_query(rest: RestService, picture: KnownPicture) -> None:
    """It is optional, and fg-image is what no mode means."""
    named = rest.post(image_part(picture.content), path=f"{RESULTS}?mode=fg-image")
    mask = rest.post(image_part(picture.content), path=f"{RESULTS}?mode=fg-mask")

    assert named.text == rest.post(image_part(picture.content)).text
    assert mask.result.entity_name == "general-fg-mask"


def test_base64_may_be_asked_for_by_name(rest: RestService, picture: KnownPicture) -> None:
    """`representation=base64` is the default."""
    reply = rest.post(image_part(picture.content), path=f"{RESULTS}?representation=base64")

    assert reply.text == rest.post(image_part(picture.content)).text


@pytest.mark.parametrize("accept", ["*/*", "application/json, text/plain, */*", "application/json", ""])
def test_what_programs_accept_by_habit_gets_json(
    rest: RestService, picture: KnownPicture, accept: str
) -> None:
    """curl's and axios' own Accept headers do not ask for raw bytes."""
    reply = rest.post(image_part(picture.content), headers={"Accept": accept})

    assert reply.result.code == "ok"


@pytest.mark.parametrize("header", ["X-API-KEY", "X-RapidAPI-Key", "x-rapidapi-key", "Authorization"])
def test_a_key_is_ignored_where_none_is_configured(
    rest: RestService, picture: KnownPicture, header: str
) -> None:
    """Callers send the key they have; an open service takes no notice."""
    headers = {header: "whatever", "X-RapidAPI-Host": "background.example", "A4A-CLIENT-APP-ID": "sample"}

    by_header = rest.post(image_part(picture.content), headers=headers)
    by_query = rest.post(image_part(picture.content), path=f"{RESULTS}?api_key=whatever")

    assert by_header.result.code == "ok"
    assert by_query.result.code == "ok"
