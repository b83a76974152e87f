"""Threads that work, and the way back to the loop."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from alphacut_server.pipeline.pools import LoopMailbox, WorkerPools

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def pools() -> Iterator[WorkerPools]:
    """Return pools of one thread each."""
    made = WorkerPools(1)
    yield made
    made.close()


async def test_stages_run_off_the_loop_in_pools_of_their_own(pools: WorkerPools) -> None:
    """A finished picture does not queue behind pictures that are still to be decoded."""
    gate = threading.Event()

    blocked = asyncio.create_task(pools.prepare(gate.wait))
    name = await pools.finish(lambda: threading.current_thread().name)
    gate.set()

    assert name.startswith("alphacut-finish")
    assert await blocked is True


async def test_what_a_stage_raises_comes_back(pools: WorkerPools) -> None:
    """Unchanged."""

    def fail() -> None:
        raise LookupError("as told")

    with pytest.raises(LookupError, match="as told"):
        await pools.prepare(fail)


async def test_closing_finishes_what_was_handed_in() -> None:
    """And may be done twice."""
    pools = WorkerPools(2)
    done = [asyncio.create_task(pools.prepare(lambda: 1)) for _ in range(5)]
    await asyncio.gather(*done)

    pools.close()
    pools.close()

    with pytest.raises(RuntimeError):
        await pools.prepare(lambda: 1)


async def test_letters_are_read_in_order_on_the_loop_s_thread() -> None:
    """Whichever thread put them in; a letter may put in another."""
    mailbox = LoopMailbox(asyncio.get_running_loop())
    read: list[tuple[int, int]] = []
    finished = asyncio.Event()

    def letter(number: int) -> None:
        read.append((number, threading.get_ident()))
        if number == 99:
            mailbox.post(finished.set)

    def post_all() -> None:
        for number in range(100):
            mailbox.post(lambda number=number: letter(number))  # type: ignore[misc]  # mypy cannot type such a lambda

    await asyncio.to_thread(post_all)
    await finished.wait()

    assert [number for number, _ in read] == list(range(100))
    assert {thread for _, thread in read} == {threading.get_ident()}


async def test_no_letter_of_many_threads_is_lost() -> None:
    """The box is emptied and filled at the same time, again and again."""
    mailbox = LoopMailbox(asyncio.get_running_loop())
    count, seen = 2000, 0
    finished = asyncio.Event()

    def letter() -> None:
        nonlocal seen
        seen += 1
        if seen == 4 * count:
            finished.set()

    def post_all() -> None:
        for _ in range(count):
            mailbox.post(letter)

    await asyncio.gather(*(asyncio.to_thread(post_all) for _ in range(4)))
    await asyncio.wait_for(finished.wait(), 10)

    assert seen == 4 * count


def test_letters_to_a_closed_loop_are_dropped() -> None:
    """The process is ending; whoever posts must not fail for it."""
    loop = asyncio.new_event_loop()
    mailbox = LoopMailbox(loop)
    loop.close()
    read: list[int] = []

    mailbox.post(lambda: read.append(1))
    mailbox.post(lambda: read.append(2))

    assert read == []
