"""SIGTERM and SIGINT for asyncio programs that drain: the first one is an event, every later one changes nothing."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_requested() -> Iterator[asyncio.Event]:
    """Give an event that the first SIGTERM or SIGINT sets; use it around all of a program's life, in its main thread.

    Repeated signals never cut the drain short. After the block both signals are ignored for good: the program is about
    to exit 0, and a late repetition must not turn that into a death by signal.
    """
    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        # signal.signal and not loop.add_signal_handler: closing the loop would give the signals their default
        # actions back while the interpreter is still shutting down.
        loop.call_soon_threadsafe(event.set)

    for number in STOP_SIGNALS:
        signal.signal(number, on_signal)
    try:
        yield event
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
