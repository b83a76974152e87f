"""The queue's bookkeeping by example; its laws under random interleavings are in test_queue_machine."""

import pytest

from alphacut_server.batching.policy import Decision, Idle, Priority, Rules, View
from alphacut_server.batching.queue import BatchQueue, Statistics
from alphacut_server.batching.ticket import Failed, Served, State, Ticket
from alphacut_server.errors import DeadlineExceeded, Draining, QueueFull
from support.batching import MODEL, claim, limits


def make_queue(
    *, max_batch_size: int = 4, max_queue: int = 64, max_queue_delay_s: float = 0.0
) -> BatchQueue[int, int]:
    """Make a queue for one model that holds nobody unless told."""
    rules = Rules(max_queue_delay_s=max_queue_delay_s)
    return BatchQueue({MODEL: limits(max_batch_size)}, max_queue=max_queue, rules=rules)


def ignore(outcome: Served[int] | Failed) -> None:
    """Take an outcome nobody looks at."""


def admit(
    queue: BatchQueue[int, int], item: int, *, client: str = "", now_s: float = 0.0
) -> Ticket[int, int]:
    """Take a place and hand in the item at once."""
    ticket = queue.reserve(claim(client=client), ignore, now_s)
    assert queue.enqueue(ticket, item, now_s)
    return ticket


def test_a_ticket_goes_through_all_states() -> None:
    """Place, item, batch, result: the counts and the state follow."""
    queue = make_queue()

    ticket = queue.reserve(claim(), ignore, 0.0)
    assert (ticket.state, queue.statistics()) == (State.PREPARING, Statistics(1, 0, 0, draining=False))
    queue.enqueue(ticket, 5, 0.0)
    assert (ticket.state, queue.statistics()) == (State.WAITING, Statistics(0, 1, 0, draining=False))
    step = queue.next_step(0.0)
    assert (step.batch, step.items) == ((ticket,), (5,))
    assert (ticket.state, queue.statistics()) == (State.RUNNING, Statistics(0, 0, 1, draining=False))

    assert queue.completed(0.01) == (True,)
    assert ticket.state is State.SETTLED
    assert queue.is_empty


def test_an_item_is_not_kept_once_it_runs() -> None:
    """The batch has it; a ticket that outlives its run must not keep a tensor alive."""
    queue = make_queue()
    ticket = admit(queue, 5)

    queue.next_step(0.0)

    assert ticket.item is None


def test_a_withdrawn_ticket_takes_no_item() -> None:
    """Whoever prepared it is told to throw the item away."""
    queue = make_queue()
    ticket = queue.reserve(claim(), ignore, 0.0)

    assert queue.withdraw(ticket)

    assert not queue.enqueue(ticket, 5, 0.0)
    assert queue.is_empty


def test_only_one_withdrawal_settles() -> None:
    """The second is told that it came too late."""
    queue = make_queue()
    ticket = admit(queue, 5)

    assert queue.withdraw(ticket)
    assert not queue.withdraw(ticket)


def test_an_item_is_handed_in_once() -> None:
    """A second hand-in of the same ticket changes nothing."""
    queue = make_queue()
    ticket = admit(queue, 5)

    assert not queue.enqueue(ticket, 6, 0.0)
    assert queue.next_step(0.0).items == (5,)


def test_a_ticket_withdrawn_while_it_runs_keeps_its_slot() -> None:
    """Its neighbours' results stay theirs: only its own is dropped."""
    queue = make_queue()
    tickets = [admit(queue, item) for item in range(3)]
    queue.next_step(0.0)

    assert queue.withdraw(tickets[1])

    assert queue.completed(0.01) == (True, False, True)


def test_a_place_is_free_again_once_its_ticket_runs() -> None:
    """The queue's limit counts who waits, not who runs."""
    queue = make_queue(max_queue=1)
    admit(queue, 1)
    with pytest.raises(QueueFull):
        admit(queue, 2)

    queue.next_step(0.0)

    assert admit(queue, 2).state is State.WAITING


def test_a_refusal_says_when_to_come_back() -> None:
    """The exception carries admission's sentence and pause."""
    queue = make_queue(max_queue=1)
    admit(queue, 1)

    with pytest.raises(QueueFull, match="The queue is full") as caught:
        admit(queue, 2)
    assert caught.value.retry_after_s > 0


def test_the_running_batch_is_part_of_the_wait() -> None:
    """A batch of one takes 9 ms: right after its start 12 ms are too few for the next caller, 7 ms later they are enough."""
    queue = make_queue()
    admit(queue, 1)
    queue.next_step(0.0)

    with pytest.raises(QueueFull, match="longer than the deadline"):
        queue.reserve(claim(deadline_s=0.012), ignore, 0.0)
    assert queue.reserve(claim(deadline_s=0.019), ignore, 0.007).state is State.PREPARING


def test_a_batch_that_overruns_is_not_owed_time() -> None:
    """A run that takes longer than predicted counts as about to end, not as ending in the past."""
    queue = make_queue()
    admit(queue, 1)
    queue.next_step(0.0)

    with pytest.raises(DeadlineExceeded):
        queue.reserve(claim(deadline_s=5.008), ignore, 5.0)
    assert queue.reserve(claim(deadline_s=5.0095), ignore, 5.0).state is State.PREPARING


def test_a_deadline_too_short_for_an_idle_device_is_no_overload() -> None:
    """One picture takes 9 ms: less than that is the caller's own mistake, which no retry mends."""
    queue = make_queue()

    with pytest.raises(DeadlineExceeded, match="allow more time"):
        queue.reserve(claim(deadline_s=0.0085), ignore, 0.0)
    assert queue.reserve(claim(deadline_s=0.0095), ignore, 0.0).state is State.PREPARING


def test_interactive_callers_are_not_refused_for_bulk_work() -> None:
    """Those they overtake do not count as before them."""
    queue = make_queue(max_batch_size=1)
    for item in range(20):
        ticket = queue.reserve(claim(priority=Priority.BULK, client="bulk"), ignore, 0.0)
        queue.enqueue(ticket, item, 0.0)

    with pytest.raises(QueueFull):
        queue.reserve(claim(priority=Priority.BULK, deadline_s=0.02), ignore, 0.0)
    assert queue.reserve(claim(deadline_s=0.02), ignore, 0.0).state is State.PREPARING


def test_a_draining_queue_refuses_and_finishes() -> None:
    """Who is in is served, even one who was still preparing."""
    queue = make_queue()
    preparing = queue.reserve(claim(), ignore, 0.0)
    admit(queue, 2)

    queue.drain()

    with pytest.raises(Draining):
        queue.reserve(claim(), ignore, 0.0)
    assert queue.enqueue(preparing, 1, 0.0)
    assert queue.next_step(0.0).items == (1, 2)


def test_abandoning_takes_out_all_but_those_who_run() -> None:
    """Waiting and preparing tickets alike: none of them would ever be settled by anybody else."""
    queue = make_queue(max_batch_size=1)
    running, waiting = admit(queue, 1), admit(queue, 2)
    queue.next_step(0.0)
    preparing = queue.reserve(claim(), ignore, 0.0)

    assert set(queue.abandon_all()) == {waiting, preparing}

    assert not queue.enqueue(preparing, 3, 0.0)
    assert queue.statistics() == Statistics(0, 0, 1, draining=False)
    assert running.state is State.RUNNING


def test_expired_tickets_leave_with_the_step() -> None:
    """They are named once, have left the counts, and did not run."""
    queue = make_queue()
    ticket = queue.reserve(claim(deadline_s=0.02), ignore, 0.0)
    queue.enqueue(ticket, 1, 0.0)

    step = queue.next_step(0.015)

    assert (step.expired, step.batch, step.wake_at_s) == ((ticket,), (), float("inf"))
    assert queue.is_empty
    assert queue.next_step(0.015).expired == ()


def test_two_halves_that_alternate_are_brought_together() -> None:
    """Eight callers in two halves of four: within thirty rounds the queue waits half a millisecond for the others."""
    queue = make_queue(max_batch_size=16, max_queue_delay_s=0.008)
    now_s = 0.0
    half = [admit(queue, item, now_s=now_s) for item in range(4)]

    for _ in range(30):
        step = queue.next_step(now_s)
        if not step.batch:
            break
        assert step.batch == tuple(half)
        half = [admit(queue, item, now_s=now_s + 0.0004) for item in range(4)]  # those answered just before
        now_s += 0.012
        queue.completed(now_s)

    assert step.wake_at_s == pytest.approx(now_s + 0.0005)


def test_a_device_slower_than_its_model_admits_less() -> None:
    """Once batches have taken twice as long as predicted, a wait that seemed possible is refused."""
    queue = make_queue()
    assert queue.withdraw(queue.reserve(claim(deadline_s=0.012), ignore, 0.0))

    now_s = 0.0
    for item in range(30):
        admit(queue, item, now_s=now_s)
        queue.next_step(now_s)
        now_s += 0.018
        queue.completed(now_s)

    with pytest.raises(DeadlineExceeded, match="allow more time"):
        queue.reserve(claim(deadline_s=now_s + 0.012), ignore, now_s)


def test_a_newcomer_is_not_refused_for_anothers_backlog() -> None:
    """Clients take turns, so a first call stands before another client's second: 40 of those do not make it hopeless."""
    queue = make_queue(max_batch_size=4)
    for item in range(40):
        admit(queue, item, client="flood")

    with pytest.raises(QueueFull):
        queue.reserve(claim(client="flood", deadline_s=0.05), ignore, 0.0)
    assert queue.reserve(claim(client="guest", deadline_s=0.05), ignore, 0.0).state is State.PREPARING


def test_another_policy_may_be_tried() -> None:
    """The bench compares policies on the same queue."""
    seen: list[View] = []

    def never(view: View) -> Decision:
        seen.append(view)
        return Decision((), Idle())

    queue: BatchQueue[int, int] = BatchQueue({MODEL: limits()}, max_queue=4, rules=Rules(), policy=never)
    admit(queue, 1, now_s=3.0)

    assert queue.next_step(3.0).batch == ()
    assert [ticket.enqueued_s for ticket in seen[0].waiting] == [3.0]
