"""Builders and fakes for the micro-batcher's tests: a clock that jumps, a device that waits for the test, and a mailbox.

Nothing here sleeps: the device tells when it has a batch and works until it is told to finish; a mailbox is an event.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from alphacut_server.batching.batcher import Batcher
from alphacut_server.batching.cost import CostModel
from alphacut_server.batching.policy import Lane, Priority, Rules, Waiting
from alphacut_server.batching.queue import LaneLimits
from alphacut_server.batching.returns import NOTHING_LEARNT, WINDOWS_S, Forecast
from alphacut_server.batching.ticket import Claim, Failed, Served, Ticket

HANG_S = 10.0
"""How long a test waits for another thread before it calls that a hang; never reached when all is well."""

EMULATED = CostModel(base_s=0.008, item_s=0.001)
"""The emulated accelerator's default: batching is worth a lot."""

MODEL = "model"


class FakeClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self._now_s = now_s

    def now(self) -> float:
        """Return the present instant, s."""
        return self._now_s

    def advance(self, span_s: float) -> None:
        """Let `span_s` seconds pass."""
        self._now_s += span_s


class FakeDevice:
    """Answers each item times ten, one batch after the other, each only after `finish` (or always, once `open`)."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.batches: list[tuple[int, ...]] = []
        self.threads: set[int] = set()
        self.answer: Callable[[Sequence[int]], Sequence[int]] = lambda items: [item * 10 for item in items]
        self._started = threading.Semaphore(0)
        self._finish = threading.Semaphore(0)
        self._open = is_open

    def run(self, key: Hashable, items: Sequence[int]) -> Sequence[int]:
        """Run one batch: note it, wait for leave to finish, answer."""
        self.batches.append(tuple(items))
        self.threads.add(threading.get_ident())
        self._started.release()
        if not self._open and not self._finish.acquire(timeout=HANG_S):
            raise TimeoutError("the test never let this batch finish")
        return self.answer(items)

    def await_batch(self) -> tuple[int, ...]:
        """Wait until the device has been given a further batch; return its items."""
        assert self._started.acquire(timeout=HANG_S), "no batch came to the device"
        return self.batches[-1]

    def finish(self) -> None:
        """Let one batch finish."""
        self._finish.release()

    def open(self) -> None:
        """Let this batch and all later ones finish at once."""
        self._open = True
        self._finish.release()


class Mailbox:
    """Takes one ticket's outcome, remembers how often and on which thread it came."""

    def __init__(self) -> None:
        self.outcomes: list[Served[int] | Failed] = []
        self.thread: int | None = None
        self._arrived = threading.Event()

    def put(self, outcome: Served[int] | Failed) -> None:
        """Take the outcome: the settled callback."""
        self.outcomes.append(outcome)
        self.thread = threading.get_ident()
        self._arrived.set()

    def wait(self) -> Served[int] | Failed:
        """Wait for the outcome and return it."""
        assert self._arrived.wait(HANG_S), "a ticket was never settled"
        return self.outcomes[0]

    def served(self) -> Served[int]:
        """Wait for a result."""
        outcome = self.wait()
        assert isinstance(outcome, Served), outcome
        return outcome

    def error(self) -> Exception:
        """Wait for a failure."""
        outcome = self.wait()
        assert isinstance(outcome, Failed), outcome
        return outcome.error


@dataclass(slots=True)
class RecordingObserver:
    """Writes down what the batcher reports; raises instead when `is_broken`."""

    is_broken: bool = False
    reports: list[str] = field(default_factory=list)

    def batch_dispatched(self, key: Hashable, queue_delays_s: Sequence[float]) -> None:
        """Note a dispatch with its queue delays in ms."""
        self._note(f"dispatched {key} {[round(delay_s * 1e3) for delay_s in queue_delays_s]}")

    def batch_completed(self, key: Hashable, size: int, seconds: float) -> None:
        """Note a completion with its device time in ms."""
        self._note(f"completed {key} {size} {round(seconds * 1e3)}")

    def batch_failed(self, key: Hashable, size: int, error: Exception) -> None:
        """Note a failure."""
        self._note(f"failed {key} {size} {type(error).__name__}")

    def tickets_expired(self, count: int) -> None:
        """Note expired tickets."""
        self._note(f"expired {count}")

    def _note(self, report: str) -> None:
        self.reports.append(report)
        if self.is_broken:
            raise LookupError("the observer is broken")


def claim(
    *,
    key: Hashable = MODEL,
    deadline_s: float = float("inf"),
    priority: Priority = Priority.INTERACTIVE,
    client: str = "",
) -> Claim:
    """Make a claim that differs from the plainest one in what is named."""
    return Claim(key, deadline_s, priority, client)


def waiting(
    sequence: int,
    *,
    key: Hashable = MODEL,
    priority: Priority = Priority.INTERACTIVE,
    enqueued_s: float = 0.0,
    deadline_s: float = float("inf"),
    client: str = "",
) -> Waiting:
    """Make a waiting ticket as the policy sees it."""
    return Waiting(sequence, key, priority, enqueued_s, deadline_s, client)


def limits(max_batch_size: int = 16, cost: CostModel = EMULATED) -> LaneLimits:
    """Make a lane's limits; t(b) = 8 + b ms unless told."""
    return LaneLimits(cost, max_batch_size)


def lane(max_batch_size: int = 16, cost: CostModel = EMULATED, forecast: Forecast = NOTHING_LEARNT) -> Lane:
    """Make a lane as the policy sees it."""
    return Lane(cost, max_batch_size, forecast)


def forecast(
    *,
    completed_at_s: float,
    answered: int,
    came: int = 0,
    rate_per_s: float = 0.0,
    share: float = 1.0,
    from_window: int = 0,
) -> Forecast:
    """Make a forecast in which `share` of the answered are back from the window of that index on."""
    shares = tuple(share if index >= from_window else 0.0 for index in range(len(WINDOWS_S)))
    return Forecast(completed_at_s, answered, came, rate_per_s, shares)


@dataclass(frozen=True, slots=True)
class Rig:
    """A running batcher, its device, and everything around them."""

    batcher: Batcher[int, int]
    device: FakeDevice
    clock: FakeClock
    observer: RecordingObserver
    pool: ThreadPoolExecutor

    def admit(self, item: int, *, wanted: Claim | None = None) -> tuple[Ticket[int, int], Mailbox]:
        """Take a place and hand in the item at once."""
        mailbox = Mailbox()
        ticket = self.batcher.reserve(wanted or claim(), mailbox.put)
        self.batcher.submit(ticket, item)
        return ticket, mailbox

    def occupy(self) -> Mailbox:
        """Put the device to work on item 0, so that whoever comes next has to wait."""
        _, mailbox = self.admit(0)
        assert self.device.await_batch() == (0,)
        return mailbox


def start_rig(*, max_batch_size: int = 16, max_queue: int = 64) -> Rig:
    """Start a batcher that holds nobody, on a clock that stands still; whoever starts one stops it."""
    device, clock, observer = FakeDevice(), FakeClock(), RecordingObserver()
    pool = ThreadPoolExecutor(4, thread_name_prefix="settle")
    batcher: Batcher[int, int] = Batcher(
        device.run,
        {MODEL: limits(max_batch_size)},
        defer=pool.submit,
        observer=observer,
        max_queue=max_queue,
        rules=Rules(max_queue_delay_s=0.0),
        clock=clock,
    )
    batcher.start()
    return Rig(batcher, device, clock, observer, pool)


def stop_rig(rig: Rig) -> None:
    """Let the device finish whatever it has, and end all threads."""
    rig.device.open()
    rig.batcher.close()
    rig.pool.shutdown()


def fail_with(error: Exception) -> Callable[[Sequence[int]], Sequence[int]]:
    """Make a device's answer that raises."""

    def answer(items: Sequence[int]) -> Sequence[int]:
        raise error

    return answer
