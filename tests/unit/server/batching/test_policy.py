"""The policy's parts by example; their laws are in test_policy_properties."""

from collections.abc import Hashable

import pytest

from alphacut_server.batching.cost import CostModel
from alphacut_server.batching.policy import (
    MOST_ROUNDS,
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
    expected_win_s,
    hold_until,
    largest_on_time,
    order,
    rounds_saved,
    split_hopeless,
)
from alphacut_server.batching.returns import WINDOWS_S, Forecast
from support.batching import EMULATED, MODEL, forecast, lane, waiting

RULES = Rules()


def view(*tickets: Waiting, now_s: float = 0.0, max_batch_size: int = 16, draining: bool = False) -> View:
    """See `tickets` on a device about whose callers nothing is known."""
    return View(now_s, tickets, {MODEL: lane(max_batch_size)}, RULES, draining)


def sequences(tickets: tuple[Waiting, ...] | list[Waiting]) -> list[int]:
    """Name the tickets."""
    return [ticket.sequence for ticket in tickets]


def dispatched(decision: Decision) -> list[int]:
    """Name the members of the batch that was decided on."""
    assert isinstance(decision.action, Dispatch), decision
    return sequences(decision.action.batch)


def test_an_empty_queue_idles() -> None:
    """Nobody there, nothing to do."""
    assert decide(view()) == Decision((), Idle())


def test_a_lone_caller_goes_at_once() -> None:
    """With nobody expected, one ticket is a batch."""
    assert dispatched(decide(view(waiting(1)))) == [1]


def test_whoever_waits_shares_the_batch() -> None:
    """All that is queued goes together, in order of arrival when nothing else tells them apart."""
    assert dispatched(decide(view(waiting(2), waiting(1), waiting(3)))) == [1, 2, 3]


def test_a_batch_stops_at_its_limit() -> None:
    """The rest waits for the next."""
    assert dispatched(decide(view(*map(waiting, range(5)), max_batch_size=3))) == [0, 1, 2]


def test_one_model_a_batch() -> None:
    """The most urgent ticket picks the model; others of its model join, those of another do not."""
    tickets = [
        waiting(1, key="b", deadline_s=9.0),
        waiting(2, key="a", deadline_s=8.0),
        waiting(3, key="a"),
    ]

    decision = decide(View(0.0, tickets, {"a": lane(), "b": lane()}, RULES))

    assert dispatched(decision) == [2, 3]


def test_who_cannot_make_it_leaves_without_device_time() -> None:
    """A batch of one takes 9 ms; 8 ms left are too few, 9 are enough."""
    late, on_time = waiting(1, deadline_s=0.008), waiting(2, deadline_s=0.0090001)

    decision = decide(view(late, on_time))

    assert decision.expired == (late,)
    assert dispatched(decision) == [2]


def test_when_all_are_late_the_device_idles() -> None:
    """Nobody left, nothing to run."""
    late = waiting(1, deadline_s=0.001)

    assert decide(view(late)) == Decision((late,), Idle())


def test_hopelessness_depends_on_the_model() -> None:
    """Ten milliseconds are enough for a fast model and too few for a slow one."""
    tickets = [waiting(1, key="fast", deadline_s=0.01), waiting(2, key="slow", deadline_s=0.01)]
    lanes: dict[Hashable, Lane] = {"fast": lane(), "slow": lane(cost=CostModel(0.1, 0.1))}

    expired, alive = split_hopeless(View(0.0, tickets, lanes, RULES))

    assert sequences(expired) == [2]
    assert sequences(alive) == [1]


def test_earliest_deadline_first() -> None:
    """Within a class the deadline decides, then the arrival."""
    tickets = [waiting(1), waiting(2, deadline_s=5.0), waiting(3, deadline_s=3.0), waiting(4)]

    assert sequences(order(tickets, 0.0, RULES)) == [3, 2, 1, 4]


def test_interactive_before_bulk() -> None:
    """Even when the bulk ticket came first and has less time left."""
    tickets = [waiting(1, priority=Priority.BULK, deadline_s=1.0), waiting(2, deadline_s=50.0)]

    assert sequences(order(tickets, 0.0, RULES)) == [2, 1]


def test_bulk_ages_into_interactive() -> None:
    """Bulk work that has waited `bulk_ageing_s` competes by deadline like everybody else; a moment earlier it does not."""
    tickets = [
        waiting(1, priority=Priority.BULK, enqueued_s=0.0, deadline_s=5.0),
        waiting(2, enqueued_s=1.9, deadline_s=6.0),
    ]

    assert sequences(order(tickets, 1.99, RULES)) == [2, 1]
    assert sequences(order(tickets, 2.0, RULES)) == [1, 2]


def test_clients_take_turns() -> None:
    """A client with a backlog gets its next place only after everybody's first, whoever came first."""
    backlog = [waiting(sequence, client="greedy") for sequence in range(4)]
    guests = [waiting(10, client="anna"), waiting(11, client="ben")]

    assert sequences(order([*backlog, *guests], 0.0, RULES)) == [0, 10, 11, 1, 2, 3]


def test_turns_are_taken_within_a_class() -> None:
    """A client's bulk work does not use up its turn among the interactive."""
    tickets = [
        waiting(1, client="a", priority=Priority.BULK),
        waiting(2, client="a"),
        waiting(3, client="b"),
        waiting(4, client="a"),
    ]

    assert sequences(order(tickets, 0.0, RULES)) == [2, 3, 4, 1]


def test_nobody_to_order() -> None:
    """An empty queue is in order."""
    assert order([], 0.0, RULES) == []


def test_a_tight_deadline_keeps_the_batch_small() -> None:
    """12 ms are left for the first: t(4) = 12 ms, so four go and the fifth waits."""
    tickets = [waiting(1, deadline_s=0.012), *map(waiting, range(2, 9))]

    assert sequences(largest_on_time(tickets, EMULATED, 0.0)) == [1, 2, 3, 4]


def test_a_later_member_may_be_the_tight_one() -> None:
    """A deadline that a batch of three would break keeps its owner out, not the two before it."""
    tickets = [waiting(1), waiting(2), waiting(3, deadline_s=0.0105), waiting(4)]

    assert sequences(largest_on_time(tickets, EMULATED, 0.0)) == [1, 2]


def test_a_tight_head_goes_first_when_the_others_can_wait() -> None:
    """The first has time for a batch of four only; the other seven make it afterwards, so four go now."""
    tickets = [waiting(1, deadline_s=0.012), *(waiting(sequence, deadline_s=0.1) for sequence in range(2, 9))]

    assert dispatched(decide(view(*tickets, max_batch_size=8))) == [1, 2, 3, 4]


def test_one_who_is_nearly_late_does_not_sink_the_others() -> None:
    """Going with the first means a batch of four, after which the others are late: eight go without it."""
    tickets = [
        waiting(1, deadline_s=0.012),
        *(waiting(sequence, deadline_s=0.02) for sequence in range(2, 12)),
    ]

    assert dispatched(decide(view(*tickets, max_batch_size=8))) == [2, 3, 4, 5, 6, 7, 8, 9]


def test_bulk_work_does_not_push_an_interactive_head_out() -> None:
    """However many bulk tickets become late: the interactive one goes, with as many of them as its deadline allows."""
    bulk = [waiting(sequence, priority=Priority.BULK, deadline_s=0.02) for sequence in range(2, 12)]

    assert dispatched(decide(view(waiting(1, deadline_s=0.012), *bulk, max_batch_size=8))) == [1, 2, 3, 4]


def test_the_device_is_held_for_callers_about_to_return() -> None:
    """Four wait, four were just answered and come back within a millisecond: t(8) once beats t(4) twice."""
    four = list(map(waiting, range(4)))
    learnt = lane(forecast=forecast(completed_at_s=0.0, answered=4, from_window=1))

    decision = decide(View(0.0, four, {MODEL: learnt}, RULES))

    assert decision.action == WaitUntil(WINDOWS_S[1])


def test_nobody_is_held_while_draining() -> None:
    """Whoever was answered will not be let in again."""
    four = list(map(waiting, range(4)))
    learnt = lane(forecast=forecast(completed_at_s=0.0, answered=4, from_window=1))

    decision = decide(View(0.0, four, {MODEL: learnt}, RULES, draining=True))

    assert dispatched(decision) == [0, 1, 2, 3]


def test_nobody_is_held_while_another_model_waits() -> None:
    """Holding the device for one model's callers would make the other model's wait for nothing."""
    tickets = [*map(waiting, range(4)), waiting(9, key="other")]
    learnt = lane(forecast=forecast(completed_at_s=0.0, answered=4, from_window=1))

    decision = decide(View(0.0, tickets, {MODEL: learnt, "other": lane()}, RULES))

    assert dispatched(decision) == [0, 1, 2, 3]


def test_a_full_batch_is_not_held() -> None:
    """There is no room for those who might come."""
    learnt = lane(4, forecast=forecast(completed_at_s=0.0, answered=4))

    decision = decide(View(0.0, list(map(waiting, range(4))), {MODEL: learnt}, RULES))

    assert dispatched(decision) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("reason", "now_s", "answered", "came", "share", "max_queue_delay_s"),
    [
        ("all have come", 0.0002, 4, 4, 1.0, 0.008),
        ("too few of them return", 0.0002, 4, 0, 0.29, 0.008),
        ("the moment has passed", 0.0081, 4, 0, 1.0, 0.008),
        ("holding is switched off", 0.0002, 4, 0, 1.0, 0.0),
        ("the nearest window lies beyond the limit", 0.0, 4, 0, 1.0, 0.0004),
    ],
)
def test_going_at_once_when(  # one fact a case, and the table is easier to read than five functions
    reason: str, *, now_s: float, answered: int, came: int, share: float, max_queue_delay_s: float
) -> None:
    """The device is not held when nothing is to be gained."""
    known = forecast(completed_at_s=0.0, answered=answered, came=came, share=share)

    until_s = hold_until(
        [waiting(1, enqueued_s=0.0)],
        lane(forecast=known),
        now_s,
        Rules(max_queue_delay_s=max_queue_delay_s),
    )

    assert until_s == now_s, reason


def test_a_lone_caller_who_has_returned_waits_for_nobody() -> None:
    """One answered, one came: whatever the share learnt, nobody else is expected."""
    known = forecast(completed_at_s=0.0, answered=1, came=1, rate_per_s=90.0)

    assert hold_until([waiting(1, enqueued_s=0.0006)], lane(forecast=known), 0.0006, RULES) == 0.0006


def test_no_deadline_is_risked_by_holding() -> None:
    """A member that would miss its deadline in a full batch after the hold is not held."""
    known = forecast(completed_at_s=0.0, answered=8)
    full_s = EMULATED.batch_s(16)
    tight = [waiting(1, deadline_s=full_s + WINDOWS_S[0] / 2)]
    roomy = [waiting(1, deadline_s=full_s + WINDOWS_S[0] * 1.5)]

    assert hold_until(tight, lane(forecast=known), 0.0, RULES) == 0.0
    assert hold_until(roomy, lane(forecast=known), 0.0, RULES) == WINDOWS_S[0]


def test_holding_pays_only_by_the_base() -> None:
    """A device without a base cost gains nothing from waiting, one with a base does."""
    assert expected_win_s(4, 4.0, 0.001, CostModel(0.0, 0.01)) < 0
    assert expected_win_s(4, 4.0, 0.001, EMULATED) > 0


def test_a_long_hold_does_not_pay() -> None:
    """Past the base it saves, waiting only costs."""
    assert expected_win_s(4, 4.0, 0.02, EMULATED) < 0


def lane_after(answered: int, came: int) -> Lane:
    """Make a lane whose last batch answered so many, of whom so many are back."""
    learnt = Forecast(0.0, answered, came, 300.0, (0.5,) * len(WINDOWS_S))
    return Lane(EMULATED, 16, learnt)


def test_a_saving_recurs_while_one_batch_holds_everybody() -> None:
    """Four wait, four were answered and come back: all the rounds that are counted at the most."""
    assert rounds_saved(4, 4.0, lane_after(answered=4, came=0)) == pytest.approx(MOST_ROUNDS)
    assert rounds_saved(6, 2.0, lane_after(answered=8, came=6)) == pytest.approx(MOST_ROUNDS)


def test_a_saving_counts_less_the_fewer_come_back() -> None:
    """Half of them: two rounds; nobody: this one alone."""
    assert rounds_saved(4, 2.0, lane_after(answered=4, came=0)) == pytest.approx(2.0)
    assert rounds_saved(4, 0.0, lane_after(answered=4, came=0)) == pytest.approx(1.0)


def test_with_more_callers_than_a_batch_holds_nothing_recurs() -> None:
    """Those left over make the next batch anyway; before any completion nothing is known."""
    assert rounds_saved(12, 4.0, lane_after(answered=12, came=0)) == 1.0
    assert rounds_saved(1, 1.0, lane_after(answered=0, came=0)) == 1.0
