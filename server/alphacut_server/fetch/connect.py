"""Connections to checked addresses: the name is resolved here, once, every address is checked, and one of them is connected to.

httpcore asks its network backend for connections; there is no other way from it to a socket.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import httpcore

from alphacut_server.fetch.address import Address
from alphacut_server.fetch.refusal import Cause, Refused
from alphacut_server.fetch.resolver import Resolver

AddressCheck = Callable[[str, Sequence[Address]], None]
"""Given a host and all of its addresses, returns or raises Refused."""

MAX_ATTEMPTS = 4
"""How many addresses of one host are tried; content networks give eight and more, all of which lead to the same place."""

ATTEMPT_S = 3.0
"""How long one address may take to accept while others are left: a lost SYN is sent again after 1 s and 3 s (RFC 6298)."""

HEAD_READ_BYTES = 8 << 10
"""What is read at once until the head is complete. httpcore skips interim answers without letting go of the event loop: 64 KiB of
them took 26 ms (2026-11-23)."""


class Traffic:
    """What one exchange has received, bytes inside TLS; reading stops with Refused (TOO_WORDY) at `limit`."""

    def __init__(self, limit: int) -> None:
        self.received = 0
        self.limit: int | None = limit

    def lift_limit(self) -> None:
        """The head has come; what follows is limited by whoever reads the body."""
        self.limit = None

    def next_read_bytes(self, wanted: int) -> int:
        """Return how much to read at once. Raises Refused at the limit."""
        if self.limit is None:
            return wanted
        if self.received >= self.limit:
            raise Refused(Cause.TOO_WORDY)
        return min(wanted, HEAD_READ_BYTES)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens TCP connections to addresses that `check` let pass. For one exchange; `close` ends whatever it opened."""

    def __init__(self, resolver: Resolver, check: AddressCheck, traffic: Traffic) -> None:
        self._resolver = resolver
        self._check = check
        self._traffic = traffic
        self._plain = httpcore.AnyIOBackend()
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, connect. Raises Refused, QueueFull and what httpcore's backends raise."""
        *others, last = (await self._checked(host))[:MAX_ATTEMPTS]

        async def open_to(address: Address, limit_s: float | None) -> httpcore.AsyncNetworkStream:
            # An address in figures: neither anyio nor asyncio looks it up again.
            stream = await self._plain.connect_tcp(
                str(address), port, limit_s, local_address=local_address, socket_options=socket_options
            )
            self._opened.append(stream)
            return _MeteredStream(stream, self._traffic)

        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await open_to(address, ATTEMPT_S)
        return await open_to(last, timeout)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: nothing is fetched from this machine's sockets."""
        raise Refused(Cause.ADDRESS_DENIED)

    async def sleep(self, seconds: float) -> None:
        """Wait; httpcore does so between retries, of which it is asked for none."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Close what was opened, however the exchange ended; idempotent."""
        while self._opened:
            await self._opened.pop().aclose()

    async def _checked(self, host: str) -> Sequence[Address]:
        try:
            addresses: Sequence[Address] = [ip_address(host)]
        except ValueError:
            addresses = await self._resolver.resolve(host)
        self._check(host, addresses)
        return addresses


class _MeteredStream(httpcore.AsyncNetworkStream):
    """A connection whose bytes are counted."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, traffic: Traffic) -> None:
        self._stream = stream
        self._traffic = traffic

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Read as httpcore asks; raises Refused (TOO_WORDY) beyond the limit."""
        data = await self._stream.read(self._traffic.next_read_bytes(max_bytes), timeout)
        self._traffic.received += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write as httpcore asks."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Start TLS with the host that the URL named, whatever address the connection goes to."""
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _MeteredStream(stream, self._traffic)

    def get_extra_info(self, info: str) -> Any:  # httpcore's signature: each key has a type of its own
        """Return what the connection knows of itself."""
        return self._stream.get_extra_info(info)
