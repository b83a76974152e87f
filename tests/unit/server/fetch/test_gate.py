"""So many at once, so many waiting, and nobody longer than they have."""

import asyncio

import pytest

from alphacut_server.errors import QueueFull
from alphacut_server.fetch.gate import Gate


class Visitor:
    """Enters a gate and stays until told to leave."""

    def __init__(self, gate: Gate, timeout_s: float = 10) -> None:
        self.is_inside = False
        self.leaves = asyncio.Event()
        self.visit = asyncio.create_task(self._visit(gate, timeout_s))

    async def _visit(self, gate: Gate, timeout_s: float) -> None:
        async with gate.place(timeout_s):
            self.is_inside = True
            await self.leaves.wait()

    async def leave(self) -> None:
        """Leave, and be gone."""
        self.leaves.set()
        await self.visit


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_the_places_are_inside() -> None:
    """The others come in as places fall free, in their order."""
    gate = Gate(2, max_waiting=5)
    visitors = [Visitor(gate) for _ in range(4)]
    await settle()

    assert [visitor.is_inside for visitor in visitors] == [True, True, False, False]
    await visitors[1].leave()
    await settle()
    assert [visitor.is_inside for visitor in visitors] == [True, True, True, False]
    for visitor in (visitors[0], visitors[2], visitors[3]):
        await visitor.leave()


async def test_too_many_waiting_are_turned_away_at_once() -> None:
    """Those who wait already keep their turn."""
    gate = Gate(1, max_waiting=1)
    inside, waiting, beyond = (Visitor(gate) for _ in range(3))
    await settle()

    with pytest.raises(QueueFull):
        await beyond.visit
    await inside.leave()
    await settle()
    assert waiting.is_inside
    await waiting.leave()


async def test_waiting_ends_with_the_callers_time() -> None:
    """Which is no fault of the URL, hence another error; the place is not lost."""
    gate = Gate(1, max_waiting=1)
    inside = Visitor(gate)
    await settle()
    late = Visitor(gate, timeout_s=0.01)

    with pytest.raises(QueueFull):
        await late.visit
    await inside.leave()
    after = Visitor(gate)
    await settle()
    assert after.is_inside
    await after.leave()


async def test_one_who_gives_up_waiting_leaves_no_trace() -> None:
    """Neither the count of those waiting nor a place is lost."""
    gate = Gate(1, max_waiting=1)
    inside, waiting = Visitor(gate), Visitor(gate)
    await settle()

    waiting.visit.cancel()
    await asyncio.wait([waiting.visit])
    second = Visitor(gate)
    await settle()
    assert not second.visit.done()
    await inside.leave()
    await settle()
    assert second.is_inside
    await second.leave()
