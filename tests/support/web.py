"""A small web server for tests, on 127.0.0.1 and a thread of its own: serves what it is given, counts what it is asked.

    with Web() as web:
        url = web.serve("/cat.png", content)
        ...
        assert web.paths == ["/cat.png"]

Its answers are written byte by byte as told, so that a test can lie, dawdle and babble; see `Behaviour`.
"""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from support.certificates import Pair

TIMEOUT_S = 10.0
"""Until which a test that waits for the server gives up."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came. headers: lower-case names; the last of a name counts."""

    method: str
    target: str
    headers: Mapping[str, str]


class Caller:
    """The other end of a connection, for a behaviour."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send, and wait until the system has taken most of it. Raises ConnectionError once the other end has closed."""
        self._writer.write(data)
        await self._writer.drain()

    async def until_gone(self) -> None:
        """Wait until the other end has closed."""
        while await self._reader.read(4096):
            pass

    async def is_gone_within(self, span_s: float) -> bool:
        """Tell whether the other end closes within the span, s."""
        try:
            async with asyncio.timeout(span_s):
                await self.until_gone()
        except TimeoutError:
            return False
        return True

    async def connect_through(self, host: str, port: int) -> None:
        """Pass bytes to and from another server until one end closes, as a proxy's tunnel does."""
        reader, writer = await asyncio.open_connection(host, port)
        try:
            ways = (_pass_on(self._reader, writer), _pass_on(reader, self._writer))
            await asyncio.wait(map(asyncio.ensure_future, ways), return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


Behaviour = Callable[[Caller], Awaitable[None]]
"""Answers one request; the connection closes when it returns."""


def answer(
    content: bytes = b"",
    *,
    status: str = "200 OK",
    headers: Sequence[str] = (),
    declare: int | None = -1,
) -> bytes:
    """Return a whole answer. declare: what Content-Length says; -1 the truth, None nothing."""
    length = len(content) if declare == -1 else declare
    lines = [f"HTTP/1.1 {status}", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + content


class Web:
    """The server. Unknown paths give 404. A context manager."""

    def __init__(self, tls: Pair | None = None) -> None:
        self._tls = tls
        self._behaviours: dict[str, Behaviour] = {}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._is_open = threading.Event()
        self._nobody_connected = threading.Event()
        self._nobody_connected.set()
        self._connected = 0
        self.port = 0
        self.seen: list[Seen] = []
        self.connections = 0
        """How many were accepted so far, whether or not anything was asked over them."""

    @property
    def base(self) -> str:
        """Return scheme, address and port, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        """Return what was asked for, in order, queries included."""
        return [request.target for request in self.seen]

    def serve(self, path: str, content: bytes, headers: Sequence[str] = ()) -> str:
        """Give this content at the path; returns the URL."""
        return self.say(path, answer(content, headers=headers))

    def say(self, path: str, whole: bytes) -> str:
        """Give exactly these bytes, head included; returns the URL."""

        async def say(caller: Caller) -> None:
            await caller.send(whole)

        return self.behave(path, say)

    def redirect(self, path: str, location: str, status: str = "302 Found") -> str:
        """Send whoever asks for the path elsewhere; returns the URL."""
        return self.say(path, answer(status=status, headers=[f"Location: {location}"]))

    def behave(self, path: str, behaviour: Behaviour) -> str:
        """Let the behaviour answer the path; returns the URL."""
        self._behaviours[path] = behaviour
        return self.base + path

    def wait_until_left(self) -> bool:
        """Wait until no connection is open any more; False when some still is after TIMEOUT_S."""
        return self._nobody_connected.wait(TIMEOUT_S)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_open.wait(TIMEOUT_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(TIMEOUT_S)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        context = None
        if self._tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._tls.certificate, self._tls.key)
        server = await asyncio.start_server(self._attend, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        self._is_open.set()
        await self._closing.wait()
        server.close()
        # What still answers is cancelled by asyncio.run as it ends.

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._connected += 1
        self._nobody_connected.clear()
        try:
            request = await _read_request(reader)
            self.seen.append(request)
            behaviour = self._behaviours.get(request.target.partition("?")[0])
            if behaviour is None:
                writer.write(answer(b"nothing here", status="404 Not Found"))
            else:
                await behaviour(Caller(reader, writer))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the other end left, which is its right
        finally:
            writer.close()
            self._connected -= 1
            if self._connected == 0:
                self._nobody_connected.set()


async def _read_request(reader: asyncio.StreamReader) -> Seen:
    start = await reader.readexactly(1)
    if not start.isalpha():
        raise ConnectionError("no HTTP: a greeting in TLS, most likely")
    head = (start + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    return Seen(method, target, headers)
