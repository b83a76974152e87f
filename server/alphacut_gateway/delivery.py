"""See that answers arrive: in pieces that a slow reader holds up, and whole even when the request was not read to its end.

Closing a connection on which bytes are still coming makes the system reset it, and the reset may overtake the answer: the
caller then reports a broken connection instead of a 413. So an answer that comes early is sent whole, and what is still
coming is read and dropped, within limits, before the connection is closed.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What is handed to the connection at once. It takes no more until most of this is on the wire, so this is what an answer
# takes in memory beyond itself.
PIECE_BYTES = 1 << 18

# How long and how much is read after an early answer. A caller who writes all before reading needs the time of its upload;
# one who reads leaves at once; one who waits for 100 Continue sends nothing, which the idle limit notices.
LINGER_S = 60.0
LINGER_IDLE_S = 5.0
LINGER_BYTES = 1 << 28


class Deliver:
    """Wraps the whole application, outside of all that counts or times requests: they end before the lingering."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        linger_s: float = LINGER_S,
        linger_idle_s: float = LINGER_IDLE_S,
        linger_bytes: int = LINGER_BYTES,
    ) -> None:
        self._app = app
        self._linger_s = linger_s
        self._linger_idle_s = linger_idle_s
        self._linger_bytes = linger_bytes
        self._lingering: set[asyncio.Timeout] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request of the ASGI server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(scope, receive)
        answer = _Answer(request, send)
        await self._app(scope, request.receive, answer.send)
        if answer.is_held_open:
            await self._linger(request)
            await answer.end()

    def stop_lingering(self) -> None:
        """Let go of the connections that only wait for their callers: the process is about to end."""
        for timeout in self._lingering:
            timeout.reschedule(0)

    async def _linger(self, request: "_Request") -> None:
        now = asyncio.get_running_loop().time
        end_s = now() + self._linger_s
        left_bytes = self._linger_bytes
        try:
            async with asyncio.timeout_at(now() + self._linger_idle_s) as timeout:
                self._lingering.add(timeout)
                try:
                    while not request.is_read and left_bytes > 0:
                        left_bytes -= len((await request.receive()).get("body", b""))
                        timeout.reschedule(min(end_s, now() + self._linger_idle_s))
                finally:
                    self._lingering.discard(timeout)
        except TimeoutError:
            return


class _Request:
    """Watches a request being read. is_read: nothing more will come, all being here or the caller gone."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        self._receive = receive
        self.is_read = (
            headers.get("content-length", "0").strip() == "0" and "transfer-encoding" not in headers
        )

    async def receive(self) -> Message:
        """Receive as the application does."""
        message = await self._receive()
        if not (message["type"] == "http.request" and message.get("more_body", False)):
            self.is_read = True
        return message


class _Answer:
    """Sends an answer in pieces. is_held_open: it is sent whole, but its end is not told to the ASGI server yet."""

    def __init__(self, request: _Request, send: Send) -> None:
        self._request = request
        self._send = send
        self._start: Message | None = None
        self.is_held_open = False

    async def send(self, message: Message) -> None:
        """Send as the application does."""
        if message["type"] == "http.response.start":
            # Held until the first bytes: whether they are the only ones decides how the body's end is marked.
            self._start = message
            return
        body: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self._start is not None:
            start, self._start = self._start, None
            if not self._request.is_read:
                _announce_closing(start, body if is_last else None)
            await self._send(start)
        self.is_held_open = is_last and not self._request.is_read
        for begin in range(0, len(body), PIECE_BYTES):
            piece = body[begin : begin + PIECE_BYTES]
            ends = is_last and begin + PIECE_BYTES >= len(body) and not self.is_held_open
            await self._send({"type": "http.response.body", "body": piece, "more_body": not ends})
        if is_last and not body and not self.is_held_open:
            await self.end()

    async def end(self) -> None:
        """Tell the ASGI server that the answer is over."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _announce_closing(start: Message, whole_body: bytes | None) -> None:
    """Say in the answer's head that the connection closes, and how long the body is, if it is known.

    Without its length the body would end when the connection does, and the caller would wait for that.
    """
    headers = MutableHeaders(scope=start)
    headers["Connection"] = "close"
    if whole_body is not None and "content-length" not in headers:
        headers["Content-Length"] = str(len(whole_body))
