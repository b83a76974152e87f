"""One item's way through the batcher. A ticket settles exactly once: served, failed, expired or cancelled."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from alphacut_server.batching.policy import Priority, Waiting
from alphacut_server.errors import AlphacutError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Served(Generic[ResultT]):
    """The item's own result, and what its batch was like."""

    result: ResultT
    batch_size: int
    queue_delay_s: float
    """Enqueue to dispatch."""
    run_s: float
    """Device time of the whole batch."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no result."""

    error: AlphacutError


class State(Enum):
    """Where a ticket is; only ever moves downwards."""

    PREPARING = auto()
    """Holds a place; its item is still being made."""
    WAITING = auto()
    RUNNING = auto()
    SETTLED = auto()


@dataclass(frozen=True, slots=True)
class Claim:
    """What a caller says when it asks for a place."""

    key: Hashable
    deadline_s: float
    priority: Priority = Priority.INTERACTIVE
    client: str = ""
    """Whom fairness counts the place against."""


class Ticket(Generic[ItemT, ResultT]):
    """A place in the queue; made and moved by BatchQueue alone, under its owner's lock."""

    __slots__ = ("_on_settled", "claim", "item", "sequence", "state", "waiting")

    def __init__(
        self, sequence: int, claim: Claim, on_settled: Callable[[Served[ResultT] | Failed], None]
    ) -> None:
        self.sequence = sequence
        self.claim = claim
        self._on_settled: Callable[[Served[ResultT] | Failed], None] | None = on_settled
        self.state = State.PREPARING
        self.item: ItemT | None = None
        self.waiting: Waiting | None = None
        """The policy's view; set when the item arrives."""

    def settle(self, outcome: Served[ResultT] | Failed) -> None:
        """Tell whoever took the place; for the one party whose call took the ticket out of the queue.

        The callback is dropped first: it usually belongs to the ticket's own holder, and the circle would keep a picture alive
        until the garbage collector comes by.
        """
        callback, self._on_settled = self._on_settled, None
        if callback is None:
            raise AssertionError("a ticket was settled twice")
        callback(outcome)
