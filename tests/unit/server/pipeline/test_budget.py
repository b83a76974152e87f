"""The byte budget: first come, first served, nothing lost, nobody let in beyond the limit."""

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphacut_server.pipeline.budget import ByteBudget


class Line:
    """Callers who hold shares until told to leave; records who was let in, in order, and what the budget says."""

    def __init__(self, limit_bytes: int) -> None:
        self.changes: list[tuple[int, int]] = []
        self.let_in: list[str] = []
        self.budget = ByteBudget(limit_bytes, lambda held, waiting: self.changes.append((held, waiting)))
        self._leave: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def join(self, name: str, n_bytes: int) -> None:
        """Ask for a share under a name; returns when the loop has settled."""
        self._leave[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._hold(name, n_bytes))
        await settle()

    async def leave(self, name: str) -> None:
        """Give the share back."""
        self._leave[name].set()
        await self._tasks[name]
        await settle()

    async def cancel(self, name: str) -> None:
        """Cancel the caller, holding or waiting."""
        self._tasks[name].cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._tasks[name]
        await settle()

    async def _hold(self, name: str, n_bytes: int) -> None:
        async with self.budget.hold(n_bytes):
            self.let_in.append(name)
            await self._leave[name].wait()


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_share_is_held_at_once_while_there_is_room() -> None:
    """Nobody stands in line while the budget has room."""
    line = Line(100)

    await line.join("first", 60)
    await line.join("second", 40)

    assert line.let_in == ["first", "second"]
    assert line.changes[-1] == (100, 0)
    await line.leave("first")
    await line.leave("second")
    assert line.changes[-1] == (0, 0)


async def test_whoever_finds_no_room_is_let_in_when_some_is_given_back() -> None:
    """The release makes room for the next in line."""
    line = Line(100)
    await line.join("first", 60)
    await line.join("second", 60)
    assert line.let_in == ["first"]

    await line.leave("first")

    assert line.let_in == ["first", "second"]
    assert line.changes[-1] == (60, 0)
    await line.leave("second")


async def test_a_small_share_does_not_overtake_a_large_one() -> None:
    """Order of arrival holds, so that a large picture is not starved by small ones."""
    line = Line(100)
    await line.join("first", 80)
    await line.join("large", 90)
    await line.join("small", 10)

    await line.leave("first")

    assert line.let_in == ["first", "large", "small"]
    await line.leave("large")
    await line.leave("small")


async def test_a_share_beyond_the_whole_budget_is_let_in_alone() -> None:
    """A picture larger than the budget waits for an empty one instead of for ever."""
    line = Line(100)
    await line.join("first", 1)
    await line.join("giant", 1000)

    await line.leave("first")

    assert line.let_in == ["first", "giant"]
    await line.leave("giant")


async def test_leaving_the_line_lets_the_next_one_in() -> None:
    """Whoever goes away while waiting no longer blocks those behind."""
    line = Line(100)
    await line.join("first", 50)
    await line.join("giant", 100)
    await line.join("small", 50)

    await line.cancel("giant")

    assert line.let_in == ["first", "small"]
    await line.leave("first")
    await line.leave("small")
    assert line.changes[-1] == (0, 0)


async def test_a_cancelled_holder_gives_its_share_back() -> None:
    """A caller who goes away in the middle of the work frees its memory."""
    line = Line(100)
    await line.join("first", 100)

    await line.cancel("first")

    assert line.changes[-1] == (0, 0)


@given(sizes=st.lists(st.integers(1, 150), min_size=1, max_size=12), random=st.randoms(use_true_random=False))
def test_the_budget_is_kept_and_everybody_gets_in(sizes: list[int], random: Random) -> None:
    """Whatever the order of leaving, the limit holds, everybody is let in once, and in the end nothing is held."""

    async def scenario() -> Line:
        line = Line(100)
        for index, size in enumerate(sizes):
            await line.join(str(index), size)
        gone: list[str] = []
        while len(gone) < len(sizes):
            held = [name for name in line.let_in if name not in gone]
            assert held, "nobody holds a share, yet somebody waits"
            gone.append(random.choice(held))
            await line.leave(gone[-1])
        return line

    line = asyncio.run(scenario())

    assert all(held <= 100 for held, _ in line.changes)
    assert line.changes[-1] == (0, 0)
    assert sorted(line.let_in) == sorted(str(index) for index in range(len(sizes)))
