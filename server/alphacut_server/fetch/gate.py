"""How many fetches are under way, and how many may wait for one of them to end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from alphacut_server.errors import QueueFull

BUSY = "Too many pictures are being fetched; try again later."


class Gate:
    """Lets `places` in at a time, in the order of their coming; of those who wait, `max_waiting` at most."""

    def __init__(self, places: int, max_waiting: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._max_waiting = max_waiting
        self._waiting = 0

    @asynccontextmanager
    async def place(self, timeout_s: float) -> AsyncIterator[None]:
        """Hold a place while inside. Raises QueueFull when too many wait already, or none came free within the time."""
        await self._enter(timeout_s)
        try:
            yield
        finally:
            self._places.release()

    async def _enter(self, timeout_s: float) -> None:
        if self._places.locked() and self._waiting >= self._max_waiting:
            raise QueueFull(BUSY)
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._places.acquire()
        except TimeoutError:
            raise QueueFull(BUSY) from None
        finally:
            self._waiting -= 1
