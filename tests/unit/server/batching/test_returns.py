"""What the learner makes of completions and arrivals."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphacut_server.batching.returns import NOTHING_LEARNT, WINDOWS_S, ReturnsLearner

RUN_S = 0.02


def teach_closed_loop(learner: ReturnsLearner, *, callers: int, think_s: float, batches: int) -> float:
    """Let `callers` come straight back `batches` times; return the instant of the last completion."""
    now_s = 0.0
    for _ in range(batches):
        learner.completed(now_s, callers)
        for _ in range(callers):
            learner.arrived(now_s + think_s)
        now_s += think_s + RUN_S
    learner.completed(now_s, callers)
    return now_s


def teach_independent(learner: ReturnsLearner, *, rate_per_s: float, batches: int, seed: int) -> None:
    """Let strangers arrive at a rate, whatever is answered when."""
    source = random.Random(seed)
    now_s, next_s, answered = 0.0, source.expovariate(rate_per_s), 0
    for _ in range(batches):
        learner.completed(now_s, max(answered, 1))
        answered = 0
        now_s += RUN_S
        while next_s <= now_s:
            learner.arrived(next_s)
            next_s += source.expovariate(rate_per_s)
            answered += 1


def test_nothing_is_known_at_first() -> None:
    """A fresh learner forecasts nobody."""
    assert ReturnsLearner().forecast() == NOTHING_LEARNT


def test_callers_who_answer_back_are_learnt() -> None:
    """After some fifty rounds of a closed loop nearly all of the answered are expected back."""
    learner = ReturnsLearner()

    teach_closed_loop(learner, callers=8, think_s=0.0009, batches=50)

    forecast = learner.forecast()
    assert forecast.shares[0] < 0.05, "nobody is back within half a millisecond"
    assert forecast.shares[1] > 0.9
    assert forecast.expected_within(WINDOWS_S[1], forecast.shares[1]) == pytest.approx(8, abs=0.5)


def test_who_has_come_is_no_longer_expected() -> None:
    """Each return lowers the number of those still expected by one."""
    learner = ReturnsLearner()
    now_s = teach_closed_loop(learner, callers=4, think_s=0.0004, batches=50)
    before = learner.forecast()

    learner.arrived(now_s + 0.0001)

    after = learner.forecast()
    share = before.shares[0]
    assert after.expected_within(WINDOWS_S[0], share) == pytest.approx(
        before.expected_within(WINDOWS_S[0], share) - 1
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rate_per_s", [50.0, 300.0, 600.0])
def test_independent_arrivals_are_not_taken_for_returns(rate_per_s: float, seed: int) -> None:
    """Strangers come as often after a completion as at any time, so their share stays below what makes a device wait."""
    learner = ReturnsLearner()

    teach_independent(learner, rate_per_s=rate_per_s, batches=400, seed=seed)

    assert max(learner.forecast().shares) < 0.3


def test_a_change_of_traffic_is_forgotten() -> None:
    """Once the closed loop has gone, its share fades within some twenty batches."""
    learner = ReturnsLearner()
    now_s = teach_closed_loop(learner, callers=8, think_s=0.0004, batches=50)

    for _ in range(25):
        now_s += RUN_S
        learner.completed(now_s, 8)

    assert max(learner.forecast().shares) < 0.1


def test_windows_longer_than_a_run_learn_nothing() -> None:
    """Where the next batch was over before a window closed, that window stays at what it knew."""
    learner = ReturnsLearner()
    learner.completed(0.0, 4)
    for _ in range(4):
        learner.arrived(0.0001)

    learner.completed(0.0012, 4)

    shares = learner.forecast().shares
    assert shares[0] > 0
    assert shares[2:] == NOTHING_LEARNT.shares[2:]


EVENTS = st.lists(
    st.tuples(st.booleans(), st.floats(0.0, 0.05) | st.just(0.0), st.integers(1, 16)), min_size=1, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(events=EVENTS, start_s=st.sampled_from([0.0, 1e6, 1e9]))
def test_shares_stay_shares(events: list[tuple[bool, float, int]], start_s: float) -> None:
    """Whatever happens, even at one instant or after years of uptime: shares within -1 to 1, a rate that is no nonsense."""
    learner = ReturnsLearner()

    now_s = start_s
    for is_completion, gap_s, answered in events:
        now_s += gap_s
        if is_completion:
            learner.completed(now_s, answered)
        else:
            learner.arrived(now_s)

    forecast = learner.forecast()
    assert all(-1 <= share <= 1 for share in forecast.shares)
    assert 0 <= forecast.rate_per_s < float("inf")
    for window_s, share in zip(WINDOWS_S, forecast.shares, strict=True):
        assert forecast.expected_within(window_s, share) <= forecast.answered
