"""A budget of bytes for decoded pictures: a call that finds no room waits its turn, it is not refused and takes no thread.

A call takes its whole share at once and gives it back at the end, so no two calls wait for each other. Lives on the event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class _Waiter:
    n_bytes: int
    granted: "asyncio.Future[None]"


class ByteBudget:
    """First come, first served."""

    def __init__(self, limit_bytes: int, on_change: Callable[[int, int], None]) -> None:
        """`on_change` hears (bytes held, calls waiting) after each change."""
        self._limit_bytes = limit_bytes
        self._on_change = on_change
        self._held_bytes = 0
        self._line: deque[_Waiter] = deque()

    @asynccontextmanager
    async def hold(self, n_bytes: int) -> AsyncIterator[None]:
        """Hold `n_bytes` for the block, having waited for room.

        A picture larger than the whole budget is let in when nothing else is held.
        """
        n_bytes = min(n_bytes, self._limit_bytes)
        await self._acquire(n_bytes)
        try:
            yield
        finally:
            self._release(n_bytes)

    async def _acquire(self, n_bytes: int) -> None:
        if not self._line and self._held_bytes + n_bytes <= self._limit_bytes:
            self._held_bytes += n_bytes
            self._tell()
            return
        waiter = _Waiter(n_bytes, asyncio.get_running_loop().create_future())
        self._line.append(waiter)
        self._tell()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if waiter in self._line:
                self._line.remove(waiter)
                self._let_in()  # a large one that leaves may have blocked smaller ones
            else:  # granted and cancelled in the same turn of the loop
                self._release(n_bytes)
            raise

    def _release(self, n_bytes: int) -> None:
        self._held_bytes -= n_bytes
        self._let_in()

    def _let_in(self) -> None:
        while self._line and self._held_bytes + self._line[0].n_bytes <= self._limit_bytes:
            waiter = self._line.popleft()
            self._held_bytes += waiter.n_bytes
            if not waiter.granted.done():
                waiter.granted.set_result(None)
        self._tell()

    def _tell(self) -> None:
        self._on_change(self._held_bytes, len(self._line))
