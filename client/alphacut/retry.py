"""Which failed calls are sent again, and when: a pure policy, and the loop that follows it (sync and aio).

gRPC's own retries are switched off (`channel`): they cover only what fits a per-call buffer, 256 KiB by default, and
give up in silence on anything larger, which is every photo. Cutting a picture changes nothing on the server, so
sending it twice is harmless.
"""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from alphacut.errors import AlphacutError, Overloaded, Unavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently; `max_attempts=1` never sends twice.

    Sent again: what failed for want of a server, and overload that says when to come back. Delays grow from
    `initial_backoff_s` by `multiplier` up to `max_backoff_s`; the share `jitter`, in [0, 1], of each is random, so
    that callers who failed together do not return together. The defaults outlast a server's restart (7 s or so).
    """

    max_attempts: int = 8
    initial_backoff_s: float = 0.1
    max_backoff_s: float = 3.0
    multiplier: float = 2.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what would retry for ever, or without a pause."""
        if self.max_attempts < 1 or not 0 < self.initial_backoff_s <= self.max_backoff_s:
            raise ValueError("max_attempts must be at least 1, and 0 < initial_backoff_s <= max_backoff_s")
        if self.multiplier < 1 or not 0 <= self.jitter <= 1:
            raise ValueError("multiplier must be at least 1, and jitter in [0, 1]")

    def delay_s(self, error: AlphacutError, attempts: int, remaining_s: float, chance: float) -> float | None:
        """Return how long to wait before sending again, s, or None when the error stands.

        attempts: how often it was sent so far, ≥ 1. remaining_s: time left to the deadline, maybe infinite; a retry
        that would start after it is not worth waiting for. chance: random, in [0, 1).
        """
        if attempts >= self.max_attempts or not is_retryable(error):
            return None
        # The exponent is capped: a policy of thousands of attempts must not overflow.
        growth = self.multiplier ** min(attempts - 1, 64)
        backoff_s = min(self.max_backoff_s, self.initial_backoff_s * growth)
        delay_s = backoff_s * (1 - self.jitter * chance)
        if error.retry_after_s is not None:
            # The server's advice is a lower bound, so here the jitter only adds.
            delay_s = max(delay_s, error.retry_after_s * (1 + self.jitter * chance))
        return delay_s if delay_s < remaining_s else None


def is_retryable(error: AlphacutError) -> bool:
    """Tell whether sending the same call again may help."""
    if isinstance(error, Overloaded):
        return error.retry_after_s is not None
    return isinstance(error, Unavailable)


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock and the chance the client lives by; tests bring their own. `now` is monotonic, s."""

    now: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


def call_with_retry(
    attempt: Callable[[float], T],
    policy: RetryPolicy,
    timeout_s: float,
    timing: Timing,
    sleep: Callable[[float], object],
) -> T:
    """Return what `attempt(remaining_s)` returns, trying again as the policy says, within `timeout_s` overall.

    Raises the last attempt's AlphacutError, its `attempts` set.
    """
    deadline_s = timing.now() + timeout_s
    attempts = 0
    remaining_s = timeout_s
    while True:
        attempts += 1
        try:
            return attempt(remaining_s)
        except AlphacutError as error:
            delay_s = _next_delay_s(error, attempts, policy, timing, deadline_s)
            if delay_s is None:
                raise
            sleep(delay_s)
            remaining_s = deadline_s - timing.now()
            if remaining_s <= 0:
                raise


async def call_with_retry_async(
    attempt: Callable[[float], Awaitable[T]],
    policy: RetryPolicy,
    timeout_s: float,
    timing: Timing,
    sleep: Callable[[float], Awaitable[object]],
) -> T:
    """Return what `attempt(remaining_s)` gives, as `call_with_retry` does, on the event loop."""
    deadline_s = timing.now() + timeout_s
    attempts = 0
    remaining_s = timeout_s
    while True:
        attempts += 1
        try:
            return await attempt(remaining_s)
        except AlphacutError as error:
            delay_s = _next_delay_s(error, attempts, policy, timing, deadline_s)
            if delay_s is None:
                raise
            await sleep(delay_s)
            remaining_s = deadline_s - timing.now()
            if remaining_s <= 0:
                raise


def _next_delay_s(
    error: AlphacutError, attempts: int, policy: RetryPolicy, timing: Timing, deadline_s: float
) -> float | None:
    error.attempts = attempts
    return policy.delay_s(error, attempts, deadline_s - timing.now(), timing.chance())
