"""Room for requests: never more than there is, first come, first served, and nobody waits in vain for ever."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphacut_gateway.forms import NoRoom
from alphacut_gateway.room import Room
from support.gateway_http import room_of


class Guest:
    """A request that takes room and keeps it until it is told to leave."""

    def __init__(self, room: Room, n_bytes: int) -> None:
        self.is_in = asyncio.Event()
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._stay(room, n_bytes))

    async def _stay(self, room: Room, n_bytes: int) -> None:
        async with room.hold(n_bytes):
            self.is_in.set()
            await self.leave.wait()

    async def go(self) -> None:
        """Leave, and be gone when this returns."""
        self.leave.set()
        await self.task


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_fits_is_in_at_once() -> None:
    """Room that is there is given without waiting, and counted."""
    room = room_of(100)

    async with room.hold(60), room.hold(40):
        held = (room.held_bytes, room.waiting)

    assert held == (100, 0)
    assert room.held_bytes == 0


async def test_room_is_given_in_the_order_of_coming() -> None:
    """A small one that would fit stays behind a large one that came first, or the large one would starve."""
    room = room_of(100)
    first, large, small = Guest(room, 60), Guest(room, 70), Guest(room, 10)
    await settle()
    waiting = (room.waiting, large.is_in.is_set(), small.is_in.is_set())

    await first.go()
    await settle()

    assert waiting == (2, False, False)
    assert (large.is_in.is_set(), small.is_in.is_set()) == (True, True)
    assert room.held_bytes == 80
    await large.go()
    await small.go()


async def test_larger_than_the_whole_room_comes_in_alone() -> None:
    """It would wait for ever otherwise."""
    room = room_of(100)

    async with room.hold(500):
        held = room.held_bytes

    assert held == 100


async def test_waiting_has_an_end() -> None:
    """After the timeout the request is refused, with a hint when to come again, and leaves the line."""
    room = room_of(100, timeout_s=0.001)

    async with room.hold(100):
        with pytest.raises(NoRoom) as refused:
            async with room.hold(1):
                pass

    assert refused.value.retry_after_s > 0
    assert "try again" in refused.value.message
    assert (room.held_bytes, room.waiting) == (0, 0)


async def test_line_has_an_end() -> None:
    """Beyond so many waiting, a request is refused at once."""
    room = room_of(100, max_waiting=1)
    inside, waiting = Guest(room, 100), Guest(room, 1)
    await settle()

    with pytest.raises(NoRoom):
        async with room.hold(1):
            pass

    await inside.go()
    await waiting.go()


async def test_who_gives_up_makes_way() -> None:
    """A large one that leaves the line lets in whoever stood behind it."""
    room = room_of(100)
    inside, large, small = Guest(room, 60), Guest(room, 70), Guest(room, 10)
    await settle()

    large.task.cancel()
    await settle()

    assert small.is_in.is_set()
    assert room.held_bytes == 70
    await inside.go()
    await small.go()
    assert room.held_bytes == 0


async def test_cancelled_in_the_moment_of_being_let_in_gives_back() -> None:
    """Granted and cancelled in the same turn of the loop: nothing stays held."""
    room = room_of(100)
    inside, waiting = Guest(room, 100), Guest(room, 100)
    await settle()

    await inside.go()
    waiting.task.cancel()
    await settle()

    assert waiting.task.cancelled()
    assert room.held_bytes == 0


async def test_hold_follows_what_is_in_memory() -> None:
    """Giving some back lets others in; taking more than there is keeps them out, and waits for nothing."""
    room = room_of(100)
    async with room.hold(100) as hold:
        waiting = Guest(room, 50)
        await settle()
        hold.resize(40)
        await settle()
        was_let_in = waiting.is_in.is_set()
        hold.resize(200)
        overdrawn = room.held_bytes
        late = Guest(room, 10)
        await settle()
        was_late_let_in = late.is_in.is_set()

    assert (was_let_in, overdrawn, was_late_let_in) == (True, 250, False)
    await settle()
    assert late.is_in.is_set()
    await waiting.go()
    await late.go()
    assert room.held_bytes == 0


@given(st.lists(st.tuples(st.integers(1, 120), st.integers(0, 3)), max_size=30))
def test_room_is_never_overdrawn_and_always_given_back(steps: list[tuple[int, int]]) -> None:
    """Whoever comes, leaves or gives up in whatever order: at most what there is is held, in the end nothing, and all got in."""

    async def play() -> None:
        room = room_of(100)
        guests: list[Guest] = []
        for n_bytes, action in steps:
            if action < 2 or not guests:
                guests.append(Guest(room, n_bytes))
            elif action == 2:
                guests.pop(n_bytes % len(guests)).leave.set()
            else:
                guests.pop(n_bytes % len(guests)).task.cancel()
            await settle()
            assert room.held_bytes <= 100
            assert not room.waiting or room.held_bytes
        for guest in guests:
            guest.leave.set()
        await asyncio.gather(*(guest.task for guest in guests))
        await settle()
        assert (room.held_bytes, room.waiting) == (0, 0)

    asyncio.run(play())
