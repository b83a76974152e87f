"""When a lane tries to wait for everybody, and what it makes of it."""

import random

from alphacut_server.batching.cost import CostModel
from alphacut_server.batching.queue import LaneLimits
from alphacut_server.batching.simulation import Simulation, closed_loop
from alphacut_server.batching.trial import (
    BASELINE_ROUNDS,
    CHECK_ROUNDS,
    FIRST_PAUSE_ROUNDS,
    KEPT_ROUNDS,
    SETTLING_ROUNDS,
    GatherTrial,
    Phase,
)

HALF_S = 0.012


def play(trial: GatherTrial, rounds: int, *, span_s: float, size: int = 4, missing: int = 0) -> None:
    """Let `rounds` batches of `size` pass whose callers all came back."""
    for _ in range(rounds):
        trial.round_over(
            answered_before=size,
            came=size,
            missing=missing if trial.gathers else 0,
            answered=size,
            span_s=span_s,
        )


def begin_trial(trial: GatherTrial, limit: int = 200) -> None:
    """Let halves take turns until the lane tries to wait."""
    for _ in range(limit):
        if trial.phase is Phase.TRYING:
            return
        play(trial, 1, span_s=HALF_S)
    raise AssertionError("no trial was begun")


def test_a_closed_loop_is_tried() -> None:
    """As many arrivals as answers, round after round, is what independent callers do not do."""
    trial = GatherTrial()

    begin_trial(trial)

    assert trial.gathers


def test_independent_callers_are_never_made_to_wait() -> None:
    """Arrivals that scatter as strangers' do begin no trial."""
    trial, source = GatherTrial(), random.Random(3)
    answered = 4

    for _ in range(5000):
        came = sum(source.random() < 0.1 for _ in range(40))
        trial.round_over(answered_before=answered, came=came, missing=0, answered=max(came, 1), span_s=HALF_S)
        answered = max(came, 1)

        assert not trial.gathers


def test_waiting_is_kept_when_it_serves_more() -> None:
    """Batches of eight every 20 ms beat fours every 12."""
    trial = GatherTrial()
    begin_trial(trial)

    play(trial, SETTLING_ROUNDS + BASELINE_ROUNDS, span_s=0.020, size=8)

    assert trial.phase is Phase.GATHERING


def test_waiting_is_given_up_when_it_serves_less() -> None:
    """Eight every 30 ms are fewer than fours every 12; the next trial comes after a pause."""
    trial = GatherTrial()
    begin_trial(trial)

    play(trial, SETTLING_ROUNDS + BASELINE_ROUNDS, span_s=0.030, size=8)
    play(trial, FIRST_PAUSE_ROUNDS - 1, span_s=HALF_S)

    assert not trial.gathers
    begin_trial(trial, limit=BASELINE_ROUNDS + 2)


def test_a_trial_that_cannot_gather_all_ends_at_once() -> None:
    """Two rounds whose wait was in vain are enough."""
    trial = GatherTrial()
    begin_trial(trial)

    play(trial, 2, span_s=0.020, size=8, missing=1)

    assert trial.phase is Phase.WATCHING


def test_what_no_longer_pays_is_given_up() -> None:
    """A lane that waits goes on measuring."""
    trial = GatherTrial()
    begin_trial(trial)
    play(trial, SETTLING_ROUNDS + BASELINE_ROUNDS, span_s=0.020, size=8)

    play(trial, CHECK_ROUNDS, span_s=0.030, size=8)

    assert trial.phase is Phase.WATCHING


def test_a_baseline_is_measured_anew_after_a_while() -> None:
    """What paid once is not believed for ever."""
    trial = GatherTrial()
    begin_trial(trial)

    play(trial, SETTLING_ROUNDS + BASELINE_ROUNDS + KEPT_ROUNDS, span_s=0.020, size=8)

    assert trial.phase is Phase.WATCHING


def test_traffic_that_changes_ends_the_waiting() -> None:
    """When arrivals no longer follow answers, nobody is waited for."""
    trial = GatherTrial()
    begin_trial(trial)
    play(trial, SETTLING_ROUNDS + BASELINE_ROUNDS, span_s=0.020, size=8)

    for _ in range(8):
        trial.round_over(answered_before=8, came=2, missing=0, answered=2, span_s=0.020)

    assert not trial.gathers


def test_two_halves_that_take_turns_become_one_batch() -> None:
    """Eight callers back after 7 ms: 8 in 23 ms are more than 4 in 12, which no forecast of quick returns would find."""
    simulation = Simulation(LaneLimits(CostModel(0.008, 0.001), 16), think=lambda: 0.007)

    outcome = simulation.run(closed_loop(8), horizon_s=10.0, warm_s=2.0)

    assert outcome.mean_batch > 7
    assert outcome.rate_per_s > 8 / 0.023 * 0.97
