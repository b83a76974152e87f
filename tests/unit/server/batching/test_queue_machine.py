"""The queue under random interleavings of everything its owner may do."""

from collections import Counter
from collections.abc import Hashable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from alphacut_server.batching.cost import LEAST_PACE
from alphacut_server.batching.policy import Priority, Rules, Waiting, order
from alphacut_server.batching.queue import BatchQueue, LaneLimits, Statistics, Step
from alphacut_server.batching.ticket import Claim, Failed, Served, State, Ticket
from alphacut_server.errors import Cancelled, DeadlineExceeded, Draining, QueueFull
from support.batching import claim, limits

MAX_QUEUE = 24
LANES: dict[Hashable, LaneLimits] = {"fast": limits(8), "slow": limits(2)}
RULES = Rules(max_queue_delay_s=0.008, bulk_ageing_s=0.05)
SPANS_S = st.sampled_from([0.0, 0.0002, 0.0007, 0.003, 0.02, 0.1])


class QueueMachine(RuleBasedStateMachine):
    """Plays the owner: reserves, hands in, withdraws, decides, runs and settles, at any moment it may."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: BatchQueue[int, int] = BatchQueue(LANES, max_queue=MAX_QUEUE, rules=RULES)
        self.now_s = 100.0
        self.idle_since_s = 100.0
        self.running: tuple[Ticket[int, int], ...] = ()
        self.held: dict[int, Ticket[int, int]] = {}
        self.outcomes = Counter[int]()
        self.admitted = 0
        self.draining = False

    preparing = Bundle("preparing")
    handed_in = Bundle("handed_in")

    @initialize(rounds=st.sampled_from([0, 20]))
    def teach(self, rounds: int) -> None:
        """Start fresh, or after two halves of a closed loop have taught the queue that holding pays."""
        for _ in range(rounds):
            self.now_s += 0.012
            self.queue.completed(self.now_s)
            if self.queue.statistics().waiting and not self.queue.next_step(self.now_s).batch:
                break
            for item in range(4):
                ticket = self.queue.reserve(claim(key="fast"), lambda outcome: None, self.now_s)
                self.queue.enqueue(ticket, item, self.now_s + 0.0004)
        self.queue.abandon_all()
        self.idle_since_s = self.now_s

    @rule(
        target=preparing,
        key=st.sampled_from(["fast", "slow"]),
        priority=st.sampled_from(Priority),
        client=st.sampled_from("abc"),
        timeout_s=st.sampled_from([0.001, 0.02, 0.05, 0.5, float("inf")]),
    )
    def reserve(self, key: str, priority: Priority, client: str, timeout_s: float) -> object:
        """Take a place, or be refused."""
        wanted = claim(key=key, deadline_s=self.now_s + timeout_s, priority=priority, client=client)
        return self.admit(wanted) or multiple()

    @rule(target=handed_in, count=st.integers(1, 6))
    def burst(self, count: int) -> object:
        """Let a few plain callers of one model arrive at once, as after a batch."""
        tickets = [self.admit(claim(key="fast")) for _ in range(count)]
        return multiple(*[self.enqueue(ticket) for ticket in tickets if ticket])

    def admit(self, wanted: Claim) -> Ticket[int, int] | None:
        """Ask for a place; None when refused, which while draining is always."""
        number = self.admitted

        def count(outcome: Served[int] | Failed) -> None:
            self.outcomes[number] += 1

        try:
            ticket = self.queue.reserve(wanted, count, self.now_s)
        except Draining:
            assert self.draining
            return None
        except (QueueFull, DeadlineExceeded):
            assert not self.draining
            return None
        assert not self.draining
        self.held[ticket.sequence] = ticket
        self.admitted += 1
        return ticket

    @rule(target=handed_in, ticket=consumes(preparing))
    def enqueue(self, ticket: Ticket[int, int]) -> Ticket[int, int]:
        """Hand in the item; refused exactly when the ticket was taken out before."""
        was_preparing = ticket.state is State.PREPARING

        assert self.queue.enqueue(ticket, ticket.sequence, self.now_s) == was_preparing
        return ticket

    @rule(ticket=preparing | handed_in)
    def withdraw(self, ticket: Ticket[int, int]) -> None:
        """Take a ticket out, wherever it is."""
        if self.queue.withdraw(ticket):
            self.settle(ticket, Failed(Cancelled()))

    @rule(span_s=SPANS_S)
    def advance(self, span_s: float) -> None:
        """Let time pass."""
        self.now_s += span_s

    @precondition(lambda self: not self.running)
    @rule()
    def next_step(self) -> None:
        """Decide for the free device, and check the decision."""
        waiting = self.waiting()
        step = self.queue.next_step(self.now_s)

        for ticket in step.expired:
            self.settle(ticket, Failed(DeadlineExceeded("late")))
        alive = [ticket for ticket in waiting if ticket not in step.expired]
        if step.batch:
            self.check_batch(step, alive)
            self.running = step.batch
        elif alive:
            first_s = min(view_of(ticket).enqueued_s for ticket in alive)
            assert not self.draining, "nobody is held while draining"
            assert self.now_s < step.wake_at_s
            assert step.wake_at_s <= max(self.idle_since_s, first_s) + RULES.max_queue_delay_s + 1e-9
        else:
            assert step.wake_at_s == float("inf")

    @precondition(lambda self: self.running)
    @rule(run_s=SPANS_S)
    def completed(self, run_s: float) -> None:
        """End the run; exactly those still alive are settled with their own result."""
        self.now_s += run_s
        alive = [ticket.state is State.RUNNING for ticket in self.running]

        assert self.queue.completed(self.now_s) == tuple(alive)

        for ticket in self.running:
            if alive.pop(0):
                self.settle(ticket, Served(0, 1, 0.0, 0.0))
        self.running = ()
        self.idle_since_s = self.now_s

    @rule(luck=st.integers(0, 19))
    def drain(self, luck: int) -> None:
        """Now and then, drain."""
        if luck == 0:
            self.queue.drain()
            self.draining = True

    def check_batch(self, step: Step[int, int], alive: list[Ticket[int, int]]) -> None:
        """Hold the batch against the laws."""
        key = step.batch[0].claim.key
        fastest = LANES[key].cost.slower(LEAST_PACE)  # runs of any length have taught the queue some pace
        assert {ticket.claim.key for ticket in step.batch} == {key}
        assert len(step.batch) <= LANES[key].max_batch_size
        assert step.items == tuple(ticket.sequence for ticket in step.batch)
        on_time_s = self.now_s + fastest.batch_s(len(step.batch))
        assert all(ticket.claim.deadline_s >= on_time_s for ticket in step.batch)
        ranked = order([view_of(ticket) for ticket in alive], self.now_s, RULES)
        peers = [view.sequence for view in ranked if view.key == key]
        assert ranked[0].key == key
        batch = [ticket.sequence for ticket in step.batch]
        assert batch == [sequence for sequence in peers if sequence in batch]

    def waiting(self) -> list[Ticket[int, int]]:
        """List the tickets in the state WAITING."""
        return [ticket for ticket in self.held.values() if ticket.state is State.WAITING]

    def settle(self, ticket: Ticket[int, int], outcome: Served[int] | Failed) -> None:
        """Tell the ticket's holder and forget it."""
        ticket.settle(outcome)
        del self.held[ticket.sequence]

    @invariant()
    def counts_are_true(self) -> None:
        """The statistics are those of the tickets, and nobody has heard twice."""
        states = Counter(ticket.state for ticket in self.held.values())
        seen = Statistics(states[State.PREPARING], states[State.WAITING], len(self.running), self.draining)
        assert self.queue.statistics() == seen
        assert self.queue.is_empty == (not self.held and not self.running)
        assert states[State.PREPARING] + states[State.WAITING] <= MAX_QUEUE
        assert all(count == 1 for count in self.outcomes.values())

    def teardown(self) -> None:
        """Let everybody finish: each admitted ticket has settled exactly once, and no count is left behind."""
        for ticket in [*self.held.values()]:
            if ticket.state is State.PREPARING:
                self.enqueue(ticket)
        while self.held or self.running:
            if self.running:
                self.completed(0.001)
            else:
                self.now_s += RULES.max_queue_delay_s  # outlasts any hold
                self.next_step()
        assert self.outcomes == Counter(range(self.admitted))
        self.counts_are_true()
        if not self.draining:
            self.check_no_count_is_left()

    def check_no_count_is_left(self) -> None:
        """An emptied queue has as much room for each client as a new one: seven eighths for whoever is alone."""
        for client in "abc":
            taken = 0
            while True:
                try:
                    self.queue.reserve(claim(key="fast", client=client), lambda outcome: None, self.now_s)
                except QueueFull:
                    break
                taken += 1
            assert taken == MAX_QUEUE * 7 // 8
            for ticket in self.queue.abandon_all():
                assert ticket.state is State.SETTLED


def view_of(ticket: Ticket[int, int]) -> Waiting:
    """Give the policy's view of a ticket that has one."""
    assert ticket.waiting is not None
    return ticket.waiting


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestQueue = QueueMachine.TestCase
