"""Bring a loaded engine to speed and tell what a batch of each size takes, before the first caller waits for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alphacut_server.catalogue.store import Json
from alphacut_server.deadline import Clock
from alphacut_server.engine.buffers import bucket_sizes
from alphacut_server.engine.engine import Engine, Provider
from alphacut_server.errors import EngineFailed

_TIMED_RUNS = 3
"""Runs timed a batch size. The least of them counts: other work on the machine only ever adds."""
_MAX_MEASURING_S = 3.0
"""No further timed run of a batch size once this much time went into it: ISNet at 1024 px takes seconds on a CPU."""
_STALE_SHARE = 0.7
"""A single batch that now takes less than this share of the kept figure shows that the figure was taken in a crowd."""
_WORTHWHILE_GAIN = 0.1
"""A larger batch must save this share of the time an item takes. On a CPU u2netp takes 184, 178, 182 and 184 ms an item
in batches of 1, 2, 4 and 8 (2026-11-23): noise, while every doubling of the batch doubles the memory."""
_FACTS_KEY = "batch_timings"
_MAX_MACHINES = 8
"""Machines whose figures are kept with one prepared model; the oldest go first."""


@dataclass(frozen=True, slots=True)
class BatchTiming:
    """What one batch takes."""

    batch_size: int
    seconds: float
    """From the call to its return, nothing else running on the device."""


Measurements: TypeAlias = tuple[BatchTiming, ...]
"""Ascending batch sizes, beginning with 1."""


class Facts(Protocol):
    """What is known about a prepared model, kept beside it."""

    def read_facts(self) -> Mapping[str, Json]:
        """Return what was written; empty when nothing was, or when it cannot be read."""
        ...

    def write_facts(self, facts: Mapping[str, Json]) -> bool:
        """Replace what was written; False when it cannot be kept, which costs a measurement at the next start."""
        ...


def warm_up(engine: Engine, clock: Clock) -> Measurements:
    """Run and time the batch buckets, the smallest first.

    On the CPU it goes on only while a larger batch gains, and ends with batches of one, which gives the memory of the
    larger ones back. Elsewhere it goes up to the engine's limit, or to the last size that the device's memory holds.
    Raises EngineFailed when not even a batch of one runs.
    """
    timings: list[BatchTiming] = []
    for size in bucket_sizes(engine.info.max_batch_size):
        try:
            timings.append(_time_batch(engine, size, clock))
        except EngineFailed:
            if not timings:
                raise
            break
        if engine.info.provider is Provider.CPU and not _confirm_gain(engine, timings, clock):
            break
    if engine.info.provider is Provider.CPU and len(timings) > 1:
        # The first gives the memory back, the second takes what it needs and leaves the next call at full speed.
        for _ in range(2):
            engine.infer(_sample_batch(engine, 1))
    return tuple(timings)


def measured(engine: Engine, clock: Clock, facts: Facts, machine: str) -> Measurements:
    """Warm up; time the batches only when `facts` has no good figures for this machine, and keep the new ones there.

    machine: what the figures depend on beside the model, as one line. Figures taken while the machine was busy are
    found out by a single batch that now runs much faster, and taken again.
    """
    machines = _read_machines(facts)
    known = machines.pop(machine, ())
    if known and known[-1].batch_size <= engine.info.max_batch_size:
        now_s = _warm_up_again(engine, clock, known)
        if now_s > _STALE_SHARE * known[0].seconds:
            return known
    timings = warm_up(engine, clock)
    kept = list(machines.items())[-(_MAX_MACHINES - 1) :]
    lines: dict[str, Json] = {
        name: [[timing.batch_size, timing.seconds] for timing in each]
        for name, each in [*kept, (machine, timings)]
    }
    facts.write_facts({**facts.read_facts(), _FACTS_KEY: lines})
    return timings


def gains_from_batching(timings: Measurements | list[BatchTiming]) -> bool:
    """Tell whether the largest size timed takes clearly less an item than the best of the smaller; True for one size."""
    if len(timings) < 2:
        return True
    *smaller, last = (timing.seconds / timing.batch_size for timing in timings)
    return last < (1 - _WORTHWHILE_GAIN) * min(smaller)


def _confirm_gain(engine: Engine, timings: list[BatchTiming], clock: Clock) -> bool:
    """Tell whether the last size gains, after timing the one before it again.

    Other work on the machine during the smaller batch alone looks just like a gain.
    """
    if len(timings) < 2 or not gains_from_batching(timings):
        return len(timings) < 2
    again = _time_batch(engine, timings[-2].batch_size, clock)
    timings[-2] = BatchTiming(again.batch_size, min(again.seconds, timings[-2].seconds))
    return gains_from_batching(timings)


def _warm_up_again(engine: Engine, clock: Clock, known: Measurements) -> float:
    """Bring an engine to speed whose batches were timed earlier; return what a batch of one takes now, s.

    On a GPU each size is run once, since choosing kernels and capturing graphs happens by size; on a CPU one run does.
    """
    sizes = [1] if engine.info.provider is Provider.CPU else [timing.batch_size for timing in known]
    for size in sizes:
        engine.infer(_sample_batch(engine, size))
    single = _sample_batch(engine, 1)
    return _timed(lambda: engine.infer(single), clock)


def _time_batch(engine: Engine, size: int, clock: Clock) -> BatchTiming:
    batch = _sample_batch(engine, size)
    engine.infer(batch)
    runs: list[float] = []
    while len(runs) < _TIMED_RUNS and sum(runs) < _MAX_MEASURING_S:
        runs.append(_timed(lambda: engine.infer(batch), clock))
    return BatchTiming(size, min(runs))


def _timed(call: Callable[[], object], clock: Clock) -> float:
    start_s = clock.now()
    call()
    return clock.now() - start_s


def _sample_batch(engine: Engine, size: int) -> list[NDArray[np.uint8]]:
    """Make `size` different tensors, (side, side, 3) uint8; noise, since a flat picture can make a network faster."""
    noise = np.random.default_rng(size)
    side = engine.info.side_px
    return list(noise.integers(0, 256, (size, side, side, 3), np.uint8))


def _read_machines(facts: Facts) -> dict[str, Measurements]:
    """Read the figures of all machines; whatever is not of the expected form is left out and measured anew."""
    table = facts.read_facts().get(_FACTS_KEY)
    if not isinstance(table, Mapping):
        return {}
    return {str(name): timings for name, rows in table.items() if (timings := _parse_timings(rows))}


def _parse_timings(rows: object) -> Measurements:
    if not isinstance(rows, list):
        return ()
    timings: list[BatchTiming] = []
    for row in rows:
        match row:
            case [int(size), int() | float() as seconds] if seconds > 0 and size > 0:
                timings.append(BatchTiming(size, float(seconds)))
            case _:
                return ()
    sizes = [timing.batch_size for timing in timings]
    return tuple(timings) if sizes[:1] == [1] and sizes == sorted(set(sizes)) else ()
