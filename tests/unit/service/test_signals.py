"""The first signal asks to stop; later ones change nothing."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from alphacut_service.signals import stop_requested
from support.process_signals import restored_handlers, signal_self


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Keep the test run's own handlers."""
    with restored_handlers():
        yield


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_sets_the_event(number: signal.Signals) -> None:
    """Both signals ask for the same."""
    with stop_requested() as stop:
        assert not stop.is_set()

        signal_self(number)

        await stop.wait()


async def test_repeated_signals_do_not_disturb_the_drain() -> None:
    """Work that goes on after the first signal is neither cancelled nor interrupted by more of them."""
    with stop_requested() as stop:
        signal_self(signal.SIGTERM)
        await stop.wait()
        working = asyncio.Event()

        async def drain() -> str:
            working.set()
            await asyncio.to_thread(lambda: None)
            return "drained"

        draining = asyncio.create_task(drain())
        await working.wait()
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            signal_self(number)

        assert await draining == "drained"


async def test_signals_after_the_block_are_ignored() -> None:
    """A repetition that comes while the process exits cannot turn its exit code into a death by signal."""
    with stop_requested():
        pass

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
