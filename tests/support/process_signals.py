"""Signals to the test process itself, with its own handlers put back afterwards."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def restored_handlers() -> Iterator[None]:
    """Put the handlers of SIGTERM and SIGINT back when the block ends."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def signal_self(number: signal.Signals) -> None:
    """Send a signal to this process; only where a handler is installed, or the test run ends here."""
    assert signal.getsignal(number) not in (signal.SIG_DFL, signal.default_int_handler)
    os.kill(os.getpid(), number)
