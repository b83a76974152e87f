"""A ticket tells its holder once."""

import gc
import weakref

import pytest

from alphacut_server.batching.ticket import Failed, Served, State, Ticket
from alphacut_server.errors import Cancelled
from support.batching import claim


class Holder:
    """Holds its ticket and is called back by it, as the pipeline's calls are."""

    def __init__(self) -> None:
        self.outcomes: list[Served[int] | Failed] = []
        self.ticket: Ticket[int, int] = Ticket(1, claim(), self.settled)

    def settled(self, outcome: Served[int] | Failed) -> None:
        """Take the outcome."""
        self.outcomes.append(outcome)


def test_a_ticket_starts_by_being_prepared() -> None:
    """It has a place, no item, and nothing for the policy to see."""
    ticket = Holder().ticket

    assert ticket.state is State.PREPARING
    assert ticket.item is None
    assert ticket.waiting is None


def test_a_ticket_tells_its_outcome() -> None:
    """What settles it reaches the callback."""
    holder = Holder()
    outcome = Served(7, batch_size=2, queue_delay_s=0.1, run_s=0.2)

    holder.ticket.settle(outcome)

    assert holder.outcomes == [outcome]


def test_settling_twice_is_a_bug() -> None:
    """The second party is told so, and the holder hears nothing of it."""
    holder = Holder()
    holder.ticket.settle(Failed(Cancelled()))

    with pytest.raises(AssertionError, match="settled twice"):
        holder.ticket.settle(Failed(Cancelled()))
    assert len(holder.outcomes) == 1


def test_a_settled_ticket_does_not_keep_its_holder_alive() -> None:
    """Holder and ticket make no circle: a picture is freed at once, without the garbage collector."""
    holder = Holder()
    holder.ticket.settle(Failed(Cancelled()))
    seen = weakref.ref(holder)
    gc.disable()
    try:
        del holder

        assert seen() is None
    finally:
        gc.enable()
