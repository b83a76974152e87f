"""Time as an argument: a monotonic clock that tests replace, and instants on it."""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Seconds on a monotonic clock whose zero means nothing."""

    def now(self) -> float:
        """Return the present instant, s."""
        ...


class MonotonicClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Return the present instant, s."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant on the clock after which nobody wants the answer; `at_s` may be infinity."""

    at_s: float

    @classmethod
    def never(cls) -> "Deadline":
        """Return a deadline that does not pass."""
        return cls(float("inf"))

    @classmethod
    def after(cls, timeout_s: float, clock: Clock) -> "Deadline":
        """Return the deadline `timeout_s` from now."""
        return cls(clock.now() + timeout_s)

    def remaining_s(self, now_s: float) -> float:
        """Return the seconds left at `now_s`; negative once it has passed."""
        return self.at_s - now_s

    def has_passed(self, now_s: float) -> bool:
        """Tell whether the instant has come."""
        return now_s >= self.at_s
