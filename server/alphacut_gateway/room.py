"""Room in memory for requests: bytes are set aside before a body is read, and who finds none waits its turn unread.

A body that nobody reads fills its connection's buffers and stops its sender there, so waiting costs little memory. A request
takes all it may need at once and never asks for more while others wait, so that no two can wait for each other. Lives on
the event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from alphacut_gateway.forms import NoRoom

# A place in the line comes free with each answer, so soon; callers told to come at once would only ask again.
RETRY_AFTER_S = 2.0

FULL = "Too many requests are in work now; try again in a few seconds."


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """How much may be held, how many may wait for it, and how long."""

    max_bytes: int
    max_waiting: int
    timeout_s: float


@dataclass(eq=False, slots=True)
class _Waiter:
    n_bytes: int
    granted: "asyncio.Future[None]"


class Hold:
    """What one request has set aside; it grows and shrinks with what is really in memory."""

    def __init__(self, room: "Room", n_bytes: int) -> None:
        self._room = room
        self.n_bytes = n_bytes

    def resize(self, n_bytes: int) -> None:
        """Hold `n_bytes` from now on, without waiting.

        For memory that is spent already, such as an answer that came: what it takes beyond the limit keeps new requests
        out until it is given back.
        """
        change, self.n_bytes = n_bytes - self.n_bytes, n_bytes
        self._room.add(change)


class Room:
    """A budget of bytes: first come, first served."""

    def __init__(self, limits: RoomLimits) -> None:
        self._limits = limits
        self._held_bytes = 0
        self._line: deque[_Waiter] = deque()

    @property
    def held_bytes(self) -> int:
        """Return how many bytes are set aside now."""
        return self._held_bytes

    @property
    def waiting(self) -> int:
        """Return how many requests wait for room."""
        return len(self._line)

    @asynccontextmanager
    async def hold(self, n_bytes: int) -> AsyncIterator[Hold]:
        """Set `n_bytes` aside for the block, having waited for them. Raises NoRoom.

        A request larger than the whole room is let in when nothing else is held.
        """
        n_bytes = min(n_bytes, self._limits.max_bytes)
        await self._acquire(n_bytes)
        hold = Hold(self, n_bytes)
        try:
            yield hold
        finally:
            hold.resize(0)

    def add(self, change_bytes: int) -> None:
        """Count bytes spent (or, below 0, given back) by a request that holds some."""
        self._held_bytes += change_bytes
        self._let_in()

    async def _acquire(self, n_bytes: int) -> None:
        if not self._line and self._fits(n_bytes):
            self._held_bytes += n_bytes
            return
        if len(self._line) >= self._limits.max_waiting:
            raise NoRoom(FULL, retry_after_s=RETRY_AFTER_S)
        waiter = _Waiter(n_bytes, asyncio.get_running_loop().create_future())
        self._line.append(waiter)
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                await waiter.granted
        except (asyncio.CancelledError, TimeoutError) as error:
            self._leave(waiter)
            if isinstance(error, TimeoutError):
                raise NoRoom(FULL, retry_after_s=RETRY_AFTER_S) from error
            raise

    def _leave(self, waiter: _Waiter) -> None:
        if waiter in self._line:
            self._line.remove(waiter)
            self._let_in()  # a large one that leaves may have blocked smaller ones
        else:  # let in and interrupted in the same turn of the loop
            self.add(-waiter.n_bytes)

    def _let_in(self) -> None:
        while self._line and self._fits(self._line[0].n_bytes):
            waiter = self._line.popleft()
            self._held_bytes += waiter.n_bytes
            if not waiter.granted.done():
                waiter.granted.set_result(None)

    def _fits(self, n_bytes: int) -> bool:
        return self._held_bytes + n_bytes <= self._limits.max_bytes
