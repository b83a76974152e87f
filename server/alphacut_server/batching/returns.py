"""Learns whether callers who were just answered come straight back, which is when an idle device should wait for them.

After each completion of b items it counts how many arrivals come within a few windows *beyond* what the long-run rate
explains, as a share of b. Independent arrivals give about 0; callers in a closed loop, who ask again as soon as they are
answered, give about 1. Without the subtraction Poisson traffic at half load looks like a closed loop, and waiting for it
raises its p99 by a quarter.
"""

from dataclasses import dataclass

from alphacut_server.batching.trial import GatherTrial

WINDOWS_S = (0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008)
"""Spans after a completion in which returns are counted. Callers over loopback or a LAN are back within these."""

GAIN = 0.1
"""Weight of the newest completion in the shares: a change of traffic is forgotten in some twenty batches."""

RATE_GAIN = 0.05
"""Weight of the newest interval in the long-run arrival rate."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What has been learnt, and what has happened since the last completion; immutable, so policy functions may take it."""

    completed_at_s: float
    """Instant of the last completion; -inf before the first."""
    answered: int
    """Items that completion answered."""
    came: int
    """Arrivals since."""
    rate_per_s: float
    """Long-run arrivals per second."""
    shares: tuple[float, ...]
    """For each window: arrivals within it beyond the long-run rate, as a share of those answered; -1 to 1."""
    gathers: bool = False
    """Whether waiting for everybody who was answered is being tried, or has been seen to pay."""

    def expected_within(self, window_s: float, share: float) -> float:
        """Return how many more arrivals to expect until `window_s` after the completion."""
        expected = min(float(self.answered), share * self.answered + self.rate_per_s * window_s)
        return expected - self.came


NOTHING_LEARNT = Forecast(float("-inf"), 0, 0, 0.0, (0.0,) * len(WINDOWS_S))


class ReturnsLearner:
    """Watches completions and arrivals of one queue; not thread-safe, its owner locks."""

    def __init__(self) -> None:
        self._shares = [0.0] * len(WINDOWS_S)
        self._counts = [0] * len(WINDOWS_S)
        self._completed_at_s = float("-inf")
        self._answered = 0
        self._came = 0
        self._rate_per_s = 0.0
        self._missing = 0
        self._trial = GatherTrial()

    def forecast(self) -> Forecast:
        """Return what is known now."""
        return Forecast(
            self._completed_at_s,
            self._answered,
            self._came,
            self._rate_per_s,
            tuple(self._shares),
            self._trial.gathers,
        )

    def arrived(self, now_s: float) -> None:
        """Count one arrival. A caller has arrived when its item is ready for the device."""
        self._came += 1
        since_s = now_s - self._completed_at_s
        for index in range(len(WINDOWS_S) - 1, -1, -1):
            if since_s > WINDOWS_S[index]:
                break
            self._counts[index] += 1

    def dispatched(self) -> None:
        """Take note that the next batch is cut now: who has not come back by then was not waited for."""
        self._missing = max(self._answered - self._came, 0)

    def completed(self, now_s: float, answered: int) -> None:
        """Close the books on the last completion and open them on this one, which answered `answered` items."""
        span_s = now_s - self._completed_at_s
        if self._answered and 0 < span_s < float("inf"):
            self._rate_per_s += RATE_GAIN * (self._came / span_s - self._rate_per_s)
            for index, window_s in enumerate(WINDOWS_S):
                if window_s > span_s:
                    break  # the next batch was over before this window: it tells nothing of it
                excess = (self._counts[index] - self._rate_per_s * window_s) / self._answered
                self._shares[index] += GAIN * (max(-1.0, min(1.0, excess)) - self._shares[index])
            self._trial.round_over(
                answered_before=self._answered,
                came=self._came,
                missing=self._missing,
                answered=answered,
                span_s=span_s,
            )
        self._completed_at_s = now_s
        self._answered = answered
        self._came = 0
        self._counts = [0] * len(WINDOWS_S)
