"""One HTTP connection: uvicorn's protocol with the limits it lacks on heads, silence and the number of connections.

A caller may take so long for a request's head and no longer, send so large a head and no larger, and must read what it is
answered. Bodies and requests are the application's matter.
"""

import asyncio
import json
from asyncio import TimerHandle
from dataclasses import dataclass
from http import HTTPStatus

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Request line and headers. Most servers take 8 KiB; tokens and cookies of proxies in front need more at times.
# A single header may be longer by what one read of the connection takes, 256 KiB, before it is noticed.
MAX_HEAD_BYTES = 32_768

# Connections beyond the limit are answered a polite 503 up to this many, and probes get through; more are cut unheard.
SPARE_CONNECTIONS = 100

# How long and how much is read, and dropped, after a request that cannot be understood was refused.
REFUSED_LINGER_S = 2.0
REFUSED_LINGER_BYTES = 1 << 20

# Set in the state of requests on a connection beyond the limit.
CROWDED = "alphacut_crowded"

HEAD_TOO_LARGE = f"The request's line and headers are larger than {MAX_HEAD_BYTES} bytes."
HEAD_TOO_SLOW = "The request's headers did not arrive in time."
NOT_HTTP = "This is not a request of HTTP/1.1."


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection is allowed; spans in s."""

    header_timeout_s: float
    send_timeout_s: float
    max_connections: int


class HeadTooLarge(Exception):
    """Stops the parser inside a request's head."""


class GatewayProtocol(HttpToolsProtocol):
    """A connection of a gateway. `limits` comes from the class that `protocol_with` makes."""

    limits: ConnectionLimits

    # What is being read: a request's head, or what follows a refusal.
    _is_in_head = False
    _has_head_begun_now = False
    _head_bytes = 0
    _told_bytes = 0
    _is_refused = False
    _dropped_bytes = 0
    # What runs: until a head is whole; while the caller does not read; until the last of an answer is out; after a refusal.
    _head_timer: TimerHandle | None = None
    _pause_timer: TimerHandle | None = None
    _rest_timer: TimerHandle | None = None
    _refused_timer: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Begin; the first head must come in time."""
        super().connection_made(transport)
        beyond = len(self.connections) - self.limits.max_connections
        if beyond > SPARE_CONNECTIONS:
            transport.abort()
            return
        if beyond > 0:
            self.app_state = {**self.app_state, CROWDED: True}
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; nothing may fire afterwards."""
        for timer in (self._head_timer, self._pause_timer, self._rest_timer, self._refused_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; what follows a refusal is dropped."""
        if self._is_refused:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > REFUSED_LINGER_BYTES:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        self._has_head_begun_now = False
        self._feed(data)
        # The parser tells of a header once it is whole, so one that does not end must be counted here. Of the bytes with
        # which a head began, some may belong to the request before.
        if self._is_in_head and not self._has_head_begun_now:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request; its head must come in time."""
        super().on_message_begin()
        self._is_in_head = self._has_head_begun_now = True
        self._head_bytes = self._told_bytes = 0
        self._start_head_timer()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request line."""
        self._tell_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those that come after a chunked body are counted and dropped, for they must not pass for the head's."""
        self._tell_head(len(name) + len(value))
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head; a wish to speak another protocol is not granted, see `_decline_upgrade`."""
        self._is_in_head = False
        self._stop_head_timer()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request; the rest of this answer must be read in time."""
        super().on_response_complete()
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None
        if self.transport.get_write_buffer_size() > 0:
            self._rest_timer = self.loop.call_later(self.limits.send_timeout_s, self._cut_unread_rest)

    def pause_writing(self) -> None:
        """Hold the answer up while the caller does not read, and not for ever."""
        super().pause_writing()
        if self._pause_timer is None:
            self._pause_timer = self.loop.call_later(self.limits.send_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None
        super().resume_writing()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, HeadTooLarge):
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LARGE)
            else:
                self._refuse(HTTPStatus.BAD_REQUEST, NOT_HTTP)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Serve a request that offers another protocol as if it did not, as HTTP allows; Java's client offers h2c each time.

        The parser takes such a request for one without a body and the body for the other protocol, so it is fed anew,
        without the offer.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, NOT_HTTP)
            return
        version = self.parser.get_http_version().encode()
        head = [method, b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self._feed(b"".join([*head, b"\r\n"]))
        if rest and not self._is_refused:
            self._feed(rest)

    def _tell_head(self, n_bytes: int) -> None:
        self._told_bytes += n_bytes
        if self._told_bytes > MAX_HEAD_BYTES:
            raise HeadTooLarge

    def _start_head_timer(self) -> None:
        self._stop_head_timer()
        self._head_timer = self.loop.call_later(self.limits.header_timeout_s, self._end_slow_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_slow_head(self) -> None:
        if self._is_answering():
            # Reading may be held up for the answer's sake, so the caller may have sent all of this next head.
            self._start_head_timer()
        elif self._is_in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, HEAD_TOO_SLOW)
        else:
            self.transport.close()

    def _cut_unread_rest(self) -> None:
        if not self._is_answering() and self.transport.get_write_buffer_size() > 0:
            self.transport.abort()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer what cannot be read on, and end the connection once the caller has had time to read that."""
        if self._is_refused:
            return
        self._is_refused = True
        self._stop_head_timer()
        is_told = False
        if self._is_answering():
            if not self.cycle.more_body:
                # What came before is a whole request: it is answered, and ends the connection.
                self.cycle.keep_alive = False
                return
            # Its body cannot be read on. For the application the caller has left, unless its answer is out already.
            is_told = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not is_told:
            self._write_refusal(status, message)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._refused_timer = self.loop.call_later(REFUSED_LINGER_S, self.transport.abort)

    def _write_refusal(self, status: HTTPStatus, message: str) -> None:
        body = json.dumps({"message": message}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)


def protocol_with(limits: ConnectionLimits) -> type[GatewayProtocol]:
    """Return the protocol's class with these limits, which is how uvicorn takes it."""

    class LimitedProtocol(GatewayProtocol):
        pass

    LimitedProtocol.limits = limits
    return LimitedProtocol
