"""Requests in work and the way out: serving, leaving (probes say no, requests are served), draining (none is taken)."""

import asyncio
from enum import Enum


class Phase(Enum):
    """Where in its life the gateway is."""

    SERVING = "serving"
    LEAVING = "leaving"
    DRAINING = "draining"


class Traffic:
    """Counts requests in work; lives in one event loop."""

    def __init__(self) -> None:
        self.phase = Phase.SERVING
        self._in_work = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_work(self) -> int:
        """Return how many requests are being answered."""
        return self._in_work

    def enter(self) -> None:
        """Count a request that begins."""
        self._in_work += 1
        self._idle.clear()

    def leave(self) -> None:
        """Count a request that has ended, answered or not."""
        self._in_work -= 1
        if self._in_work == 0:
            self._idle.set()

    def begin_leaving(self) -> None:
        """Say no to readiness probes from now on; requests are still taken."""
        self.phase = Phase.LEAVING

    async def drain(self, timeout_s: float) -> bool:
        """Take no more requests and wait for those in work. Return whether all of them finished in time."""
        self.phase = Phase.DRAINING
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True
