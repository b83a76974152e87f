"""A discrete-event simulator of one device that drives the very BatchQueue the server runs; hours of traffic in seconds.

It answers what the policy would do under closed loops (callers who ask again `think` after their answer) and open arrivals,
at any cost model, without a device, a network or noise. Used by tests and by bench/batching.py.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from alphacut_server.batching.policy import Decision, Priority, Rules, View, decide
from alphacut_server.batching.queue import BatchQueue, LaneLimits, Step
from alphacut_server.batching.ticket import Claim, Failed, Served, Ticket
from alphacut_server.errors import DeadlineExceeded, Overloaded

_KEY = "model"

SimTicket: TypeAlias = Ticket["Call", None]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the simulated traffic."""

    arrival_s: float
    timeout_s: float = 60.0
    priority: Priority = Priority.INTERACTIVE
    client: str = ""
    caller: int | None = None
    """Index of the closed-loop caller who asks again once answered; None for open arrivals."""
    preparation_s: float = 0.0
    """Time between taking a place and standing in the queue."""


@dataclass(slots=True)
class Outcome:
    """What happened, in simulated seconds."""

    latencies_s: list[float] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)
    refused: int = 0
    expired: int = 0
    busy_s: float = 0.0
    span_s: float = 0.0
    served_by_client: dict[str, int] = field(default_factory=dict)

    @property
    def rate_per_s(self) -> float:
        """Calls answered per second."""
        return len(self.latencies_s) / self.span_s

    @property
    def mean_batch(self) -> float:
        """Mean size of a batch."""
        return sum(self.batch_sizes) / max(len(self.batch_sizes), 1)

    def percentile_s(self, share: float) -> float:
        """Return the latency below which `share` of the answered calls lie, s."""
        ordered = sorted(self.latencies_s)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class Simulation:
    """One run.

    `think` gives the seconds a closed-loop caller takes between an answer and its next call; `device_s` the seconds that a batch
    of so many really takes, when that is to differ from the lane's cost model; `policy` stands in for `decide` in comparisons.
    """

    def __init__(
        self,
        lane: LaneLimits,
        *,
        rules: Rules | None = None,
        max_queue: int = 256,
        think: Callable[[], float] = lambda: 0.001,
        device_s: Callable[[int], float] | None = None,
        policy: Callable[[View], Decision] = decide,
    ) -> None:
        self._queue: BatchQueue[Call, None] = BatchQueue(
            {_KEY: lane}, max_queue=max_queue, rules=rules or Rules(), policy=policy
        )
        self._device_s = device_s or lane.cost.batch_s
        self._think = think
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._now_s = 0.0
        self._busy = False
        self._wake_at_s = float("inf")
        self._outcome = Outcome()
        self._warm_s = 0.0

    def run(self, calls: Iterator[Call], *, horizon_s: float, warm_s: float = 0.0) -> Outcome:
        """Feed `calls` (in order of arrival) and report on what ended between `warm_s` and `horizon_s`."""
        self._warm_s = warm_s
        self._feed(calls)
        while self._events and self._events[0][0] <= horizon_s:
            self._now_s, _, event = heapq.heappop(self._events)
            event()
        self._outcome.span_s = horizon_s - warm_s
        return self._outcome

    def _at(self, at_s: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (at_s, self._count, event))

    def _feed(self, calls: Iterator[Call]) -> None:
        call = next(calls, None)
        if call is None:
            return

        def arrive() -> None:
            self._arrive(call)
            self._feed(calls)

        self._at(call.arrival_s, arrive)

    def _arrive(self, call: Call) -> None:
        ticket: SimTicket
        claim = Claim(_KEY, call.arrival_s + call.timeout_s, call.priority, call.client)
        try:
            ticket = self._queue.reserve(claim, lambda outcome: self._settled(call, outcome), self._now_s)
        except (Overloaded, DeadlineExceeded):
            self._outcome.refused += 1
            self._return(call)
            return
        if call.preparation_s:
            self._at(self._now_s + call.preparation_s, lambda: self._enqueue(ticket, call))
        else:
            self._enqueue(ticket, call)

    def _enqueue(self, ticket: SimTicket, call: Call) -> None:
        self._queue.enqueue(ticket, call, self._now_s)
        self._consider()

    def _consider(self) -> None:
        if self._busy:
            return
        step = self._queue.next_step(self._now_s)
        for ticket in step.expired:
            ticket.settle(Failed(DeadlineExceeded("expired")))
        if step.batch:
            self._dispatch(step)
        elif step.wake_at_s != float("inf"):
            self._wake_at_s = step.wake_at_s
            self._at(step.wake_at_s, self._wake)

    def _wake(self) -> None:
        if self._now_s >= self._wake_at_s:
            self._wake_at_s = float("inf")
            self._consider()

    def _dispatch(self, step: Step[Call, None]) -> None:
        self._busy = True
        run_s = self._device_s(len(step.batch))

        def done() -> None:
            self._busy = False
            settled = self._queue.completed(self._now_s)
            if self._now_s >= self._warm_s:
                self._outcome.batch_sizes.append(len(step.batch))
                self._outcome.busy_s += run_s
            for ticket, alive in zip(step.batch, settled, strict=True):
                if alive:
                    ticket.settle(Served(None, len(step.batch), 0.0, run_s))
            self._consider()

        self._at(self._now_s + run_s, done)

    def _settled(self, call: Call, outcome: Served[None] | Failed) -> None:
        if isinstance(outcome, Failed):
            self._outcome.expired += 1
        elif self._now_s >= self._warm_s:
            self._outcome.latencies_s.append(self._now_s - call.arrival_s)
            served = self._outcome.served_by_client
            served[call.client] = served.get(call.client, 0) + 1
        self._return(call)

    def _return(self, call: Call) -> None:
        if call.caller is None:
            return
        again = Call(
            self._now_s + self._think(),
            call.timeout_s,
            call.priority,
            call.client,
            call.caller,
            call.preparation_s,
        )
        self._at(again.arrival_s, lambda: self._arrive(again))


def closed_loop(callers: int, timeout_s: float = 60.0) -> Iterator[Call]:
    """Give the first calls of `callers` closed-loop callers, a millisecond apart."""
    return iter([Call(index * 0.001, timeout_s, caller=index) for index in range(callers)])


def open_loop(gaps_s: Iterator[float], timeout_s: float = 60.0) -> Iterator[Call]:
    """Give independent arrivals, each `gap` after the one before."""
    at_s = 0.0
    for gap_s in gaps_s:
        at_s += gap_s
        yield Call(at_s, timeout_s)
