"""One request and its answer: a GET that sends nothing but itself, an answer that is read within limits."""

import asyncio
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpcore

from alphacut_server.errors import InternalFault
from alphacut_server.fetch.connect import CheckedBackend, Traffic
from alphacut_server.fetch.refusal import Cause, Refused
from alphacut_server.fetch.target import Target

MAX_HEAD_BYTES = 64 << 10
"""Interim answers and headers together. Servers and content networks limit theirs to 8 to 32 KiB."""

MAX_FRAMING_BYTES = 384 << 10
"""How much of what is received may be headers, chunk sizes and what is not read yet: 16 MiB in chunks of 512 bytes stay below."""

FREE_PARTS = 2048
MIN_PART_BYTES = 512
"""A body comes in parts, a chunk or a read each, of 25 µs of work however small (2026-11-23): beyond the free ones they must have
this size on average. Content networks send kilobytes; chunks of one byte are refused after 50 ms of work."""

PARTS_PER_TURN = 32
"""Parts of a body that are taken before others get their turn on the loop; a buffer of 64 KiB can hold 10,000 of them."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_UNREADABLE = (httpcore.ProtocolError, httpcore.UnsupportedProtocol)
_UNREACHABLE = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProxyError, OSError)
_DIGITS = re.compile(rb"[0-9]{1,18}")

Headers = Sequence[tuple[bytes, bytes]]


class AuthoritiesUnusable(InternalFault):
    """The file of further certificate authorities cannot be used; at start only."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The answer sends us elsewhere; location: as the server wrote it."""

    location: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """What all exchanges of a fetcher share. max_bytes: the first size of a body that is refused."""

    tls: ssl.SSLContext
    proxy: httpcore.Proxy | None
    user_agent: str
    max_bytes: int

    async def run(
        self, target: Target, backend: CheckedBackend, traffic: Traffic, body: BytesIO
    ) -> Redirect | None:
        """Ask once, over a connection of its own, and put the body of a 200 into `body`; a redirect is returned unread.

        Raises Refused; what was received until then is in `body`.
        """
        # A pool for one request: it chooses between plain, TLS and the two ways through a proxy, and closes on every way out.
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self.tls,
            proxy=self.proxy,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=backend,
        )
        try:
            response = await pool.handle_async_request(self._request(target))
            traffic.lift_limit()
            try:
                return await self._read(response, traffic, body)
            finally:
                await response.aclose()
        except _UNREADABLE:
            raise Refused(Cause.BROKEN) from None
        except _UNREACHABLE:
            raise Refused(Cause.NOT_CONNECTED) from None
        finally:
            await pool.aclose()
            await backend.close()

    def _request(self, target: Target) -> httpcore.Request:
        return httpcore.Request(
            method="GET",
            # In parts, so that nobody reads the URL a second time in a way of its own.
            url=httpcore.URL(
                scheme=target.scheme, host=target.host, port=target.explicit_port, target=target.path
            ),
            headers=[
                ("Host", target.host_header),
                ("User-Agent", self.user_agent),
                # Content networks would else choose formats that are not accepted.
                ("Accept", "image/jpeg, image/png, image/*;q=0.5, */*;q=0.1"),
                # A few kilobytes can unpack to gigabytes, and pictures gain nothing.
                ("Accept-Encoding", "identity"),
                ("Connection", "close"),
            ],
        )

    async def _read(self, response: httpcore.Response, traffic: Traffic, body: BytesIO) -> Redirect | None:
        answer = _Answer(response.status, response.headers)
        if answer.status in REDIRECTS:
            return Redirect(answer.location())
        if answer.status != 200:
            raise Refused(Cause.STATUS)
        if answer.is_encoded():
            raise Refused(Cause.ENCODED)
        if answer.declared_bytes() >= self.max_bytes:
            raise Refused(Cause.TOO_LARGE)
        parts = 0
        async for part in response.aiter_stream():
            body.write(part)
            if body.tell() >= self.max_bytes:
                raise Refused(Cause.TOO_LARGE)
            parts += 1
            is_crumbs = parts > FREE_PARTS + body.tell() // MIN_PART_BYTES
            if is_crumbs or traffic.received - body.tell() > MAX_FRAMING_BYTES:
                raise Refused(Cause.TOO_WORDY)
            if parts % PARTS_PER_TURN == 0:
                await asyncio.sleep(0)
        return None


@dataclass(frozen=True, slots=True)
class _Answer:
    """Status and headers, as far as they matter here."""

    status: int
    headers: Headers

    def location(self) -> str:
        """Return where a redirect leads. Raises Refused unless exactly one place is named, in UTF-8."""
        locations = self._all(b"location")
        try:
            (location,) = locations
            return location.decode("utf-8")
        except ValueError:
            raise Refused(Cause.REDIRECT) from None

    def is_encoded(self) -> bool:
        """Tell whether the body is compressed."""
        return any(
            value.strip().lower() not in {b"", b"identity"} for value in self._all(b"content-encoding")
        )

    def declared_bytes(self) -> int:
        """Return the declared length, 0 if there is none. Raises Refused for what is no length."""
        lengths = self._all(b"content-length")
        if not all(_DIGITS.fullmatch(length) for length in lengths):
            raise Refused(Cause.TOO_LARGE)
        return max(map(int, lengths), default=0)

    def _all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]


def trusted_authorities(ca_file: Path | None) -> ssl.SSLContext:
    """Return what TLS is checked against: the system's authorities, certifi's, and those of `ca_file`, PEM.

    Raises AuthoritiesUnusable when the file cannot be used.
    """
    context = httpcore.default_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        return context
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:  # ssl.SSLError included
        raise AuthoritiesUnusable(
            f"fetch.ca_file: {ca_file} holds no PEM certificate of an authority, or cannot be read ({error.strerror or error})."
        ) from error
    return context
