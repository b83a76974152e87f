"""Names to addresses by the system's own rules, on threads of our own."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Protocol

from alphacut_server.errors import QueueFull
from alphacut_server.fetch.address import Address
from alphacut_server.fetch.gate import BUSY
from alphacut_server.fetch.refusal import Cause, Refused


class Resolver(Protocol):
    """Whoever knows the addresses of names."""

    async def resolve(self, host: str) -> Sequence[Address]:
        """Return every address of the name, the preferred one first; never empty.

        host: lower-case ASCII name. Raises Refused (NOT_RESOLVED), QueueFull.
        """
        ...


def addresses_of(host: str) -> Sequence[Address]:
    """Return the addresses that the system knows for a name; none when there are none, for whatever reason. Blocks."""
    try:
        # Bytes, for Python would put a text through its IDNA of 2003.
        found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(ip_address(entry[4][0]) for entry in found))
    except (OSError, ValueError):
        return ()


class SystemResolver:
    """getaddrinfo, which also reads /etc/hosts, one daemon thread a lookup, at most `max_lookups` of them.

    getaddrinfo cannot be called off, and a name server that never answers holds it for half a minute. A pool's threads would by
    then be all taken, the loop's own pool with everything else that needs it, and a pool's threads are waited for at exit; a
    daemon thread holds up nothing but its place among `max_lookups`.
    """

    def __init__(self, max_lookups: int, look_up: Callable[[str], Sequence[Address]] = addresses_of) -> None:
        self._max_lookups = max_lookups
        self._look_up = look_up
        self._lookups = 0

    async def resolve(self, host: str) -> Sequence[Address]:
        """Return every address of the name. Raises Refused, and QueueFull when as many lookups hang as may."""
        if self._lookups >= self._max_lookups:
            raise QueueFull(BUSY)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[Address]] = loop.create_future()
        self._lookups += 1
        threading.Thread(
            target=self._run, args=(host, loop, answer), name="alphacut-resolve", daemon=True
        ).start()
        addresses = await answer
        if not addresses:
            raise Refused(Cause.NOT_RESOLVED)
        return addresses

    def _run(
        self, host: str, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Sequence[Address]]
    ) -> None:
        addresses = self._look_up(host)
        try:
            loop.call_soon_threadsafe(self._deliver, answer, addresses)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def _deliver(self, answer: asyncio.Future[Sequence[Address]], addresses: Sequence[Address]) -> None:
        self._lookups -= 1
        if not answer.done():  # whoever asked may have left
            answer.set_result(addresses)
