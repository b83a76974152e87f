"""The batcher with its real thread: a device under the test's thumb, mailboxes for callbacks, events instead of sleeps."""

import threading
from collections.abc import Callable

import pytest

from alphacut_server.batching.queue import Statistics
from alphacut_server.batching.ticket import Failed, Served
from alphacut_server.errors import Cancelled, DeadlineExceeded, EngineFailed, ModelNotReady, QueueFull
from support.batching import HANG_S, MODEL, Mailbox, Rig, claim, fail_with

RigMaker = Callable[..., Rig]


def test_a_lone_item_runs_alone_and_at_once(rig: Rig) -> None:
    """Its own result comes back, with what its batch was like."""
    _, mailbox = rig.admit(7)
    assert rig.device.await_batch() == (7,)
    rig.clock.advance(0.009)
    rig.device.finish()

    served = mailbox.served()

    assert served.result == 70
    assert (served.batch_size, served.queue_delay_s) == (1, 0.0)
    assert served.run_s == pytest.approx(0.009)


def test_the_waiting_batch_stays_open_until_the_device_is_free(rig: Rig) -> None:
    """Whoever arrives while the device works shares the next batch, and each gets its own result."""
    first = rig.occupy()
    mailboxes = [rig.admit(item)[1] for item in (1, 2, 3)]
    rig.clock.advance(0.02)

    rig.device.finish()

    assert rig.device.await_batch() == (1, 2, 3)
    rig.device.finish()
    assert first.served().result == 0
    assert [mailbox.served().result for mailbox in mailboxes] == [10, 20, 30]
    assert {mailbox.served().batch_size for mailbox in mailboxes} == {3}
    assert mailboxes[0].served().queue_delay_s == pytest.approx(0.02)


def test_a_backlog_runs_in_batches_of_the_limit(make_rig: RigMaker) -> None:
    """Five items on a device of two take three batches."""
    rig = make_rig(max_batch_size=2)
    rig.occupy()
    mailboxes = [rig.admit(item)[1] for item in (1, 2, 3, 4, 5)]

    rig.device.open()

    assert [mailbox.served().result for mailbox in mailboxes] == [10, 20, 30, 40, 50]
    assert rig.device.batches == [(0,), (1, 2), (3, 4), (5,)]


def test_an_item_cancelled_while_queued_costs_no_device_time(rig: Rig) -> None:
    """Its caller hears at once; the device never sees it."""
    rig.occupy()
    ticket, cancelled = rig.admit(1)
    _, kept = rig.admit(2)

    rig.batcher.cancel(ticket)

    assert isinstance(cancelled.error(), Cancelled)
    rig.device.finish()
    assert rig.device.await_batch() == (2,)
    rig.device.finish()
    assert kept.served().result == 20


def test_an_item_cancelled_while_it_runs_loses_only_its_own_result(rig: Rig) -> None:
    """The caller hears at once, the neighbours get theirs, and nothing comes a second time."""
    rig.occupy()
    _, left = rig.admit(1)
    ticket, cancelled = rig.admit(2)
    _, right = rig.admit(3)
    rig.device.finish()
    assert rig.device.await_batch() == (1, 2, 3)

    rig.batcher.cancel(ticket)

    assert isinstance(cancelled.error(), Cancelled)
    rig.device.finish()
    assert (left.served().result, right.served().result) == (10, 30)
    assert rig.batcher.drain(HANG_S)
    assert len(cancelled.outcomes) == 1


def test_a_cancelled_place_takes_no_item(rig: Rig) -> None:
    """Cancelled while its picture was still being decoded: the item is ignored."""
    mailbox = Mailbox()
    ticket = rig.batcher.reserve(claim(), mailbox.put)

    rig.batcher.cancel(ticket)
    rig.batcher.submit(ticket, 1)

    assert isinstance(mailbox.error(), Cancelled)
    assert rig.batcher.statistics() == Statistics(0, 0, 0, draining=False)
    assert rig.device.batches == []


def test_cancelling_twice_or_too_late_does_nothing(rig: Rig) -> None:
    """A result that has been given is not taken back."""
    ticket, mailbox = rig.admit(1)
    rig.device.open()
    assert mailbox.served().result == 10

    rig.batcher.cancel(ticket)
    rig.batcher.cancel(ticket)

    assert len(mailbox.outcomes) == 1


def test_a_cancellation_may_say_why(rig: Rig) -> None:
    """The pipeline cancels with the error that it met."""
    mailbox = Mailbox()
    ticket = rig.batcher.reserve(claim(), mailbox.put)
    reason = DeadlineExceeded("decoding took too long")

    rig.batcher.cancel(ticket, reason)

    assert mailbox.error() is reason


def test_a_device_that_raises_fails_exactly_its_batch(rig: Rig) -> None:
    """Both members hear of it without the device's own words, the batches before and after are served."""
    before = rig.occupy()
    failing = [rig.admit(item)[1] for item in (1, 2)]
    rig.device.finish()
    rig.device.await_batch()
    after = rig.admit(3)[1]
    rig.device.answer = fail_with(MemoryError("cudaMalloc at /opt/secret"))
    rig.device.finish()

    errors = [mailbox.error() for mailbox in failing]

    assert all(isinstance(error, EngineFailed) for error in errors)
    assert "secret" not in str(errors[0])
    rig.device.await_batch()
    rig.device.answer = lambda items: [item * 10 for item in items]
    rig.device.finish()
    assert (before.served().result, after.served().result) == (0, 30)
    assert f"failed {MODEL} 2 MemoryError" in rig.observer.reports


def test_each_caller_gets_an_error_of_its_own(rig: Rig) -> None:
    """An outer stage adds a caller's name to the error, and its neighbours in the batch must not see it."""
    rig.occupy()
    mailboxes = [rig.admit(item)[1] for item in (1, 2)]
    rig.device.answer = fail_with(ModelNotReady("The device is being reset.", retry_after_s=3.0))
    rig.device.open()

    mine, theirs = [mailbox.error() for mailbox in mailboxes]

    assert isinstance(mine, ModelNotReady)
    assert isinstance(theirs, ModelNotReady)
    assert (str(mine), mine.retry_after_s) == ("The device is being reset.", 3.0)
    mine.with_metadata(name="mine.jpg")
    assert theirs.metadata == {}


@pytest.mark.parametrize("answer", [[], [1], [1, 2, 3]], ids=["none", "too few", "too many"])
def test_a_wrong_number_of_results_fails_the_batch(rig: Rig, answer: list[int]) -> None:
    """Nobody is given somebody else's mask."""
    rig.occupy()
    mailboxes = [rig.admit(item)[1] for item in (1, 2)]
    rig.device.answer = lambda items: [0] if items == (0,) else answer

    rig.device.open()

    for mailbox in mailboxes:
        assert isinstance(mailbox.error(), EngineFailed)


def test_who_cannot_make_it_any_more_never_runs(rig: Rig) -> None:
    """Two waited too long behind a slow batch: both are told so, each by an error of its own, and only the third runs."""
    rig.occupy()
    in_time = rig.clock.now() + 0.05
    late = [rig.admit(item, wanted=claim(deadline_s=in_time))[1] for item in (1, 2)]
    _, patient = rig.admit(3)
    rig.clock.advance(0.045)

    rig.device.finish()

    assert rig.device.await_batch() == (3,)
    errors = [mailbox.error() for mailbox in late]
    assert all(isinstance(error, DeadlineExceeded) for error in errors)
    assert errors[0] is not errors[1]
    rig.device.finish()
    assert patient.served().result == 30
    assert "expired 2" in rig.observer.reports


def test_a_deadline_in_the_past_gets_no_place(rig: Rig) -> None:
    """It is the caller's deadline, not an overload: no retry is suggested."""
    with pytest.raises(DeadlineExceeded):
        rig.batcher.reserve(claim(deadline_s=rig.clock.now()), Mailbox().put)


def test_a_full_queue_refuses_the_newest(make_rig: RigMaker) -> None:
    """Those who were admitted stay and are served."""
    rig = make_rig(max_queue=2)
    rig.occupy()
    admitted = [rig.admit(item)[1] for item in (1, 2)]

    with pytest.raises(QueueFull):
        rig.admit(3)

    rig.device.open()
    assert [mailbox.served().result for mailbox in admitted] == [10, 20]


def test_callbacks_never_run_on_the_device_thread(rig: Rig) -> None:
    """Results, failures and expiries are told on other threads, so that no caller holds the device up."""
    served = rig.occupy()
    _, expired = rig.admit(1, wanted=claim(deadline_s=rig.clock.now() + 0.05))
    rig.clock.advance(0.05)
    rig.device.finish()
    served.wait()
    expired.wait()
    failing = [rig.admit(item)[1] for item in (2, 3)]
    rig.device.answer = fail_with(RuntimeError("broken"))
    rig.device.open()

    threads = {mailbox.thread for mailbox in (served, expired, *failing) if mailbox.wait()}

    assert len(rig.device.threads) == 1
    assert not threads & rig.device.threads


def test_a_callback_that_blocks_does_not_stop_the_device(rig: Rig) -> None:
    """While one caller composes its picture, the next batch runs."""
    release, entered = threading.Event(), threading.Event()

    def compose(outcome: Served[int] | Failed) -> None:
        entered.set()
        assert release.wait(HANG_S)

    rig.batcher.submit(rig.batcher.reserve(claim(), compose), 1)
    rig.device.await_batch()
    rig.device.open()
    assert entered.wait(HANG_S)

    _, other = rig.admit(2)

    assert other.served().result == 20
    release.set()


def test_a_callback_that_raises_harms_no_neighbour(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The others of its batch are told all the same, and the fault is logged."""
    rig.occupy()

    def fail(outcome: Served[int] | Failed) -> None:
        raise LookupError("the caller's loop is gone")

    rig.batcher.submit(rig.batcher.reserve(claim(), fail), 1)
    _, neighbour = rig.admit(2)

    rig.device.open()

    assert neighbour.served().batch_size == 2
    assert "settled_callback_failed" in caplog.text


def test_the_observer_hears_of_every_batch(rig: Rig) -> None:
    """Dispatch with each member's queue delay, completion with the device's time."""
    rig.occupy()
    rig.admit(1)
    rig.clock.advance(0.005)
    _, mailbox = rig.admit(2)
    rig.clock.advance(0.004)
    rig.device.finish()
    rig.device.await_batch()
    rig.clock.advance(0.010)
    rig.device.finish()
    mailbox.served()

    assert rig.observer.reports == [
        f"dispatched {MODEL} [0]",
        f"completed {MODEL} 1 9",
        f"dispatched {MODEL} [9, 4]",
        f"completed {MODEL} 2 10",
    ]


def test_a_broken_observer_harms_nobody(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Metrics that raise are logged; the device thread lives on and everybody is served."""
    rig.observer.is_broken = True
    rig.device.open()

    for item in (1, 2):
        assert rig.admit(item)[1].served().result == item * 10

    assert "batch_observer_failed" in caplog.text


def test_tickets_are_settled_even_when_the_other_threads_have_gone(rig: Rig) -> None:
    """A pool that was shut down first refuses work; the outcome is told on the device's thread then, rather than never."""
    rig.pool.shutdown()
    rig.device.open()

    assert rig.admit(1)[1].served().result == 10
    assert rig.admit(2)[1].served().result == 20
