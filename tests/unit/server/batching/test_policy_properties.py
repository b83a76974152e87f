"""The policy's laws, whatever the queue, the clock and the forecast look like."""

from collections import Counter
from collections.abc import Hashable

from hypothesis import given, settings
from hypothesis import strategies as st

from alphacut_server.batching.cost import CostModel
from alphacut_server.batching.policy import (
    LEAST_SHARE,
    Dispatch,
    Idle,
    Lane,
    Priority,
    Rules,
    View,
    Waiting,
    WaitUntil,
    all_on_time_after,
    decide,
    expected_win_s,
    largest_on_time,
    order,
    rounds_saved,
)
from alphacut_server.batching.returns import WINDOWS_S, Forecast

NOW_S = st.sampled_from([0.0, 5.0, 1e6, 1e9])
"""A machine just started, and ones that have been up for days and for decades: floats grow coarse."""

COSTS = st.builds(CostModel, st.floats(0.0, 0.05), st.floats(1e-5, 0.02))


@st.composite
def forecasts(draw: st.DrawFn, now_s: float) -> Forecast:
    """Draw what may have been learnt by `now_s`."""
    return Forecast(
        completed_at_s=draw(st.just(float("-inf")) | st.floats(0.0, 0.01).map(lambda ago_s: now_s - ago_s)),
        answered=draw(st.integers(0, 16)),
        came=draw(st.integers(0, 8)),
        rate_per_s=draw(st.floats(0.0, 2000.0)),
        shares=tuple(draw(st.lists(st.floats(-1.0, 1.0), min_size=len(WINDOWS_S), max_size=len(WINDOWS_S)))),
        gathers=draw(st.booleans()),
    )


@st.composite
def tickets(draw: st.DrawFn, now_s: float, keys: str) -> list[Waiting]:
    """Draw a queue: some late, some bulk, some without a deadline, of a few clients."""
    count = draw(st.integers(0, 12))
    return [
        Waiting(
            sequence,
            draw(st.sampled_from(keys)),
            draw(st.sampled_from(Priority)),
            now_s - draw(st.floats(0.0, 0.012) | st.floats(0.0, 5.0)),
            draw(st.just(float("inf")) | st.floats(-0.1, 0.5).map(lambda left_s: now_s + left_s)),
            draw(st.sampled_from(["", "a", "b"])),
        )
        for sequence in draw(st.permutations(range(count)))
    ]


@st.composite
def views(draw: st.DrawFn) -> View:
    """Draw everything the policy looks at, for two models."""
    keys, now_s = "mn", draw(NOW_S)
    lanes: dict[Hashable, Lane] = {
        key: Lane(draw(COSTS), draw(st.integers(1, 16)), draw(forecasts(now_s))) for key in keys
    }
    rules = Rules(max_queue_delay_s=draw(st.sampled_from([0.0, 0.001, 0.008])), bulk_ageing_s=2.0)
    return View(now_s, draw(tickets(now_s, keys)), lanes, rules, draw(st.booleans()))


@st.composite
def tempting_views(draw: st.DrawFn) -> View:
    """Draw a short queue on a device that likes batches, a moment after callers who answer back got their answers."""
    now_s = draw(NOW_S)
    ago_s = draw(st.floats(0.0, 0.004))
    shares = draw(st.lists(st.floats(0.0, 1.0), min_size=len(WINDOWS_S), max_size=len(WINDOWS_S)))
    learnt = Forecast(
        completed_at_s=now_s - ago_s,
        answered=draw(st.integers(1, 16)),
        came=draw(st.integers(0, 3)),
        rate_per_s=draw(st.floats(0.0, 600.0)),
        shares=tuple(sorted(shares)),
        gathers=draw(st.booleans()),
    )
    cost = CostModel(draw(st.floats(0.004, 0.05)), draw(st.floats(1e-5, 0.005)))
    left_s = st.just(float("inf")) | st.floats(cost.batch_s(1), 3 * cost.batch_s(16))
    queue = [
        Waiting(
            sequence, "m", Priority.INTERACTIVE, now_s - draw(st.floats(0.0, ago_s)), now_s + draw(left_s), ""
        )
        for sequence in range(draw(st.integers(1, 6)))
    ]
    rules = Rules(max_queue_delay_s=draw(st.sampled_from([0.002, 0.008])))
    lane = Lane(cost, draw(st.integers(2, 16)), learnt)
    return View(now_s, queue, {"m": lane}, rules, draining=draw(st.integers(0, 9)) == 0)


def makes_it(view: View, ticket: Waiting, batch_size: int) -> bool:
    """Tell whether the ticket meets its deadline in a batch of that size started now."""
    return view.now_s + view.lanes[ticket.key].cost.batch_s(batch_size) <= ticket.deadline_s


@settings(max_examples=60, deadline=None)
@given(view=views())
def test_exactly_the_hopeless_leave(view: View) -> None:
    """Who cannot make it even alone leaves; nobody else does, and none of them runs."""
    decision = decide(view)

    hopeless = {ticket.sequence for ticket in view.waiting if not makes_it(view, ticket, 1)}
    assert {ticket.sequence for ticket in decision.expired} == hopeless
    if isinstance(decision.action, Dispatch):
        assert not hopeless & {ticket.sequence for ticket in decision.action.batch}


@settings(max_examples=60, deadline=None)
@given(view=views())
def test_a_batch_has_one_key_and_keeps_its_limit(view: View) -> None:
    """At least one member, at most the lane's limit, all of one model, nobody twice."""
    action = decide(view).action

    if isinstance(action, Dispatch):
        keys = {ticket.key for ticket in action.batch}
        assert len(keys) == 1
        assert 1 <= len(action.batch) <= view.lanes[keys.pop()].max_batch_size
        assert len({ticket.sequence for ticket in action.batch}) == len(action.batch)


@settings(max_examples=80, deadline=None)
@given(view=views())
def test_a_batch_is_the_longest_prefix_that_is_on_time(view: View) -> None:
    """All members make it together and none could be added; a head who is left behind was left for more of its own class."""
    decision = decide(view)

    if isinstance(decision.action, Dispatch):
        batch = decision.action.batch
        alive = [ticket for ticket in view.waiting if makes_it(view, ticket, 1)]
        ordered = order(alive, view.now_s, view.rules)
        peers = [ticket for ticket in ordered if ticket.key == ordered[0].key]
        lane = view.lanes[peers[0].key]
        prefix = largest_on_time(peers[: lane.max_batch_size], lane.cost, view.now_s)
        assert all(makes_it(view, ticket, len(batch)) for ticket in batch)
        assert list(batch) == [ticket for ticket in peers if ticket in batch]
        if batch == prefix:
            more = peers[: len(batch) + 1]
            full = len(batch) == min(len(peers), lane.max_batch_size)
            assert full or not all(makes_it(view, ticket, len(more)) for ticket in more)
        else:
            classes = {class_of(ticket, view.now_s) for ticket in batch}
            assert classes == {class_of(peers[0], view.now_s)}
            assert len(batch) > len(prefix)
            assert not all_on_time_after(peers, len(prefix), lane, view.now_s)


@settings(max_examples=60, deadline=None)
@given(view=views())
def test_the_device_idles_only_when_nobody_is_left(view: View) -> None:
    """Work that can be done on time is never left lying."""
    decision = decide(view)

    assert isinstance(decision.action, Idle) == (len(decision.expired) == len(view.waiting))


@settings(max_examples=200, deadline=None)
@given(view=tempting_views())
def test_a_hold_is_short_safe_and_expected_to_pay(view: View) -> None:
    """Nobody is held past `max_queue_delay_s` of an idle device, past a deadline, while draining, or for no expected gain."""
    decision = decide(view)

    if isinstance(decision.action, WaitUntil):
        at_s, lane = decision.action.at_s, view.lanes["m"]
        held = [ticket for ticket in view.waiting if ticket not in decision.expired]
        idle_since_s = max(lane.forecast.completed_at_s, min(ticket.enqueued_s for ticket in held))
        assert not view.draining
        assert len(held) < lane.max_batch_size
        assert view.now_s < at_s <= idle_since_s + view.rules.max_queue_delay_s
        assert all(
            at_s + lane.cost.batch_s(lane.max_batch_size) <= ticket.deadline_s + 1e-6 for ticket in held
        )
        still_away = lane.forecast.answered - lane.forecast.came
        is_gathering = lane.forecast.gathers and 0 < still_away <= lane.max_batch_size - len(held)
        assert is_gathering or any(
            is_gain(lane, len(held), view.now_s, at_s, window) for window in range(len(WINDOWS_S))
        )


def is_gain(lane: Lane, queued: int, now_s: float, at_s: float, window: int) -> bool:
    """Tell whether holding until that window's end, which is `at_s`, is expected to win."""
    delay_s = WINDOWS_S[window] - (now_s - lane.forecast.completed_at_s)
    share = lane.forecast.shares[window]
    expected = lane.forecast.expected_within(WINDOWS_S[window], share)
    coming = min(expected, float(lane.max_batch_size - queued))
    return (
        now_s + delay_s == at_s
        and share >= LEAST_SHARE
        and coming >= 0.5
        and expected_win_s(queued, coming, delay_s, lane.cost, rounds_saved(queued, coming, lane)) > 0
    )


@settings(max_examples=200, deadline=None)
@given(view=tempting_views())
def test_a_hold_ends(view: View) -> None:
    """Asked again at the instant it named, the policy goes (or names a later one a finite number of times)."""
    now_s, asked = view.now_s, 0

    while isinstance(action := decide(View(now_s, view.waiting, view.lanes, view.rules)).action, WaitUntil):
        assert action.at_s > now_s
        now_s, asked = action.at_s, asked + 1
        assert asked <= 2 * len(WINDOWS_S)


@settings(max_examples=60, deadline=None)
@given(queue=tickets(100.0, "m"))
def test_order_loses_nobody(queue: list[Waiting]) -> None:
    """Ordering is a permutation, the same whatever order the queue is seen in."""
    ordered = order(queue, 100.0, Rules())

    assert Counter(ordered) == Counter(queue)
    assert ordered == order(list(reversed(queue)), 100.0, Rules())


def class_of(ticket: Waiting, now_s: float) -> int:
    """Give the class after ageing."""
    aged = now_s - ticket.enqueued_s >= Rules().bulk_ageing_s
    return Priority.INTERACTIVE if aged else ticket.priority


@settings(max_examples=60, deadline=None)
@given(queue=tickets(100.0, "m"))
def test_order_is_class_then_turn_then_deadline_then_arrival(queue: list[Waiting]) -> None:
    """Aged bulk counts as interactive; within a class each client's n-th ticket comes before anybody's n+1-th."""
    ordered = order(queue, 100.0, Rules())

    turns = Counter[tuple[int, str]]()
    ranks: list[tuple[int, int, float, int]] = []
    for ticket in ordered:
        priority_class = class_of(ticket, 100.0)
        ranks.append(
            (priority_class, turns[priority_class, ticket.client], ticket.deadline_s, ticket.sequence)
        )
        turns[priority_class, ticket.client] += 1
    assert ranks == sorted(ranks)


@settings(max_examples=60, deadline=None)
@given(
    queued=st.integers(1, 15),
    coming=st.floats(0.5, 15.0),
    delay_s=st.floats(1e-6, 0.01),
    item_s=st.floats(0, 0.1),
)
def test_without_a_base_waiting_never_pays(queued: int, coming: float, delay_s: float, item_s: float) -> None:
    """A device on which batching saves nothing (a CPU) is never held."""
    assert expected_win_s(queued, coming, delay_s, CostModel(0.0, item_s)) <= 0
