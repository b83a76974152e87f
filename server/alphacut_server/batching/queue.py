"""The queue's memory: places, counts, what is running and what has been learnt. No threads, no clock: `now_s` is an argument.

Its owner (the batcher's thread, or the simulator) holds a lock around every call and settles tickets outside it.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from alphacut_server.batching.admission import Load, refuse
from alphacut_server.batching.cost import CostModel, Pace
from alphacut_server.batching.policy import (
    Decision,
    Dispatch,
    Idle,
    Lane,
    Priority,
    Rules,
    View,
    Waiting,
    WaitUntil,
    decide,
)
from alphacut_server.batching.returns import ReturnsLearner
from alphacut_server.batching.ticket import Claim, Failed, Served, State, Ticket
from alphacut_server.errors import DeadlineExceeded, Draining, QueueFull

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """What is fixed about one key."""

    cost: CostModel
    max_batch_size: int


class Statistics(NamedTuple):
    """Counts at one instant."""

    preparing: int
    waiting: int
    running: int
    draining: bool


@dataclass(frozen=True, slots=True)
class Step(Generic[ItemT, ResultT]):
    """What the owner does next: settle `expired`; then run `batch`, or sleep until `wake_at_s` or a change."""

    expired: tuple[Ticket[ItemT, ResultT], ...]
    batch: tuple[Ticket[ItemT, ResultT], ...]
    items: tuple[ItemT, ...]
    """The batch's items, taken under the lock: a ticket cancelled while it runs still fills its slot."""
    wake_at_s: float


class BatchQueue(Generic[ItemT, ResultT]):
    """Tickets of one device, grouped by key (model)."""

    def __init__(
        self,
        lanes: Mapping[Hashable, LaneLimits],
        *,
        max_queue: int,
        rules: Rules,
        policy: Callable[[View], Decision] = decide,
    ) -> None:
        """`policy` is another than `decide` only where rules are compared (bench/batching.py)."""
        self._policy = policy
        self._lanes = dict(lanes)
        self._learners = {key: ReturnsLearner() for key in lanes}
        self._paces = {key: Pace() for key in lanes}
        self._max_queue = max_queue
        self._rules = rules
        self._sequence = 0
        self._preparing: dict[int, Ticket[ItemT, ResultT]] = {}
        self._waiting: dict[int, Ticket[ItemT, ResultT]] = {}
        self._places = {priority: Counter[str]() for priority in Priority}  # by client
        self._running: tuple[Ticket[ItemT, ResultT], ...] = ()
        self._running_since_s = 0.0
        self._running_until_s = 0.0
        self._draining = False

    @property
    def is_empty(self) -> bool:
        """Tell whether nobody prepares, waits or runs."""
        return not (self._preparing or self._waiting or self._running)

    @property
    def has_waiting(self) -> bool:
        """Tell whether a ticket stands ready for the device."""
        return bool(self._waiting)

    def statistics(self) -> Statistics:
        """Return the counts."""
        return Statistics(len(self._preparing), len(self._waiting), len(self._running), self._draining)

    def drain(self) -> None:
        """Finish what was admitted, admit no more."""
        self._draining = True

    def reserve(
        self, claim: Claim, on_settled: Callable[[Served[ResultT] | Failed], None], now_s: float
    ) -> Ticket[ItemT, ResultT]:
        """Give `claim` a place before any work is spent on it.

        Raises Draining, QueueFull, or DeadlineExceeded when not even an idle device could meet the deadline: to try again would
        not help.
        """
        if self._draining:
            raise Draining()
        lane = self._lanes[claim.key]
        cost = self._cost(claim.key)
        if claim.deadline_s - now_s < cost.batch_s(1):
            raise DeadlineExceeded(
                "The deadline is shorter than one picture takes on an idle device; allow more time."
            )
        refusal = refuse(
            self._load(claim, now_s),
            cost,
            max_batch_size=lane.max_batch_size,
            max_queue=self._max_queue,
            timeout_s=claim.deadline_s - now_s,
        )
        if refusal:
            raise QueueFull(refusal.message, refusal.retry_after_s)
        self._sequence += 1
        self._places[claim.priority][claim.client] += 1
        ticket = self._preparing[self._sequence] = Ticket(self._sequence, claim, on_settled)
        return ticket

    def enqueue(self, ticket: Ticket[ItemT, ResultT], item: ItemT, now_s: float) -> bool:
        """Hand in the item of a place held; False when the ticket was cancelled meanwhile."""
        if ticket.state is not State.PREPARING:
            return False
        ticket.state = State.WAITING
        ticket.item = item
        claim = ticket.claim
        ticket.waiting = Waiting(
            ticket.sequence, claim.key, claim.priority, now_s, claim.deadline_s, claim.client
        )
        self._waiting[ticket.sequence] = self._preparing.pop(ticket.sequence)
        self._learners[claim.key].arrived(now_s)
        return True

    def withdraw(self, ticket: Ticket[ItemT, ResultT]) -> bool:
        """Take a ticket out, wherever it is; True for the one call that settles it. A running item's result is dropped."""
        if ticket.state is State.SETTLED:
            return False
        if ticket.state is not State.RUNNING:
            self._leave(ticket)
        ticket.state = State.SETTLED
        ticket.item = None
        return True

    def next_step(self, now_s: float) -> Step[ItemT, ResultT]:
        """Decide for a free device; the batch it returns is running from now on."""
        view = View(
            now_s=now_s,
            waiting=[ticket.waiting for ticket in self._waiting.values() if ticket.waiting],
            lanes={
                key: Lane(self._cost(key), lane.max_batch_size, self._learners[key].forecast())
                for key, lane in self._lanes.items()
            },
            rules=self._rules,
            draining=self._draining,
        )
        decision = self._policy(view)
        expired = tuple(self._waiting[waiting.sequence] for waiting in decision.expired)
        for ticket in expired:
            self.withdraw(ticket)
        match decision.action:
            case Dispatch(batch):
                tickets, items = self._start([self._waiting[waiting.sequence] for waiting in batch], now_s)
                return Step(expired, tickets, items, now_s)
            case WaitUntil(at_s):
                return Step(expired, (), (), at_s)
            case Idle():
                return Step(expired, (), (), float("inf"))

    def completed(self, now_s: float) -> tuple[bool, ...]:
        """Take note that the running batch is done; tells of each member whether it is settled now (else it was withdrawn)."""
        batch, self._running = self._running, ()
        if batch:
            key = batch[0].claim.key
            self._learners[key].completed(now_s, len(batch))
            predicted_s = self._lanes[key].cost.batch_s(len(batch))
            self._paces[key].observe(predicted_s, now_s - self._running_since_s)
        return tuple(self.withdraw(ticket) for ticket in batch)

    def abandon_all(self) -> tuple[Ticket[ItemT, ResultT], ...]:
        """Take out everybody who prepares or waits; the owner settles them. For the end of a grace period."""
        left = (*self._waiting.values(), *self._preparing.values())
        for ticket in left:
            self.withdraw(ticket)
        return left

    def _start(
        self, batch: Sequence[Ticket[ItemT, ResultT]], now_s: float
    ) -> tuple[tuple[Ticket[ItemT, ResultT], ...], tuple[ItemT, ...]]:
        items: list[ItemT] = []
        for ticket in batch:
            if ticket.item is None:
                raise AssertionError("a waiting ticket has no item")
            items.append(ticket.item)
            self._leave(ticket)
            ticket.state = State.RUNNING
            ticket.item = None
        self._learners[batch[0].claim.key].dispatched()
        self._running = tuple(batch)
        self._running_since_s = now_s
        self._running_until_s = now_s + self._cost(batch[0].claim.key).batch_s(len(batch))
        return self._running, tuple(items)

    def _cost(self, key: Hashable) -> CostModel:
        return self._lanes[key].cost.slower(self._paces[key].factor)

    def _leave(self, ticket: Ticket[ItemT, ResultT]) -> None:
        claim = ticket.claim
        self._waiting.pop(ticket.sequence, None)
        self._preparing.pop(ticket.sequence, None)
        places = self._places[claim.priority]
        places[claim.client] -= 1
        if not places[claim.client]:
            del places[claim.client]  # client names are unbounded, the counter must not be

    def _load(self, claim: Claim, now_s: float) -> Load:
        """Count as the policy orders: whole classes before the newcomer's, and within it each client's turns up to its own."""
        turn = self._places[claim.priority][claim.client]
        ahead = turn
        clients: set[str] = set()
        for priority, places in self._places.items():
            clients.update(places)
            if priority < claim.priority:
                ahead += places.total()
            elif priority == claim.priority:
                ahead += sum(
                    min(count, turn + 1) for client, count in places.items() if client != claim.client
                )
        return Load(
            queued=len(self._preparing) + len(self._waiting),
            ahead=ahead,
            client_queued=sum(places[claim.client] for places in self._places.values()),
            other_clients=len(clients - {claim.client}),
            busy_s=max(self._running_until_s - now_s, 0.0) if self._running else 0.0,
        )
