"""Where CPU work runs, and how other threads hand things to the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ResultT = TypeVar("ResultT")


class WorkerPools:
    """Two bounded pools, so that a finished picture never queues behind pictures still to be decoded.

    The native code inside the stages releases the GIL.
    """

    def __init__(self, workers: int) -> None:
        self._preparing = ThreadPoolExecutor(workers, thread_name_prefix="alphacut-prepare")
        self._finishing = ThreadPoolExecutor(workers, thread_name_prefix="alphacut-finish")

    async def prepare(self, stage: Callable[[], ResultT]) -> ResultT:
        """Run a stage before the queue on a worker thread; raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._preparing, stage)

    async def finish(self, stage: Callable[[], ResultT]) -> ResultT:
        """Run a stage after the batch on a worker thread; raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._finishing, stage)

    def close(self) -> None:
        """Finish what was handed in and end the threads; idempotent."""
        self._preparing.shutdown(wait=True)
        self._finishing.shutdown(wait=True)


class LoopMailbox:
    """Callables from other threads, run on the loop in order; the loop is woken once for however many have gathered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._letters: deque[Callable[[], None]] = deque()

    def post(self, letter: Callable[[], None]) -> None:
        """Have `letter`, which must not raise, called on the loop soon; dropped when the loop is closed."""
        self._letters.append(letter)
        if len(self._letters) > 1:
            return  # whoever put the first one in has woken the loop
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed: the process is ending and nobody can be told
            self._letters.clear()

    def _deliver(self) -> None:
        # A letter leaves only after it was read, so `post` sees a filled box, and wakes nobody, while this runs.
        while self._letters:
            self._letters[0]()
            self._letters.popleft()
