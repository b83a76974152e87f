"""Answers are read within limits, whatever the server makes of HTTP."""

import gzip
import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from alphacut_server.errors import MD5_OF_NOTHING, UrlNotFetched
from alphacut_server.fetch.exchange import AuthoritiesUnusable, trusted_authorities
from alphacut_server.fetch.refusal import Cause
from support.local_fetches import allowing, cause_of, fetcher_of
from support.web import Behaviour, Caller, Web, answer

MAX_BYTES = 1000
PICTURE = bytes(range(256)) * 3
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def web() -> Iterator[Web]:
    """Return a server that may be fetched from."""
    with Web() as web:
        yield web


async def fetched(web: Web, whole: bytes) -> bytes:
    """Return what comes of a server that says exactly this."""
    return await fetcher_of(allowing(web), max_bytes=MAX_BYTES).fetch(web.say("/x", whole), timeout_s=5)


async def refused(
    web: Web, whole: bytes | Behaviour, timeout_ms: int = 5000, max_bytes: int = MAX_BYTES
) -> UrlNotFetched:
    """Return the error that comes of it."""
    url = web.say("/x", whole) if isinstance(whole, bytes) else web.behave("/x", whole)
    fetcher = fetcher_of(allowing(web, timeout_ms=timeout_ms), max_bytes=max_bytes)
    with pytest.raises(UrlNotFetched) as caught:
        await fetcher.fetch(url, timeout_s=10)
    return caught.value


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def repeating(head: bytes, piece: bytes) -> Behaviour:
    """Say the head, then the piece for as long as anybody listens."""

    async def repeat(caller: Caller) -> None:
        await caller.send(head)
        while True:
            await caller.send(piece)

    return repeat


def stopping(said: bytes) -> Behaviour:
    """Say this, then nothing more, and keep the connection."""

    async def stop(caller: Caller) -> None:
        await caller.send(said)
        await caller.until_gone()

    return stop


@pytest.mark.parametrize(
    "whole",
    [
        answer(PICTURE),
        answer(PICTURE, headers=["Content-Type: text/html", "Set-Cookie: a=b"]),
        answer(PICTURE, headers=["Content-Encoding: identity"]),
        answer(PICTURE, declare=None),
        b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE,
        b"HTTP/1.1 200\r\nContent-Length: 768\r\n\r\n" + PICTURE,
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + answer(PICTURE),
        CHUNKED + chunk(PICTURE[:10]) + chunk(PICTURE[10:]) + b"0\r\n\r\n",
        CHUNKED + b"300;note=x\r\n" + PICTURE + b"\r\n0\r\nTrailer: y\r\n\r\n",
        CHUNKED + b"".join(chunk(bytes([byte])) for byte in PICTURE) + b"0\r\n\r\n",
    ],
    ids=[
        "plain",
        "cookies",
        "identity",
        "no length",
        "1.0",
        "no reason",
        "hints",
        "chunked",
        "trailer",
        "crumbs",
    ],
)
async def test_a_picture_arrives_however_it_is_framed(web: Web, whole: bytes) -> None:
    """Lengths, chunks, an end by closing, interim answers; the content type is nobody's business here."""
    assert await fetched(web, whole) == PICTURE


async def test_nothing_at_all_is_content_too(web: Web) -> None:
    """Whether bytes are a picture is decided where pictures are read."""
    assert await fetched(web, answer(b"")) == b""


async def test_a_size_below_the_limit_passes_and_the_limit_does_not(web: Web) -> None:
    """The limit is the first size refused, declared or counted."""
    assert len(await fetched(web, answer(bytes(MAX_BYTES - 1)))) == MAX_BYTES - 1

    declared = await refused(web, answer(bytes(MAX_BYTES)))
    counted = await refused(web, answer(bytes(MAX_BYTES), declare=None))

    assert cause_of(declared) is cause_of(counted) is Cause.TOO_LARGE
    assert declared.metadata["md5"] == MD5_OF_NOTHING
    assert counted.metadata["md5"] == hashlib.md5(bytes(MAX_BYTES)).hexdigest()


@pytest.mark.parametrize(
    "status",
    ["204 No Content", "206 Partial Content", "304 Not Modified", "403 Forbidden", "404 Not Found", "500 x"],
)
async def test_any_status_but_200_is_refused(web: Web, status: str) -> None:
    """Its body is not read: an error page is no picture, and not ours to pass on."""
    error = await refused(web, answer(PICTURE, status=status))

    assert cause_of(error) in {Cause.STATUS, Cause.BROKEN}
    assert error.metadata == {"md5": MD5_OF_NOTHING}


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "GZIP", "aes128gcm"])
async def test_a_compressed_answer_is_refused(web: Web, coding: str) -> None:
    """Nobody asked for it, and a few bytes could become any number."""
    error = await refused(web, answer(gzip.compress(bytes(1 << 20)), headers=[f"Content-Encoding: {coding}"]))

    assert cause_of(error) is Cause.ENCODED
    assert web.seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("length", ["9" * 15, "9" * 20])
async def test_an_enormous_length_is_refused(web: Web, length: str) -> None:
    """However many digits it has, nothing is set aside for it."""
    error = await refused(web, f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())

    assert cause_of(error) is Cause.TOO_LARGE


async def test_a_body_shorter_than_declared_is_refused(web: Web) -> None:
    """Half a picture is none; the caller is told the MD5 of what came."""
    error = await refused(web, answer(b"half of it", declare=20))

    assert cause_of(error) is Cause.BROKEN
    assert error.metadata["md5"] == hashlib.md5(b"half of it").hexdigest()


async def test_a_body_longer_than_declared_ends_where_it_said(web: Web) -> None:
    """What follows is not read as anything."""
    assert await fetched(web, answer(b"whole, and more", declare=5)) == b"whole"


@pytest.mark.parametrize(
    "whole",
    [
        b"",
        b"no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nwhole",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"<html>",
        b"\x16\x03\x01\x02",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-5\r\nabcde\r\n",
        CHUNKED + chunk(PICTURE),
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused(web: Web, whole: bytes) -> None:
    """As every other failure: one error for the caller."""
    error = await refused(web, whole)

    assert cause_of(error) in {Cause.BROKEN, Cause.STATUS}


@pytest.mark.parametrize(
    "behaviour",
    [
        repeating(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 4000 + b"\r\n"),
        repeating(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 4000),
        repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        repeating(CHUNKED, b"1;" + b"x" * 4000),
        repeating(CHUNKED, b"1;" + b"x" * 4000 + b"\r\ny\r\n"),
        repeating(CHUNKED + b"0\r\n", b"X: " + b"y" * 4000 + b"\r\n"),
    ],
    ids=["headers", "one header", "interim answers", "one chunk size", "chunk extensions", "trailers"],
)
async def test_words_around_the_body_are_limited(web: Web, behaviour: Behaviour) -> None:
    """An endless head, or endless framing, is no way to keep the server busy; the connection is closed."""
    error = await refused(web, behaviour)

    assert cause_of(error) in {Cause.TOO_WORDY, Cause.BROKEN}
    assert web.wait_until_left()


async def test_a_body_in_crumbs_is_refused(web: Web) -> None:
    """Each part costs work whatever its size; a few thousand small ones are forgiven."""
    error = await refused(web, repeating(CHUNKED, chunk(b"x") * 100), max_bytes=1 << 20)

    assert cause_of(error) is Cause.TOO_WORDY
    assert web.wait_until_left()


async def test_a_large_picture_in_small_chunks_arrives(web: Web) -> None:
    """Chunks of half a kilobyte are odd and no attack."""
    picture = bytes(range(256)) * 2 * 4096
    pieces = b"".join(chunk(picture[start : start + 512]) for start in range(0, len(picture), 512))
    url = web.say("/x", CHUNKED + pieces + chunk(b""))

    assert await fetcher_of(allowing(web), max_bytes=4 << 20).fetch(url, timeout_s=10) == picture


async def test_an_endless_body_is_cut_off(web: Web) -> None:
    """As soon as it is too large, and the connection is closed."""
    error = await refused(web, repeating(answer(declare=None), bytes(64 << 10)))

    assert cause_of(error) is Cause.TOO_LARGE
    assert web.wait_until_left()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nX: y\r\n",
        answer(b"12345", declare=99),
        CHUNKED + b"5\r\n12",
    ],
    ids=["nothing", "status", "headers", "body", "chunk"],
)
async def test_a_server_that_falls_silent_is_left(web: Web, said: bytes) -> None:
    """After the configured time, wherever it stopped."""
    error = await refused(web, stopping(said), timeout_ms=150)

    assert cause_of(error) is Cause.TIMEOUT
    assert web.wait_until_left()


async def test_a_server_that_dribbles_is_left(web: Web) -> None:
    """The time holds for the whole, not for each byte."""

    async def dribble(caller: Caller) -> None:
        await caller.send(answer(declare=900))
        while not await caller.is_gone_within(0.01):
            await caller.send(b"x")

    error = await refused(web, dribble, timeout_ms=150)

    assert cause_of(error) is Cause.TIMEOUT
    assert web.wait_until_left()


def test_a_file_that_holds_no_authority_is_told_at_the_start(tmp_path: Path) -> None:
    """With its name and the setting's, for the operator reads this."""
    garbage = tmp_path / "ca.pem"
    garbage.write_text("no certificate")

    with pytest.raises(AuthoritiesUnusable, match=r"fetch\.ca_file.*ca\.pem"):
        trusted_authorities(garbage)
    with pytest.raises(AuthoritiesUnusable, match="No such file"):
        trusted_authorities(tmp_path / "missing.pem")


def test_certificates_are_always_checked() -> None:
    """With host names, against the known authorities, over TLS 1.2 at least."""
    context = trusted_authorities(None)

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) > 50
