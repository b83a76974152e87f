"""Many threads at once on the real clock and the default rules: every admitted ticket settles exactly once."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from alphacut_server.batching.batcher import Batcher
from alphacut_server.batching.policy import Priority
from alphacut_server.batching.queue import Statistics
from alphacut_server.batching.ticket import Claim, Failed, Served, Ticket
from alphacut_server.deadline import MonotonicClock
from alphacut_server.errors import Cancelled, Draining, QueueFull
from support.batching import HANG_S, MODEL, FakeDevice, RecordingObserver, limits

THREADS, TICKETS = 8, 500


class Ledger:
    """Counts what each ticket was told, from whatever thread it comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.told = Counter[int]()
        self.wrong: list[object] = []
        self.admitted: set[int] = set()
        self.refused = 0

    def admit(self, item: int) -> None:
        """Note an admitted ticket."""
        with self._lock:
            self.admitted.add(item)

    def refuse(self) -> None:
        """Note a refusal."""
        with self._lock:
            self.refused += 1

    def put(self, item: int, outcome: Served[int] | Failed) -> None:
        """Note an outcome, and whether it is another item's or one that cannot be."""
        is_right = (
            outcome.result == item * 10
            if isinstance(outcome, Served)
            else isinstance(outcome.error, Cancelled)
        )
        with self._lock:
            self.told[item] += 1
            if not is_right:
                self.wrong.append(outcome)


def call_many(batcher: Batcher[int, int], ledger: Ledger, caller: int) -> None:
    """Admit many tickets; cancel a third of them: before the item, right after it, or some tickets later."""
    source = random.Random(caller)
    earlier: list[Ticket[int, int]] = []
    for number in range(TICKETS):
        item = caller * TICKETS + number
        wanted = Claim(MODEL, float("inf"), source.choice(list(Priority)), client=str(caller % 3))
        try:
            ticket = batcher.reserve(wanted, partial(ledger.put, item))
        except QueueFull:
            ledger.refuse()
            continue
        ledger.admit(item)
        fate = source.randrange(9)
        if fate == 0:
            batcher.cancel(ticket)
        batcher.submit(ticket, item)
        if fate == 1:
            batcher.cancel(ticket)
        earlier.append(ticket)
        if fate == 2:
            batcher.cancel(source.choice(earlier[-20:]))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("max_queue", [64, 4096], ids=["mostly refused", "never refused"])
def test_every_ticket_settles_exactly_once_under_stress(max_queue: int) -> None:
    """Eight threads, 500 tickets each, random cancellations: nobody is forgotten, told twice or given another's result."""
    device, ledger = FakeDevice(is_open=True), Ledger()
    with ThreadPoolExecutor(4) as pool, ThreadPoolExecutor(THREADS) as callers:
        batcher: Batcher[int, int] = Batcher(
            device.run,
            {MODEL: limits()},
            defer=pool.submit,
            observer=RecordingObserver(),
            max_queue=max_queue,
            clock=MonotonicClock(),
        )
        batcher.start()
        for done in [callers.submit(call_many, batcher, ledger, caller) for caller in range(THREADS)]:
            done.result(HANG_S)
        assert batcher.drain(HANG_S)
        batcher.close()

    assert ledger.told == Counter(ledger.admitted)
    assert ledger.wrong == []
    assert len(ledger.admitted) + ledger.refused == THREADS * TICKETS
    assert batcher.statistics() == Statistics(0, 0, 0, draining=True)
    assert max(map(len, device.batches)) <= 16


@pytest.mark.timeout(60)
def test_closing_under_stress_leaves_nobody_behind() -> None:
    """The batcher is closed while callers come, wait and cancel: each admitted ticket is still told exactly once."""
    device, outcomes, lock = FakeDevice(is_open=True), Counter[int](), threading.Lock()
    admitted: list[int] = []
    enough = threading.Event()

    def tell(item: int, outcome: Served[int] | Failed) -> None:
        with lock:
            outcomes[item] += 1

    def call_until_refused(caller: int) -> None:
        for number in range(1_000_000):
            item = caller * 1_000_000 + number
            try:
                ticket = batcher.reserve(Claim(MODEL, float("inf")), partial(tell, item))
            except QueueFull:
                continue
            except Draining:
                return
            with lock:
                admitted.append(item)
                if len(admitted) > 500:
                    enough.set()
            batcher.submit(ticket, item)

    with ThreadPoolExecutor(4) as pool, ThreadPoolExecutor(4) as callers:
        batcher: Batcher[int, int] = Batcher(
            device.run, {MODEL: limits()}, defer=pool.submit, observer=RecordingObserver(), max_queue=64
        )
        batcher.start()
        done = [callers.submit(call_until_refused, caller) for caller in range(4)]
        assert enough.wait(HANG_S)
        batcher.close()
        for caller in done:
            caller.result(HANG_S)

    assert outcomes == Counter(admitted)
