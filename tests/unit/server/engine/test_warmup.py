"""What is run before the first caller: timings, early stops, figures kept from start to start."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from alphacut_server.catalogue.store import Json
from alphacut_server.engine.engine import EngineInfo, Provider
from alphacut_server.engine.warmup import BatchTiming, gains_from_batching, measured, warm_up
from alphacut_server.errors import EngineFailed

MACHINE = "this machine"


class FakeClock:
    """Time that only the engine moves."""

    def __init__(self) -> None:
        self.now_s = 50.0

    def now(self) -> float:
        return self.now_s


class TimedEngine:
    """Takes a scripted time for a batch; fails beyond a size."""

    def __init__(
        self,
        clock: FakeClock,
        time_of: Callable[[int], float],
        *,
        provider: Provider = Provider.CPU,
        max_batch_size: int = 16,
        largest: int = 1 << 30,
    ) -> None:
        self._clock = clock
        self._time_of = time_of
        self._info = EngineInfo("timed", 8, provider, max_batch_size)
        self._largest = largest
        self.sizes: list[int] = []

    @property
    def info(self) -> EngineInfo:
        return self._info

    def infer(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        self.sizes.append(len(tensors))
        if len(tensors) > self._largest:
            raise EngineFailed("out of memory")
        self._clock.now_s += self._time_of(len(tensors))
        return np.stack(tensors)[..., 0]

    def close(self) -> None:
        pass


class FakeFacts:
    """Facts kept in memory."""

    def __init__(self, facts: Mapping[str, Json] | None = None) -> None:
        self.facts: Mapping[str, Json] = facts or {}
        self.writes = 0

    def read_facts(self) -> Mapping[str, Json]:
        return self.facts

    def write_facts(self, facts: Mapping[str, Json]) -> bool:
        self.facts = dict(facts)
        self.writes += 1
        return True


def linear(alpha_s: float, beta_s: float) -> Callable[[int], float]:
    """Return the cost alpha + beta * n."""
    return lambda size: alpha_s + beta_s * size


def seconds_by_size(timings: Sequence[BatchTiming]) -> dict[int, object]:
    """Return timings as a table."""
    return {timing.batch_size: pytest.approx(timing.seconds) for timing in timings}


def test_a_cpu_that_gains_nothing_stops_at_two_and_gives_memory_back() -> None:
    """Batches of 1 and 2 only, and the last runs are of 1."""
    clock = FakeClock()
    engine = TimedEngine(clock, linear(0.0, 0.2))

    timings = warm_up(engine, clock)

    assert seconds_by_size(timings) == {1: 0.2, 2: 0.4}
    assert max(engine.sizes) == 2
    assert engine.sizes[-2:] == [1, 1]


def test_a_cpu_that_gains_goes_on_while_it_does() -> None:
    """With 60 ms a batch and 10 ms an item every doubling up to 8 saves more than a tenth, 16 among them."""
    clock = FakeClock()
    engine = TimedEngine(clock, linear(0.06, 0.01))

    timings = warm_up(engine, clock)

    assert [timing.batch_size for timing in timings] == [1, 2, 4, 8, 16]


def test_a_gain_that_was_other_peoples_work_is_found_out() -> None:
    """A batch of one timed while the machine was busy is timed again before two is believed."""
    clock = FakeClock()
    calls: list[int] = []

    def busy_at_first(size: int) -> float:
        calls.append(size)
        return 0.2 * size + (0.5 if len(calls) <= 4 else 0.0)

    engine = TimedEngine(clock, busy_at_first)

    timings = warm_up(engine, clock)

    assert seconds_by_size(timings) == {1: 0.2, 2: 0.4}


def test_the_least_of_the_timed_runs_counts_and_the_first_run_does_not() -> None:
    """The warm run is slow, a disturbed run is slow: neither is what the device takes."""
    clock = FakeClock()
    times = iter([9.0, 0.5, 0.3, 0.4])
    engine = TimedEngine(clock, lambda _: next(times), max_batch_size=1)

    timings = warm_up(engine, clock)

    assert seconds_by_size(timings) == {1: 0.3}


def test_a_slow_model_is_timed_once_a_size() -> None:
    """At 4 s a batch one warm run and one timed run must do."""
    clock = FakeClock()
    engine = TimedEngine(clock, linear(0.0, 4.0), max_batch_size=1)

    timings = warm_up(engine, clock)

    assert engine.sizes == [1, 1]
    assert seconds_by_size(timings) == {1: 4.0}


@pytest.mark.parametrize("provider", [Provider.CUDA, Provider.TENSORRT, Provider.EMULATED])
def test_an_accelerator_is_timed_up_to_its_limit(provider: Provider) -> None:
    """Also without a gain between two sizes: the fit needs them all."""
    clock = FakeClock()
    engine = TimedEngine(clock, linear(0.0, 0.001), provider=provider, max_batch_size=12)

    timings = warm_up(engine, clock)

    assert seconds_by_size(timings) == {1: 0.001, 2: 0.002, 4: 0.004, 8: 0.008, 12: 0.012}


def test_a_full_device_ends_the_warm_up_at_the_last_size_that_fits() -> None:
    """A batch of 8 that does not fit is no reason not to start with 4."""
    clock = FakeClock()
    engine = TimedEngine(clock, linear(0.01, 0.001), provider=Provider.CUDA, largest=4)

    timings = warm_up(engine, clock)

    assert [timing.batch_size for timing in timings] == [1, 2, 4]


def test_a_device_that_runs_nothing_fails_the_start() -> None:
    """Not even a batch of one: the failure is the caller's to tell."""
    clock = FakeClock()
    engine = TimedEngine(clock, linear(0.01, 0.001), provider=Provider.CUDA, largest=0)

    with pytest.raises(EngineFailed, match="out of memory"):
        warm_up(engine, clock)


def test_figures_are_kept_and_the_next_start_only_warms_up() -> None:
    """The second start runs two single batches, and answers what the first measured."""
    clock, facts = FakeClock(), FakeFacts({"other": 1})
    first = TimedEngine(clock, linear(0.0, 0.2))
    second = TimedEngine(clock, linear(0.0, 0.2))

    before = measured(first, clock, facts, MACHINE)
    after = measured(second, clock, facts, MACHINE)

    assert after == before
    assert second.sizes == [1, 1]
    assert facts.writes == 1
    assert facts.facts["other"] == 1


def test_on_a_gpu_the_next_start_warms_every_size_up_once() -> None:
    """Kernels are chosen and graphs captured by size."""
    clock, facts = FakeClock(), FakeFacts()
    engines = [
        TimedEngine(clock, linear(0.008, 0.001), provider=Provider.CUDA, max_batch_size=4) for _ in "ab"
    ]

    for engine in engines:
        measured(engine, clock, facts, MACHINE)

    assert engines[1].sizes == [1, 2, 4, 1]


def test_another_machine_measures_for_itself_and_both_are_kept() -> None:
    """Stores are copied and shared: figures belong to a machine."""
    clock, facts = FakeClock(), FakeFacts()

    slow = measured(TimedEngine(clock, linear(0.0, 0.2)), clock, facts, "slow")
    fast = measured(TimedEngine(clock, linear(0.0, 0.1)), clock, facts, "fast")
    slow_again = measured(TimedEngine(clock, linear(0.0, 0.2)), clock, facts, "slow")

    assert slow == slow_again
    assert seconds_by_size(fast) == {1: 0.1, 2: 0.2}
    assert facts.writes == 2


def test_figures_taken_in_a_crowd_are_taken_again() -> None:
    """A start that sees a single batch run in half the kept time measures anew and keeps that."""
    clock, facts = FakeClock(), FakeFacts()
    measured(TimedEngine(clock, linear(0.0, 0.8)), clock, facts, MACHINE)

    timings = measured(TimedEngine(clock, linear(0.0, 0.4)), clock, facts, MACHINE)

    assert seconds_by_size(timings) == {1: 0.4, 2: 0.8}
    assert facts.writes == 2


def test_figures_beyond_a_new_limit_are_not_used() -> None:
    """When the operator lowers the largest batch, what was measured for larger ones does not bring it back."""
    clock, facts = FakeClock(), FakeFacts()
    measured(TimedEngine(clock, linear(0.01, 0.001), provider=Provider.CUDA), clock, facts, MACHINE)

    timings = measured(
        TimedEngine(clock, linear(0.01, 0.001), provider=Provider.CUDA, max_batch_size=2),
        clock,
        facts,
        MACHINE,
    )

    assert [timing.batch_size for timing in timings] == [1, 2]


def test_old_machines_make_room() -> None:
    """Of ten machines the eight that came last are kept."""
    clock, facts = FakeClock(), FakeFacts()

    for index in range(10):
        measured(TimedEngine(clock, linear(0.0, 0.2)), clock, facts, f"machine {index}")

    table = facts.facts["batch_timings"]
    assert isinstance(table, dict)
    assert list(table) == [f"machine {index}" for index in range(2, 10)]


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        "text",
        {MACHINE: "text"},
        {MACHINE: []},
        {MACHINE: [[1, 0.1, 2]]},
        {MACHINE: [["1", 0.1]]},
        {MACHINE: [[1, -0.1]]},
        {MACHINE: [[2, 0.1]]},
        {MACHINE: [[1, 0.1], [4, 0.2], [2, 0.3]]},
    ],
)
def test_damaged_figures_are_measured_anew(damaged: Json) -> None:
    """Whatever someone wrote into the facts, the start measures and replaces it."""
    clock, facts = FakeClock(), FakeFacts({"batch_timings": damaged})

    timings = measured(TimedEngine(clock, linear(0.0, 0.2)), clock, facts, MACHINE)

    assert seconds_by_size(timings) == {1: 0.2, 2: 0.4}
    assert facts.facts["batch_timings"] == {
        MACHINE: [[1, pytest.approx(0.2)], [2, pytest.approx(0.4)]],
    }


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({1: 0.2}, True),
        ({1: 0.2, 2: 0.35}, True),
        ({1: 0.2, 2: 0.37}, False),
        ({1: 0.2, 2: 0.4}, False),
        ({1: 0.2, 2: 0.3, 4: 0.59}, False),
        ({1: 0.2, 2: 0.3, 4: 0.5}, True),
    ],
)
def test_a_gain_is_a_tenth_off_the_best_time_an_item(seconds: dict[int, float], expected: bool) -> None:
    """Less is noise, and not worth the memory."""
    timings = tuple(BatchTiming(size, each) for size, each in seconds.items())

    assert gains_from_batching(timings) is expected
