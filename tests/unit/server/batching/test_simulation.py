"""What the policy achieves under traffic, in simulated time; every figure has a fixed seed and no noise."""

import random
from collections.abc import Iterator
from itertools import chain, islice, takewhile

import pytest

from alphacut_server.batching.cost import CostModel
from alphacut_server.batching.policy import Priority, Rules
from alphacut_server.batching.queue import LaneLimits
from alphacut_server.batching.simulation import Call, Outcome, Simulation, closed_loop, open_loop
from support.batching import limits

GREEDY = Rules(max_queue_delay_s=0.0)
EMULATED = limits()
SLOW = LaneLimits(CostModel(0.040, 0.005), 16)
"""A device on which batches take from 45 to 120 ms, so that a deadline of a second is a handful of batches away."""


def gaps(rate_per_s: float, seed: int = 3) -> Iterator[float]:
    """Give the gaps of a Poisson process, s."""
    source = random.Random(seed)
    while True:
        yield source.expovariate(rate_per_s)


def share_of_ideal(callers: int, *, think_s: float, rules: Rules | None = None) -> float:
    """Give the throughput of closed-loop callers as a share of what one batch of them all would reach."""
    source = random.Random(7)
    simulation = Simulation(EMULATED, rules=rules, think=lambda: source.lognormvariate(0, 0.5) * think_s)

    outcome = simulation.run(closed_loop(callers), horizon_s=8, warm_s=2)

    size = min(callers, EMULATED.max_batch_size)
    return outcome.rate_per_s / (size / EMULATED.cost.batch_s(size))


def goodput(outcome: Outcome, lane: LaneLimits, timeout_s: float) -> float:
    """Give the answers that came in time as a share of the device's capacity."""
    in_time = sum(latency_s <= timeout_s + 1e-9 for latency_s in outcome.latencies_s)
    return in_time / outcome.span_s / lane.cost.capacity_per_s(lane.max_batch_size)


def test_greedy_locks_eight_callers_into_two_halves() -> None:
    """Taking at once whatever is queued gives 60 to 70 % of the ideal: the reason for all of this."""
    assert 0.6 <= share_of_ideal(8, think_s=0.0006, rules=GREEDY) <= 0.7


@pytest.mark.parametrize("callers", [2, 4, 8, 12, 16, 24, 32])
def test_the_default_rules_bring_the_halves_together(callers: int) -> None:
    """Callers who are back within a millisecond share one batch."""
    assert share_of_ideal(callers, think_s=0.0006) >= 0.88


@pytest.mark.parametrize("callers", [2, 8, 24])
@pytest.mark.parametrize("think_s", [0.0015, 0.004])
def test_slower_callers_fare_no_worse_than_with_greed(callers: int, think_s: float) -> None:
    """Where the callers' own pause costs as much as a half batch, holding gains less, and never loses."""
    held = share_of_ideal(callers, think_s=think_s)

    assert held >= share_of_ideal(callers, think_s=think_s, rules=GREEDY) - 0.01


def test_a_lone_caller_is_never_held() -> None:
    """Each of its calls takes exactly a batch of one, with holding as without."""
    source = random.Random(7)
    simulation = Simulation(EMULATED, think=lambda: source.lognormvariate(0, 0.5) * 0.0006)

    outcome = simulation.run(closed_loop(1), horizon_s=5)

    assert max(outcome.latencies_s) == pytest.approx(EMULATED.cost.batch_s(1))


@pytest.mark.parametrize("load", [0.1, 0.5, 0.9])
def test_independent_arrivals_are_served_as_fast_as_with_greed(load: float) -> None:
    """Under Poisson arrivals holding could only cost: the 99th percentile stays within a tenth of the greedy one."""
    rate_per_s = load * EMULATED.cost.capacity_per_s(16)

    held = Simulation(EMULATED).run(open_loop(gaps(rate_per_s)), horizon_s=40, warm_s=2)

    greedy = Simulation(EMULATED, rules=GREEDY).run(open_loop(gaps(rate_per_s)), horizon_s=40, warm_s=2)
    assert held.percentile_s(0.99) <= 1.1 * greedy.percentile_s(0.99)
    assert held.percentile_s(0.5) <= 1.1 * greedy.percentile_s(0.5)


@pytest.mark.parametrize("overload", [1.5, 3, 10])
@pytest.mark.parametrize("timeout_s", [0.3, 1.0, 10.0])
def test_overload_costs_no_goodput(overload: float, timeout_s: float) -> None:
    """At up to ten times the capacity the device does nothing but full batches whose answers come in time."""
    calls = open_loop(gaps(overload * SLOW.cost.capacity_per_s(16)), timeout_s)

    outcome = Simulation(SLOW).run(calls, horizon_s=14, warm_s=2)

    assert goodput(outcome, SLOW, timeout_s) >= 0.95
    assert max(outcome.latencies_s) <= timeout_s
    assert outcome.expired <= 0.02 * len(outcome.latencies_s)


@pytest.mark.parametrize("seed", [5, 6])
def test_scattered_run_times_cost_little_goodput(seed: int) -> None:
    """With batches that take ten per cent more or less than predicted, the batch kept in hand holds the goodput up."""
    source = random.Random(seed)
    calls = open_loop(gaps(10 * SLOW.cost.capacity_per_s(16)), timeout_s=1.0)
    simulation = Simulation(
        SLOW, device_s=lambda size: SLOW.cost.batch_s(size) * source.lognormvariate(0, 0.1)
    )

    outcome = simulation.run(calls, horizon_s=22, warm_s=2)

    assert goodput(outcome, SLOW, 1.0) >= 0.95


@pytest.mark.parametrize("factor", [0.5, 1.3, 2.0])
def test_a_device_unlike_its_model_loses_no_goodput(factor: float) -> None:
    """Batches that take half or twice as long as was fitted at start: the pace is learnt, and the overload costs nothing."""
    capacity_per_s = SLOW.cost.slower(factor).capacity_per_s(16)
    calls = open_loop(gaps(10 * capacity_per_s), timeout_s=1.0)
    simulation = Simulation(SLOW, device_s=SLOW.cost.slower(factor).batch_s)

    outcome = simulation.run(calls, horizon_s=16, warm_s=4)

    assert goodput(outcome, SLOW, 1.0) * factor >= 0.95


def test_deadlines_shorter_than_two_batches_do_not_collapse() -> None:
    """Where a full batch behind a full batch is too late, batches of half the size still make use of the device."""
    calls = open_loop(gaps(3 * SLOW.cost.capacity_per_s(16)), timeout_s=0.15)

    outcome = Simulation(SLOW).run(calls, horizon_s=22, warm_s=2)

    assert goodput(outcome, SLOW, 0.15) >= 0.7


def test_bulk_work_does_not_delay_the_interactive() -> None:
    """A hundred bulk calls at once: an interactive call waits for the running batch and its own, not for all of them."""
    bulk = [Call(0.0, priority=Priority.BULK, client="bulk") for _ in range(100)]
    urgent = Call(0.01, timeout_s=0.3, client="person")

    outcome = Simulation(SLOW).run(iter([*bulk, urgent]), horizon_s=0.26)

    assert outcome.served_by_client["person"] == 1


def test_bulk_work_gets_through_beside_interactive_overload() -> None:
    """Interactive calls alone fill the device; bulk calls age, and all of them are served before their deadlines."""
    interactive = islice(open_loop(gaps(1.5 * SLOW.cost.capacity_per_s(16)), timeout_s=1.0), 6000)
    bulk = [Call(5.0, timeout_s=8.0, priority=Priority.BULK, client="bulk") for _ in range(32)]
    calls = sorted([*interactive, *bulk], key=lambda call: call.arrival_s)

    outcome = Simulation(SLOW).run(iter(calls), horizon_s=20)

    assert outcome.served_by_client["bulk"] == 32


def test_a_flood_does_not_starve_another_client() -> None:
    """One client sends at ten times the capacity; another's call every 100 ms is answered every time, within three batches."""
    flood = islice(open_loop(gaps(10 * SLOW.cost.capacity_per_s(16)), timeout_s=1.0), 14_000)
    guest = [Call(1 + 0.1 * number, timeout_s=1.0, client="guest") for number in range(80)]
    calls = sorted([*flood, *guest], key=lambda call: call.arrival_s)

    outcome = Simulation(SLOW).run(iter(calls), horizon_s=10)

    assert outcome.served_by_client["guest"] == 80


def flood(client: str, load: float, seed: int, *, span_s: float = 10, timeout_s: float = 1.0) -> list[Call]:
    """Let one client send independent calls for `span_s` at `load` times the slow device's capacity."""
    arrivals = open_loop(gaps(load * SLOW.cost.capacity_per_s(16), seed))
    times = [call.arrival_s for call in takewhile(lambda call: call.arrival_s < span_s, arrivals)]
    return [Call(at_s, timeout_s, client=client) for at_s in times]


@pytest.mark.parametrize(
    "floods",
    [
        [flood("loud", 8, 1), flood("quiet", 2, 2)],
        [flood("loud", 1.2, 1), flood("quiet", 0.2, 2)],
        [flood("patient", 5, 1), flood("hasty", 5, 7, timeout_s=0.4)],
        [flood(str(client), 0.1, client) for client in range(100)],
    ],
    ids=["8 and 2", "1.2 and 0.2", "unlike deadlines", "100 clients"],
)
def test_a_mix_of_clients_loses_no_goodput(floods: list[list[Call]]) -> None:
    """Turns change the order after admission; the device still runs full batches, and each client gets its share."""
    calls = sorted(chain(*floods), key=lambda call: call.arrival_s)

    outcome = Simulation(SLOW).run(iter(calls), horizon_s=10, warm_s=2)

    assert goodput(outcome, SLOW, 1.0) >= 0.95
    fair = len(outcome.latencies_s) / len(floods)
    for sent in floods:
        asked = sum(2 <= call.arrival_s < 9 for call in sent)
        assert outcome.served_by_client[sent[0].client] >= 0.5 * min(fair, asked)


def test_nobody_is_lost() -> None:
    """Served, refused and expired add up to those who came, preparation time included."""
    source = random.Random(1)
    calls = [
        Call(
            source.uniform(0, 1),
            timeout_s=source.uniform(0.02, 0.4),
            preparation_s=source.choice([0.0, 0.01, 0.05]),
        )
        for _ in range(1000)
    ]

    outcome = Simulation(SLOW, max_queue=64).run(
        iter(sorted(calls, key=lambda call: call.arrival_s)), horizon_s=10
    )

    assert len(outcome.latencies_s) + outcome.refused + outcome.expired == 1000
    assert min(len(outcome.latencies_s), outcome.refused, outcome.expired) > 0


def test_the_same_seed_gives_the_same_figures() -> None:
    """A simulation is a function of its arguments."""
    first = Simulation(EMULATED).run(open_loop(gaps(300.0)), horizon_s=2)
    second = Simulation(EMULATED).run(open_loop(gaps(300.0)), horizon_s=2)

    assert first == second
    assert first.mean_batch == sum(first.batch_sizes) / len(first.batch_sizes)
