"""What the micro-batcher's policy achieves, in simulated time: prints Markdown tables.

    python bench/batching.py [--quick]

Simulated is the device, t(b) = base + b * item, and the callers; the queue, the policy and admission are the very code the
server runs. No network, no noise, fixed seeds: the figures are the same on every machine.
"""

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from alphacut_server.batching.cost import CostModel
from alphacut_server.batching.policy import Decision, Dispatch, Rules, View, WaitUntil, decide
from alphacut_server.batching.queue import LaneLimits
from alphacut_server.batching.simulation import Outcome, Simulation, closed_loop, open_loop

Policy = Callable[[View], Decision]

GREEDY = Rules(max_queue_delay_s=0.0)
CALLERS = (1, 2, 4, 8, 12, 16, 24, 32, 64)
THINKS_MS = (0.6, 1.5, 4.0)
LOADS = (0.1, 0.3, 0.5, 0.7, 0.9)
OVERLOADS = (1.2, 3.0, 10.0)
OVERLOAD_DEVICE = LaneLimits(CostModel(0.040, 0.005), 16)
OVERLOAD_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to decide when an idle device goes."""

    name: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Bench:
    """What every table is computed with."""

    lane: LaneLimits
    seed: int
    closed_s: float
    """Simulated seconds of each closed-loop run."""
    open_s: float
    """Simulated seconds of each open-loop run."""


def greedy(view: View) -> Decision:
    """Take at once whatever is queued."""
    return decide(replace(view, rules=GREEDY))


def fixed_delay(delay_s: float) -> Policy:
    """Give the policy that waits `delay_s` from the first item's arrival, or until the batch is full."""

    def policy(view: View) -> Decision:
        decision = greedy(view)
        if not isinstance(decision.action, Dispatch):
            return decision
        batch = decision.action.batch
        until_s = min(ticket.enqueued_s for ticket in batch) + delay_s
        if len(batch) < view.lanes[batch[0].key].max_batch_size and until_s > view.now_s:
            return Decision(decision.expired, WaitUntil(until_s))
        return decision

    return policy


CONTENDERS = (
    Contender("greedy", greedy),
    Contender("fixed 1 ms", fixed_delay(0.001)),
    Contender("fixed 5 ms", fixed_delay(0.005)),
    Contender("alphacut", decide),
)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print one Markdown table."""
    print("|", " | ".join(header), "|")
    print("|", " | ".join("---" if column == 0 else "--:" for column in range(len(header))), "|")
    for row in rows:
        print("|", " | ".join(row), "|")
    print()


def poisson_gaps(rate_per_s: float, seed: int) -> Iterator[float]:
    """Give the gaps of independent arrivals, s."""
    source = random.Random(seed)
    while True:
        yield source.expovariate(rate_per_s)


def share_of_ideal(bench: Bench, policy: Policy, callers: int, think_s: float) -> float:
    """Give the closed-loop throughput as a share of one batch of all callers after the other."""
    source = random.Random(bench.seed)
    simulation = Simulation(bench.lane, policy=policy, think=lambda: source.lognormvariate(0, 0.5) * think_s)
    warm_s = bench.closed_s / 6
    outcome = simulation.run(closed_loop(callers), horizon_s=bench.closed_s, warm_s=warm_s)
    size = min(callers, bench.lane.max_batch_size)
    return outcome.rate_per_s * bench.lane.cost.batch_s(size) / size


def print_closed_loop(bench: Bench) -> None:
    """Print what callers who ask again as soon as they are answered get."""
    print("### Closed loop: throughput as a share of the ideal b/t(b), b = min(callers, limit)\n")
    rows = [
        [
            f"{callers}, {think_ms:g} ms",
            *(
                f"{share_of_ideal(bench, contender.policy, callers, think_ms / 1e3):.2f}"
                for contender in CONTENDERS
            ),
        ]
        for think_ms in THINKS_MS
        for callers in CALLERS
    ]
    print_table(["callers, think", *(contender.name for contender in CONTENDERS)], rows)


def open_outcome(bench: Bench, policy: Policy, load: float) -> Outcome:
    """Run independent arrivals at a share of the device's capacity."""
    rate_per_s = load * bench.lane.cost.capacity_per_s(bench.lane.max_batch_size)
    calls = open_loop(poisson_gaps(rate_per_s, bench.seed))
    return Simulation(bench.lane, policy=policy).run(calls, horizon_s=bench.open_s, warm_s=bench.open_s / 12)


def print_open_loop(bench: Bench) -> None:
    """Print what independent callers get."""
    print("### Open loop, Poisson arrivals: p50 / p99 in ms (mean batch)\n")
    rows = []
    for load in LOADS:
        outcomes = [open_outcome(bench, contender.policy, load) for contender in CONTENDERS]
        cells = [
            f"{one.percentile_s(0.5) * 1e3:.1f} / {one.percentile_s(0.99) * 1e3:.1f} ({one.mean_batch:.1f})"
            for one in outcomes
        ]
        rows.append([f"{load:.0%}", *cells])
    print_table(["load", *(contender.name for contender in CONTENDERS)], rows)


def overload_cell(bench: Bench, factor: float, scatter: float, overload: float) -> str:
    """Give goodput and median latency when a batch takes on average `factor` times as long as the model says."""
    source = random.Random(bench.seed)
    cost = OVERLOAD_DEVICE.cost.slower(factor)
    capacity_per_s = cost.capacity_per_s(OVERLOAD_DEVICE.max_batch_size)
    calls = open_loop(poisson_gaps(overload * capacity_per_s, bench.seed), OVERLOAD_TIMEOUT_S)
    simulation = Simulation(
        OVERLOAD_DEVICE,
        device_s=lambda size: cost.batch_s(size) * source.lognormvariate(-(scatter**2) / 2, scatter),
    )
    outcome = simulation.run(calls, horizon_s=bench.open_s / 2, warm_s=bench.open_s / 12)
    in_time = sum(latency_s <= OVERLOAD_TIMEOUT_S + 1e-9 for latency_s in outcome.latencies_s)
    return f"{in_time / outcome.span_s / capacity_per_s:.2f} ({outcome.percentile_s(0.5) * 1e3:.0f} ms)"


def print_overload(bench: Bench) -> None:
    """Print what is left of the capacity when far more comes than can be served."""
    cost = OVERLOAD_DEVICE.cost
    print(
        f"### Overload: answers in time as a share of the capacity (p50); t(b) = {cost.base_s * 1e3:g} + "
        f"{cost.item_s * 1e3:g} b ms, deadline {OVERLOAD_TIMEOUT_S:g} s\n"
    )
    devices = (
        ("as its model says", 1.0, 0.0),
        ("scatters by 10 %", 1.0, 0.1),
        ("scatters by 30 %", 1.0, 0.3),
        ("1.3 times as slow", 1.3, 0.0),
        ("twice as slow", 2.0, 0.0),
        ("twice as fast", 0.5, 0.0),
    )
    rows = [
        [name, *(overload_cell(bench, factor, scatter, overload) for overload in OVERLOADS)]
        for name, factor, scatter in devices
    ]
    print_table(["the device", *(f"{overload:g} times the capacity" for overload in OVERLOADS)], rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description="Simulate the micro-batcher; print Markdown tables.")
    parser.add_argument("--quick", action="store_true", help="a sixth of the simulated time: rougher figures")
    parser.add_argument("--base-ms", type=float, default=8.0, help="cost of a batch in the first two tables")
    parser.add_argument("--item-ms", type=float, default=1.0, help="cost of each of its items there")
    parser.add_argument("--max-batch", type=int, default=16, help="batch limit there")
    parser.add_argument("--seed", type=int, default=7, help="of all randomness")
    options = parser.parse_args(argv)
    scale = 1 / 6 if options.quick else 1.0
    lane = LaneLimits(CostModel(options.base_ms / 1e3, options.item_ms / 1e3), options.max_batch)
    bench = Bench(lane, options.seed, closed_s=12 * scale, open_s=120 * scale)
    print(f"t(b) = {options.base_ms:g} + {options.item_ms:g} b ms, b <= {options.max_batch}\n")
    print_closed_loop(bench)
    print_open_loop(bench)
    print_overload(bench)


if __name__ == "__main__":
    main()
