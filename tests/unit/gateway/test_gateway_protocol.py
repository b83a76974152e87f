"""Connections as they are on the wire: heads that are slow, large or strange, and callers that do not read."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from alphacut_gateway.crowd import RefuseCrowd
from alphacut_gateway.http_protocol import MAX_HEAD_BYTES, SPARE_CONNECTIONS, ConnectionLimits, protocol_with
from support.gateway_http import AMPLE, Caller, Uploads, caller_of, delivered, http_server, multipart, post
from support.server import HANG_S

GET = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"
HASTY = ConnectionLimits(header_timeout_s=0.02, send_timeout_s=HANG_S, max_connections=100)
UNREAD = ConnectionLimits(header_timeout_s=HANG_S, send_timeout_s=0.05, max_connections=10)
FORM = multipart(b"b", (b'form-data; name="url"', b"http://x"))


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the names of the request's headers and its body's length."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    names = ",".join(sorted(name.decode() for name, _ in scope["headers"]))
    await PlainTextResponse(f"{names} {length}")(scope, receive, send)


@pytest.mark.parametrize("sent", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: h\r\n"])
async def test_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    """A caller that sent nothing hears nothing; one that began is told."""
    async with http_server(echo, HASTY) as port, caller_of(port) as caller:
        await caller.write(sent)
        answer = await caller.until_closed()

    assert answer[:12] == (b"HTTP/1.1 408" if sent else b"")
    assert answer.endswith(b'{"message": "The request\'s headers did not arrive in time."}' if sent else b"")


async def test_head_of_the_next_request_must_come_in_time_too() -> None:
    """A connection that was used well before is no licence."""
    async with http_server(echo, HASTY) as port, caller_of(port) as caller:
        await caller.write(GET)
        first = await caller.answer()
        await caller.write(b"GET /slow")
        second = await caller.answer()

    assert (first.status, second.status) == (200, 408)


async def test_head_may_be_late_while_an_answer_is_made() -> None:
    """Reading may be held up then, so the caller is not to blame; the answer comes first."""
    entered, release = asyncio.Event(), asyncio.Event()

    async def held(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        await release.wait()
        await echo(scope, receive, send)

    async with http_server(held, HASTY) as port, caller_of(port) as caller:
        await caller.write(GET + b"GET /next HT")
        await entered.wait()
        async with asyncio.timeout(HANG_S):
            await _pass_time(2 * HASTY.header_timeout_s)
        release.set()
        first = await caller.answer()
        await caller.write(b"TP/1.1\r\nHost: h\r\n\r\n")
        second = await caller.answer()

    assert (first.status, second.status) == (200, 200)


async def _pass_time(span_s: float) -> None:
    """Wait for the loop's clock itself: the timer under test runs on it."""
    passed = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(span_s, passed.set_result, None)
    await passed


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /" + b"a" * 2 * MAX_HEAD_BYTES],
        [b"GET / HTTP/1.1\r\n", *[b"X: " + b"a" * 1000 + b"\r\n"] * 40],
        [b"GET / HTTP/1.1\r\nX: ", *[b"a" * 1000] * 700],
        [b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * MAX_HEAD_BYTES],
    ],
    ids=["line", "headers", "endless header", "many headers"],
)
async def test_large_head_is_refused(pieces: list[bytes]) -> None:
    """Whether in one piece or by and by, and the answer can be read."""
    async with http_server(echo) as port, caller_of(port) as caller:
        await caller.write(*pieces)
        answer = await caller.answer()

    assert answer.status == 431
    assert answer.headers["connection"] == "close"
    assert "larger than 32768 bytes" in answer.message


async def test_large_body_behind_a_head_is_not_counted_as_head() -> None:
    """A body and the next request's head may come at once."""
    body = b"p" * 3 * MAX_HEAD_BYTES
    async with http_server(echo) as port, caller_of(port) as caller:
        await caller.write(post(length=len(body)) + body + GET[:9])
        first = await caller.answer()
        await caller.write(GET[9:])
        second = await caller.answer()

    assert first.body.endswith(b" 98304")
    assert second.status == 200


@pytest.mark.parametrize(
    "request_line",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_told_so(request_line: bytes) -> None:
    """TLS on the plain port is the most common of these."""
    async with http_server(echo) as port, caller_of(port) as caller:
        await caller.write(request_line)
        answer = await caller.answer()

    assert (answer.status, answer.message) == (400, "This is not a request of HTTP/1.1.")


async def test_broken_body_is_answered_and_ends_the_request() -> None:
    """A chunk without a size: the caller is told, and the application hears that there is nothing more to come."""
    uploads = Uploads()
    async with http_server(delivered(uploads)) as port, caller_of(port) as caller:
        await caller.write(post(length=None) + b"5\r\n--b\r\n\r\nno size\r\n")
        answer = await caller.answer()
        async with asyncio.timeout(HANG_S):
            await uploads.was_lost.wait()

    assert (answer.status, answer.message) == (400, "This is not a request of HTTP/1.1.")
    assert uploads.room.held_bytes == 0


async def test_broken_body_behind_an_answer_does_not_spoil_it() -> None:
    """The caller was answered before; nothing is written behind that."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("no", 401)(scope, receive, send)

    async with http_server(delivered(refuse)) as port, caller_of(port) as caller:
        await caller.write(post(length=None))
        answer = await caller.answer()
        await caller.write(b"no size\r\n")
        rest = await caller.until_closed()

    assert (answer.status, rest) == (401, b"")


async def test_whole_request_before_garbage_is_answered() -> None:
    """What follows it ends the connection, but not before."""
    async with http_server(echo) as port, caller_of(port) as caller:
        await caller.write(GET + b"\x16\x03\x01 garbage" + GET)
        answer = await caller.answer()
        rest = await caller.until_closed()

    assert (answer.status, answer.headers["connection"], rest) == (200, "close", b"")


async def test_length_and_chunks_together_are_refused() -> None:
    """Two programs that read such a request differently can be played against each other."""
    async with http_server(echo) as port, caller_of(port) as caller:
        await caller.write(post(length=None, extra="Content-Length: 5\r\n") + b"0\r\n\r\n")
        answer = await caller.answer()

    assert answer.status == 400


async def test_headers_after_the_body_are_dropped() -> None:
    """A key in a trailer would be one that no proxy in front has seen."""
    async with http_server(echo) as port, caller_of(port) as caller:
        await caller.write(post(length=None) + b"3\r\nabc\r\n0\r\nX-API-KEY: stolen\r\n\r\n")
        answer = await caller.answer()

    assert answer.body == b"content-type,host,transfer-encoding 3"


async def test_endless_headers_after_the_body_are_refused() -> None:
    """They count as the head's."""
    trailer = b"X: " + b"a" * 1000 + b"\r\n"
    async with http_server(echo) as port, caller_of(port) as caller:
        await caller.write(post(length=None) + b"0\r\n", *[trailer] * 40)
        received = await caller.until_closed()

    assert b"200 OK" not in received


@pytest.mark.parametrize("cut", [10, 150, 200, 230])
@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
async def test_offer_of_another_protocol_is_declined(upgrade: str, cut: int) -> None:
    """The request is served whole, body and all, and so is the next on the connection: Java's client offers HTTP/2 each time."""
    extra = f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABk\r\n"
    request = post(length=len(FORM), extra=extra) + FORM
    uploads = Uploads()
    async with http_server(delivered(uploads)) as port, caller_of(port) as caller:
        await caller.write(request[:cut])
        await _pass_time(0.005)
        await caller.write(request[cut:])
        first = await caller.answer()
        await caller.write(request)
        second = await caller.answer()

    assert (first.status, first.body) == (200, b'{"files":{},"texts":{"url":"http://x"}}')
    assert second == first


async def test_tunnel_is_refused() -> None:
    """This is no proxy."""
    async with http_server(echo) as port, caller_of(port) as caller:
        await caller.write(b"CONNECT internal:22 HTTP/1.1\r\nHost: internal:22\r\n\r\n")
        answer = await caller.answer()

    assert answer.status == 405


async def test_connections_beyond_the_limit_are_refused_politely() -> None:
    """Requests get 503 and should come again; probes are answered; those who were there are served."""
    limits = ConnectionLimits(header_timeout_s=HANG_S, send_timeout_s=HANG_S, max_connections=1)
    app = RefuseCrowd(echo, is_probe=lambda path: path == "/livez")
    request = b"GET /v1/modes HTTP/1.1\r\nHost: h\r\n\r\n"
    async with http_server(app, limits) as port, caller_of(port) as first:
        await first.write(request)
        served = await first.answer()
        async with caller_of(port) as second:
            await second.write(GET)
            probed = await second.answer()
            await second.write(request)
            refused = await second.answer()
        await first.write(request)
        served_again = await first.answer()

    assert (served.status, probed.status, served_again.status) == (200, 200, 200)
    assert (refused.status, refused.headers["connection"]) == (503, "close")
    assert int(refused.headers["retry-after"]) >= 1


async def test_connections_far_beyond_the_limit_are_cut() -> None:
    """Refusing politely takes memory, too."""
    limits = ConnectionLimits(
        header_timeout_s=HANG_S, send_timeout_s=HANG_S, max_connections=1 - SPARE_CONNECTIONS
    )
    async with http_server(echo, limits) as port, caller_of(port) as first:
        await first.write(GET)
        await first.answer()
        async with caller_of(port) as second:
            received = await second.until_closed()

    assert received == b""


def answering(size: int, ended: asyncio.Event) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an application that answers `size` bytes, and tells when it is through."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(b"a" * size)(scope, receive, send)
        ended.set()

    return app


async def _unread(port: int) -> tuple[Caller, asyncio.Transport]:
    """Ask, and read nothing: neither this program nor the system takes more than a little."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=1)
    transport = cast(asyncio.Transport, writer.transport)
    writer.write(GET)
    transport.pause_reading()
    return Caller(reader, writer), transport


async def test_caller_who_does_not_read_is_cut() -> None:
    """The answer is given up once it stood still too long, and its memory with it."""
    ended = asyncio.Event()
    async with http_server(delivered(answering(50_000_000, ended)), UNREAD) as port:
        caller, transport = await _unread(port)
        async with asyncio.timeout(HANG_S):
            await ended.wait()
        transport.resume_reading()
        received = await caller.until_closed()
        caller.writer.close()

    assert len(received) < 50_000_000


class StuckTransport(asyncio.Transport):
    """A connection whose caller takes nothing. written: what the server wrote. is_cut: once it was given up."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_cut = asyncio.Event()
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the bytes; they do not leave."""
        self.written += data

    def get_write_buffer_size(self) -> int:
        """Return how much was written."""
        return len(self.written)

    def is_closing(self) -> bool:
        """Tell whether it was given up."""
        return self.is_cut.is_set()

    def abort(self) -> None:
        """Give up."""
        self.is_cut.set()
        assert self.protocol is not None
        self.protocol.connection_lost(None)

    def close(self) -> None:
        """Do nothing: bytes are on the way."""

    def resume_reading(self) -> None:
        """Do nothing."""


async def test_rest_of_an_answer_left_unread_is_cut() -> None:
    """Also when it is so small that the application was through with it, and nothing waits for it."""
    config = uvicorn.Config(echo, http=protocol_with(UNREAD), log_config=None, lifespan="off", ws="none")
    config.load()
    transport = StuckTransport()
    transport.protocol = protocol_with(UNREAD)(config, ServerState(), {})
    transport.protocol.connection_made(transport)

    transport.protocol.data_received(GET)
    async with asyncio.timeout(HANG_S):
        await transport.is_cut.wait()

    assert transport.written.endswith(b"host 0")


async def test_slow_reader_gets_all_of_a_large_answer() -> None:
    """It is handed over in pieces, as fast as the caller takes them."""
    ended = asyncio.Event()
    async with http_server(delivered(answering(20_000_000, ended)), AMPLE) as port, caller_of(port) as caller:
        await caller.write(GET)
        answer = await caller.answer()

    assert answer.body == b"a" * 20_000_000
