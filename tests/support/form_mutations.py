"""Forms as hostile or broken clients send them: well-formed ones, spoilt in every way that a form can be spoilt."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CRLF = b"\r\n"
FIELDS = (b"image", b"url", b"image-bg", b"url-bg", b"mode", b"IMAGE", b"image[]", b"", b"other")
FILENAMES = (
    b"photo.jpg",
    b"",
    b'a"b.jpg',
    b"C:\\fotos\\me.png",
    "été 🐈.jpg".encode(),
    b"\xff\xfe.jpg",
    b"x" * 3000,
    b"../../etc/passwd",
    b"a\x00b.png",
)
URLS = (
    b"",
    b"http://127.0.0.1/a.jpg",
    b"http://[::1]/",
    b"file:///etc/passwd",
    b"http://169.254.169.254/latest/meta-data",
    b"https://",
    b"\xff\xff",
    b"http://a/" + b"x" * 5000,
    b"gopher://x",
    b" http://0x7f.1/ ",
)
JUNK = (b"", b"\0" * 64, b"--", b"\r\n\r\n", b"\n", b"--\r\n--", b"\xff" * 200, b"%00", b"=&=&", b"a" * 5000)


@dataclass(frozen=True, slots=True)
class HostileForm:
    """A body and what it says it is."""

    content_type: bytes
    body: bytes


@dataclass(slots=True)
class Part:
    """One part before it is written down."""

    headers: list[bytes]
    content: bytes


def hostile_form(source: random.Random, pictures: Sequence[bytes]) -> HostileForm:
    """Return the next form; the same seed gives the same forms. pictures: files to send in them."""
    if source.random() < 0.12:
        return _urlencoded(source)
    boundary = source.choice((b"frontier", b"----WebKitFormBoundaryAbC123", b"a", b"x" * 70, b"=_?:"))
    parts = [_part(source, pictures) for _ in range(source.choice((0, 1, 1, 1, 2, 2, 3, 5, 80)))]
    if source.random() < 0.6:
        whole = [
            b'Content-Disposition: form-data; name="image"; filename="' + source.choice(FILENAMES[:5]) + b'"'
        ]
        parts.insert(source.randrange(len(parts) + 1), Part(whole, source.choice(pictures)))
    body = _written(parts, boundary)
    for _ in range(source.choice((0, 0, 1, 1, 2, 4))):
        body = source.choice(SPOILERS)(source, body)
    return HostileForm(_content_type(source, boundary), body)


def _part(source: random.Random, pictures: Sequence[bytes]) -> Part:
    name = source.choice(FIELDS)
    disposition = b'Content-Disposition: form-data; name="' + name + b'"'
    content = source.choice((source.choice(pictures), source.choice(URLS), source.choice(JUNK)))
    if source.random() < 0.6:
        disposition += b'; filename="' + source.choice(FILENAMES) + b'"'
    if source.random() < 0.05:
        disposition += b"; filename*=UTF-8''%e2%82%ac%zz"
    headers = [disposition]
    if source.random() < 0.5:
        kinds = (b"image/jpeg", b"application/octet-stream", b"text/plain; charset=x", b"multipart/mixed")
        headers.append(b"Content-Type: " + source.choice(kinds))
    if source.random() < 0.05:
        headers.append(b"Content-Transfer-Encoding: base64")
    if source.random() < 0.03:
        headers = [b"X-Long: " + b"y" * 20_000, *headers]
    if source.random() < 0.03:
        headers = []
    return Part(headers, content)


def _written(parts: Sequence[Part], boundary: bytes) -> bytes:
    lines = b"".join(
        b"--" + boundary + CRLF + CRLF.join(part.headers) + CRLF * 2 + part.content + CRLF for part in parts
    )
    return lines + b"--" + boundary + b"--" + CRLF


def _content_type(source: random.Random, boundary: bytes) -> bytes:
    usual = b"multipart/form-data; boundary=" + boundary
    odd = (
        b"multipart/form-data",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=another",
        b"multipart/form-data; boundary=" + b"b" * 500,
        b'multipart/form-data; charset=utf-16; boundary="' + boundary + b'"',
        b"MULTIPART/Form-Data; BOUNDARY=" + boundary,
        b"multipart/mixed; boundary=" + boundary,
        b"application/json",
        b"",
        b"\xff\xfe",
    )
    return source.choice(odd) if source.random() < 0.1 else usual


def _urlencoded(source: random.Random) -> HostileForm:
    pairs = [
        source.choice(FIELDS) + source.choice((b"=", b"", b"==")) + source.choice((*URLS, *JUNK))
        for _ in range(source.choice((0, 1, 2, 3, 300)))
    ]
    kinds = (b"application/x-www-form-urlencoded", b"application/x-www-form-urlencoded; charset=latin-1")
    return HostileForm(source.choice(kinds), b"&".join(pairs))


def _flip(source: random.Random, body: bytes) -> bytes:
    spoilt = bytearray(body)
    for _ in range(source.choice((1, 3, 20))):
        if spoilt:
            spoilt[source.randrange(len(spoilt))] = source.randrange(256)
    return bytes(spoilt)


def _cut(source: random.Random, body: bytes) -> bytes:
    return body[: source.randrange(len(body) + 1)]


def _insert(source: random.Random, body: bytes) -> bytes:
    at = source.randrange(len(body) + 1)
    return body[:at] + source.choice(JUNK) + body[at:]


def _remove(source: random.Random, body: bytes) -> bytes:
    at = source.randrange(len(body) + 1)
    return body[:at] + body[at + source.choice((1, 2, 30, 1000)) :]


def _double(source: random.Random, body: bytes) -> bytes:
    return body + body[: source.randrange(len(body) + 1)]


def _lone_newlines(_source: random.Random, body: bytes) -> bytes:
    return body.replace(CRLF, b"\n")


def _without_last_newline(_source: random.Random, body: bytes) -> bytes:
    return body.removesuffix(CRLF)


def _with_preamble(source: random.Random, body: bytes) -> bytes:
    return source.choice(JUNK) + CRLF + body


SPOILERS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip,
    _cut,
    _insert,
    _remove,
    _double,
    _lone_newlines,
    _without_last_newline,
    _with_preamble,
)
