"""A real HTTP server on this loop with the gateway's connections, before an application of the test's choice."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from alphacut_gateway.delivery import Deliver
from alphacut_gateway.forms import BodyMalformed, BodyRefused, BodyTooLarge, CallerGone, NoRoom, SenderTooSlow
from alphacut_gateway.http_protocol import ConnectionLimits, protocol_with
from alphacut_gateway.intake import BodyLimits, open_form
from alphacut_gateway.room import Room, RoomLimits
from alphacut_service.addresses import open_listener
from support.server import HANG_S

AMPLE = ConnectionLimits(header_timeout_s=HANG_S, send_timeout_s=HANG_S, max_connections=100)
PATIENT = BodyLimits(upload_timeout_s=HANG_S, grace_s=HANG_S, min_bytes_per_s=1)
STATUS = {BodyTooLarge: 413, BodyMalformed: 400, SenderTooSlow: 408, NoRoom: 503}

FILES, TEXTS = frozenset({"image", "image-bg"}), frozenset({"url", "url-bg"})


def room_of(max_bytes: int = 1 << 30, *, max_waiting: int = 100, timeout_s: float = HANG_S) -> Room:
    """Return a room, large and patient if not told otherwise."""
    return Room(RoomLimits(max_bytes=max_bytes, max_waiting=max_waiting, timeout_s=timeout_s))


class Uploads:
    """An application that reads a form and says what is in it; refusals are answered by `STATUS`.

    hold: makes it wait, its form read, until `release` is set; `entered` is set meanwhile. lost: callers who went away.
    """

    def __init__(self, *, limits: BodyLimits = PATIENT, room: Room | None = None, hold: bool = False) -> None:
        self.room = room or room_of()
        self.lost = 0
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.was_lost = asyncio.Event()
        self._limits = limits
        if not hold:
            self.release.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            async with open_form(
                Headers(scope=scope), receive, self._limits, files=FILES, texts=TEXTS, room=self.room
            ) as taken:
                self.entered.set()
                await self.release.wait()
                sizes = {name: len(part.content) for name, part in taken.form.files.items()}
                await JSONResponse({"files": sizes, "texts": dict(taken.form.texts)})(scope, receive, send)
        except BodyRefused as error:
            await JSONResponse({"message": error.message}, STATUS[type(error)])(scope, receive, send)
        except CallerGone:
            self.lost += 1
            self.was_lost.set()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the test run's signals alone."""
        yield


@asynccontextmanager
async def http_server(app: ASGIApp, limits: ConnectionLimits = AMPLE) -> AsyncIterator[int]:
    """Serve the application on a port of this machine, which is given, until the block ends."""
    with open_listener("127.0.0.1", 0, setting="") as listener:
        config = uvicorn.Config(
            app,
            http=protocol_with(limits),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        port: int = listener.getsockname()[1]
        try:
            yield port
        finally:
            server.should_exit = True
            await serving


def delivered(app: ASGIApp, *, linger_s: float = HANG_S, linger_idle_s: float = HANG_S) -> Deliver:
    """Wrap an application as the gateway does."""
    return Deliver(app, linger_s=linger_s, linger_idle_s=linger_idle_s)


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An HTTP/1.1 answer with a Content-Length, as it stood on the wire; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> str:
        """Return the `message` of a JSON body."""
        message = json.loads(self.body)["message"]
        assert isinstance(message, str)
        return message


class Caller:
    """A caller that writes and reads the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def write(self, *pieces: bytes) -> None:
        """Write, waiting until the connection takes it."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self) -> RawAnswer:
        """Read one answer."""
        async with asyncio.timeout(HANG_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers["content-length"]))
        return RawAnswer(int(head[0].split()[1]), headers, body)

    async def until_closed(self) -> bytes:
        """Read until the connection ends, however; return what came."""
        received = b""
        async with asyncio.timeout(HANG_S):
            with suppress(ConnectionResetError):
                while data := await self.reader.read(65536):
                    received += data
        return received


@asynccontextmanager
async def caller_of(port: int) -> AsyncIterator[Caller]:
    """Open a connection for the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def multipart(boundary: bytes, *parts: tuple[bytes, bytes]) -> bytes:
    """Return a body of parts, each the value of its Content-Disposition and its content."""
    head = b"--" + boundary + b"\r\nContent-Disposition: "
    return (
        b"".join(head + disposition + b"\r\n\r\n" + content + b"\r\n" for disposition, content in parts)
        + b"--"
        + boundary
        + b"--\r\n"
    )


def post(*, length: int | None, kind: str = "multipart/form-data; boundary=b", extra: str = "") -> bytes:
    """Return the head of a POST; length None is a chunked body."""
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"POST /v1/results HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\n{size}\r\n{extra}\r\n".encode()
