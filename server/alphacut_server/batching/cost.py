"""What a batch costs: t(b) = base + b * item, fitted from measured timings, and the batch limit that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchTiming:
    """One measured point: a batch of `batch_size` items took `seconds`."""

    batch_size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CostModel:
    """Predicted device time of a batch, s."""

    base_s: float
    """Paid once a batch; what batching saves."""
    item_s: float
    """Paid for each item."""

    def batch_s(self, batch_size: float) -> float:
        """Return the predicted device time of a batch of `batch_size` items (fractions allowed: expectations), s."""
        return self.base_s + self.item_s * batch_size

    def capacity_per_s(self, max_batch_size: int) -> float:
        """Return the items per second of a device that runs nothing but full batches."""
        return max_batch_size / max(self.batch_s(max_batch_size), 1e-9)

    def slower(self, factor: float) -> "CostModel":
        """Return the model of a device that takes `factor` times as long."""
        return CostModel(self.base_s * factor, self.item_s * factor)


PACE_GAIN = 0.1
"""Weight of the newest batch in the pace: a slower device is believed within some twenty batches."""

LEAST_PACE, MOST_PACE = 0.25, 4.0
"""What one batch may say, so that neither a failed run of no length nor a hiccup of seconds upsets the prediction."""


class Pace:
    """Learns how much longer batches really take than the model says; not thread-safe, its owner locks.

    The model is fitted on an idle machine. Under load the device shares cores, heat or memory, and a model that is 30 % too
    hopeful admits and starts what then comes too late: uncorrected, nine tenths of the capacity are lost in an overload.
    """

    def __init__(self) -> None:
        self.factor = 1.0

    def observe(self, predicted_s: float, taken_s: float) -> None:
        """Take note that a batch the model puts at `predicted_s` took `taken_s`."""
        ratio = min(max(taken_s / max(predicted_s, 1e-9), LEAST_PACE), MOST_PACE)
        self.factor += PACE_GAIN * (ratio - self.factor)


def fit(timings: Sequence[BatchTiming]) -> CostModel:
    """Fit base and item by least squares on the relative error; both are kept at or above 0.

    Relative, because a millisecond matters at batch 1 and not at batch 16. One timing alone: no base, for nothing is known of it.
    Raises ValueError on no timing.
    """
    if not timings:
        raise ValueError("a cost model needs at least one timing")
    sizes = [float(timing.batch_size) for timing in timings]
    seconds = [max(timing.seconds, 1e-9) for timing in timings]
    if len(set(sizes)) == 1:
        return CostModel(0.0, sum(seconds) / len(seconds) / sizes[0])
    weights = [1.0 / second**2 for second in seconds]
    total = sum(weights)
    mean_size = sum(w * b for w, b in zip(weights, sizes, strict=True)) / total
    mean_s = sum(w * s for w, s in zip(weights, seconds, strict=True)) / total
    spread = sum(w * (b - mean_size) ** 2 for w, b in zip(weights, sizes, strict=True))
    slope = (
        sum(w * (b - mean_size) * (s - mean_s) for w, b, s in zip(weights, sizes, seconds, strict=True))
        / spread
    )
    item_s = max(slope, 0.0)
    base_s = mean_s - item_s * mean_size
    if base_s < 0:  # costs more than linearly: batching gains nothing, the line goes through the origin
        return CostModel(0.0, max(s / b for s, b in zip(seconds, sizes, strict=True)))
    return CostModel(base_s, item_s)


def choose_max_batch(timings: Sequence[BatchTiming], limit: int, least_gain: float = 0.05) -> int:
    """Return the smallest measured size beyond which no larger one serves `least_gain` more items per second.

    On a CPU that is 1 (batching gains nothing there and costs memory), on a GPU the largest that still pays.
    """
    rates = {
        timing.batch_size: timing.batch_size / max(timing.seconds, 1e-9)
        for timing in timings
        if timing.batch_size <= limit
    }
    for size, rate in sorted(rates.items()):
        if all(rates[larger] <= rate * (1 + least_gain) for larger in rates if larger > size):
            return size
    return 1
