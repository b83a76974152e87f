"""Names are looked up beside the event loop, and lookups that hang hold up nobody but those who come too many."""

import asyncio
import threading
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from alphacut_server.errors import QueueFull
from alphacut_server.fetch.address import Address
from alphacut_server.fetch.refusal import Cause, Refused
from alphacut_server.fetch.resolver import SystemResolver, addresses_of

SOME = ip_address("127.0.0.1")


class HangingService:
    """A name service that answers when told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.left = threading.Semaphore(0)

    def look_up(self, host: str) -> Sequence[Address]:
        """Return an address, at last."""
        self.answers.wait(10)
        self.left.release()
        return [SOME]


async def test_the_system_knows_this_machine() -> None:
    """getaddrinfo is asked, files of this machine included; each address comes once."""
    addresses = await SystemResolver(4).resolve("localhost")

    assert all(address.is_loopback for address in addresses)
    assert len(set(addresses)) == len(addresses) >= 1


async def test_a_name_without_addresses_is_refused() -> None:
    """Whatever the system's reason is."""
    resolver = SystemResolver(4, lambda host: [])

    with pytest.raises(Refused) as caught:
        await resolver.resolve("nowhere.example.net")

    assert caught.value.cause is Cause.NOT_RESOLVED


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a" * 300])
def test_a_failing_lookup_gives_no_addresses(host: str) -> None:
    """Neither an unknown name nor one that the system cannot take raises."""
    assert addresses_of(host) == ()


async def test_lookups_that_hang_turn_newcomers_away() -> None:
    """As many as may hang do, whether or not somebody still waits for them; their end makes room again."""
    service = HangingService()
    resolver = SystemResolver(2, service.look_up)
    abandoned = asyncio.create_task(resolver.resolve("a.example.net"))
    waited_for = asyncio.create_task(resolver.resolve("b.example.net"))
    await asyncio.sleep(0)
    abandoned.cancel()
    await asyncio.wait([abandoned])

    with pytest.raises(QueueFull):
        await resolver.resolve("c.example.net")
    service.answers.set()

    assert await waited_for == [SOME]
    while True:  # the thread of the abandoned one reports on its own
        try:
            assert await resolver.resolve("d.example.net") == [SOME]
            break
        except QueueFull:
            await asyncio.sleep(0)


def test_an_answer_after_the_loops_end_is_dropped() -> None:
    """A lookup that outlives the program's loop ends in silence."""
    service = HangingService()
    faults: list[object] = []
    threading.excepthook, hook = lambda fault: faults.append(fault.exc_value), threading.excepthook
    try:

        async def give_up() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(SystemResolver(1, service.look_up).resolve("a.example.net"), 0.01)

        asyncio.run(give_up())
        lookups = [thread for thread in threading.enumerate() if thread.name == "alphacut-resolve"]
        service.answers.set()
        for thread in lookups:
            thread.join(10)
    finally:
        threading.excepthook = hook

    assert lookups
    assert all(thread.daemon for thread in lookups)
    assert faults == []
