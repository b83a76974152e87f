"""Drives the queue: one thread that alone talks to the device, decides while the device is free and never polls.

The waiting batch stays open until the device is free (late binding). After a run the thread first decides and starts the next
batch, and only then are the finished tickets settled, on other threads: the gap between two batches is microseconds.
"""

import logging
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar

from alphacut_server.batching.policy import Rules
from alphacut_server.batching.queue import BatchQueue, LaneLimits, Statistics, Step
from alphacut_server.batching.ticket import Claim, Failed, Served, Ticket
from alphacut_server.deadline import Clock, MonotonicClock
from alphacut_server.errors import AlphacutError, Cancelled, DeadlineExceeded, Draining, EngineFailed

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Run = Callable[[Hashable, Sequence[ItemT]], Sequence[ResultT]]
"""Runs one batch of one key on the device: as many results as items, in their order. Called by one thread at a time."""


_log = logging.getLogger(__name__)


class BatchObserver(Protocol):
    """Hears what the batcher does; called on its thread, so it must be quick. What it raises is logged and goes no further."""

    def batch_dispatched(self, key: Hashable, queue_delays_s: Sequence[float]) -> None:
        """A batch goes to the device; one queue delay a member."""
        ...

    def batch_completed(self, key: Hashable, size: int, seconds: float) -> None:
        """The device is done with it."""
        ...

    def batch_failed(self, key: Hashable, size: int, error: Exception) -> None:
        """The device call raised."""
        ...

    def tickets_expired(self, count: int) -> None:
        """So many left because their deadline could not be met."""
        ...


Settlement = tuple[Ticket[ItemT, ResultT], Served[ResultT] | Failed]


class Batcher(Generic[ItemT, ResultT]):
    """Micro-batcher for one device. Thread-safe; `start` before use, `drain` then `close` to end."""

    def __init__(  # the object graph is wired in one place, by keyword
        self,
        run: Run[ItemT, ResultT],
        lanes: Mapping[Hashable, LaneLimits],
        *,
        defer: Callable[[Callable[[], None]], object],
        observer: BatchObserver,
        max_queue: int = 256,
        rules: Rules | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`defer` runs a callable elsewhere soon (on the event loop); a batch's settled callbacks run there in turn."""
        self._run = run
        self._defer = defer
        self._observer = observer
        self._clock = clock or MonotonicClock()
        self._queue: BatchQueue[ItemT, ResultT] = BatchQueue(
            lanes, max_queue=max_queue, rules=rules or Rules()
        )
        self._changed = threading.Condition()
        self._device_free = False  # until the thread sleeps: only then does a newcomer have to wake it
        self._closed = False
        self._drained = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="alphacut-device", daemon=True)

    def start(self) -> None:
        """Start the device thread."""
        self._thread.start()

    def statistics(self) -> Statistics:
        """Return the counts at this instant."""
        with self._changed:
            return self._queue.statistics()

    def reserve(
        self, claim: Claim, on_settled: Callable[[Served[ResultT] | Failed], None]
    ) -> Ticket[ItemT, ResultT]:
        """Take a place before the item is prepared.

        `on_settled` is called exactly once, where `defer` says (on the caller's thread when it cancels), and must be quick.
        Raises QueueFull, Draining, DeadlineExceeded.
        """
        now_s = self._clock.now()
        if now_s >= claim.deadline_s:
            raise DeadlineExceeded("The deadline had passed when the call arrived.")
        with self._changed:
            return self._queue.reserve(claim, on_settled, now_s)

    def submit(self, ticket: Ticket[ItemT, ResultT], item: ItemT) -> None:
        """Hand in the item of a place; ignored when the ticket was cancelled meanwhile."""
        with self._changed:
            if self._queue.enqueue(ticket, item, self._clock.now()) and self._device_free:
                self._changed.notify_all()

    def cancel(self, ticket: Ticket[ItemT, ResultT], error: AlphacutError | None = None) -> None:
        """Settle a ticket with `error` (Cancelled) unless it has been settled; it costs no device time if it still waited."""
        with self._changed:
            withdrawn = self._queue.withdraw(ticket)
            self._note_drained()
        if withdrawn:
            ticket.settle(Failed(error or Cancelled()))

    def drain(self, timeout_s: float) -> bool:
        """Admit no more and wait for those admitted; True when all were settled in time. Blocks: call it off the loop."""
        self.stop_admitting()
        return self._drained.wait(timeout_s)

    def stop_admitting(self) -> None:
        """Refuse newcomers from now on; those admitted are served. Does not block."""
        with self._changed:
            self._queue.drain()
            self._note_drained()
            self._changed.notify_all()

    def close(self) -> None:
        """End the device thread after the running batch; whoever still waits fails with Draining. Idempotent."""
        with self._changed:
            self._queue.drain()
            left = self._queue.abandon_all()
            self._closed = True
            self._note_drained()
            self._changed.notify_all()
        if left:
            self._hand_over(partial(_settle_all, [(ticket, Failed(Draining())) for ticket in left]))
        if self._thread.is_alive():
            self._thread.join()

    def _serve(self) -> None:
        settlements: list[Settlement[ItemT, ResultT]] = []
        while True:
            step = self._await_batch(settlements)
            if step is None:
                return
            settlements = self._run_batch(step)

    def _await_batch(self, finished: list[Settlement[ItemT, ResultT]]) -> Step[ItemT, ResultT] | None:
        """Decide, hand the settlements of the run before to other threads, and sleep until there is a batch; None at the end."""
        settlements = finished
        while True:
            with self._changed:
                step = self._queue.next_step(self._clock.now())
                if not (step.batch or step.expired or settlements):
                    if self._closed:
                        return None
                    self._note_drained()
                    self._sleep(step.wake_at_s)
                    continue
            settlements = [*settlements, *self._expire(step)]
            if settlements:
                self._hand_over(partial(_settle_all, settlements))
            settlements = []
            if step.batch:
                return step

    def _sleep(self, wake_at_s: float) -> None:
        span_s = wake_at_s - self._clock.now()
        if span_s > 0:
            self._device_free = True
            self._changed.wait(None if span_s == float("inf") else span_s)
            self._device_free = False

    def _run_batch(self, step: Step[ItemT, ResultT]) -> list[Settlement[ItemT, ResultT]]:
        key, size = step.batch[0].claim.key, len(step.batch)
        started_s = self._clock.now()
        delays_s = [started_s - ticket.waiting.enqueued_s for ticket in step.batch if ticket.waiting]
        self._tell(partial(self._observer.batch_dispatched, key, delays_s))
        outcomes = self._run_guarded(key, step.items)
        with self._changed:
            ended_s = self._clock.now()
            settled = self._queue.completed(ended_s)
            nobody_waits = not self._queue.has_waiting
        run_s = ended_s - started_s
        settlements: list[Settlement[ItemT, ResultT]] = [
            (ticket, outcome if isinstance(outcome, Failed) else Served(outcome, size, delay_s, run_s))
            for ticket, outcome, delay_s, alive in zip(step.batch, outcomes, delays_s, settled, strict=True)
            if alive
        ]
        if nobody_waits and settlements:
            # There is no next batch to start first: a lone caller gets the answer at once.
            self._hand_over(partial(_settle_all, settlements))
            settlements = []
        self._tell(partial(self._observer.batch_completed, key, size, run_s))
        return settlements

    def _run_guarded(self, key: Hashable, items: Sequence[ItemT]) -> Sequence[ResultT | Failed]:
        """Run the batch; whatever the device raises becomes an outcome, so that every ticket is settled."""
        try:
            results = self._run(key, items)
            if len(results) != len(items):
                raise EngineFailed("The engine did not answer every picture of this batch.")
        except Exception as error:  # noqa: BLE001  the one place below transport where all is caught: see the docstring
            self._tell(partial(self._observer.batch_failed, key, len(items), error))
            return [Failed(_own_error(error)) for _ in items]
        return results

    def _expire(self, step: Step[ItemT, ResultT]) -> list[Settlement[ItemT, ResultT]]:
        if step.expired:
            self._tell(partial(self._observer.tickets_expired, len(step.expired)))
        message = "The deadline could not be met any more; the picture was not processed."
        return [(ticket, Failed(DeadlineExceeded(message))) for ticket in step.expired]

    def _hand_over(self, job: Callable[[], None]) -> None:
        """Run `job` on another thread; on this one when the other threads have gone, for a ticket must not stay unsettled."""
        try:
            self._defer(job)
        except RuntimeError:  # what a pool or loop that was shut down first raises
            job()

    def _tell(self, report: Callable[[], None]) -> None:
        """Report to the observer; a fault of its own must not end the device thread, on which every caller waits."""
        try:
            report()
        except Exception:  # noqa: BLE001  still the batch runner's guard, as in _run_guarded
            _log.exception("batch_observer_failed")

    def _note_drained(self) -> None:
        statistics = self._queue.statistics()
        if statistics.draining and self._queue.is_empty:
            self._drained.set()


def _settle_all(settlements: Sequence[Settlement[ItemT, ResultT]]) -> None:
    for ticket, outcome in settlements:
        try:
            ticket.settle(outcome)
        except Exception:  # noqa: BLE001  one caller's fault must not leave its neighbours unsettled, see _run_guarded
            _log.exception("settled_callback_failed")


def _own_error(error: Exception) -> AlphacutError:
    """Make one ticket's own error: outer stages add a caller's name to it, which its neighbours must not see."""
    if not isinstance(error, AlphacutError):
        return EngineFailed("The engine failed on this batch; it may be tried again.")
    own = type(error).__new__(type(error), *error.args)
    own.__dict__.update(error.__dict__)
    return own
