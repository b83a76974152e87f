"""What the sync and the async client share: where the server is, how long a call may take, what it carries."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from alphacut.channel import DEFAULT_TARGET, Tls, resolve_target
from alphacut.retry import RetryPolicy, Timing

# A picture takes well under a second on any device; the rest is waiting for others, and a server's restart.
DEFAULT_TIMEOUT_S = 30.0
# A stream is bulk work: its pictures wait for each other and for interactive calls.
DEFAULT_STREAM_TIMEOUT_S = 120.0
# Fills a device's batch (16 at most here) while memory stays at 16 pictures.
DEFAULT_WINDOW = 16
API_KEY_HEADER = "x-api-key"

Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The settings of one client."""

    target: str = DEFAULT_TARGET
    timeout_s: float = DEFAULT_TIMEOUT_S
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    api_key: str | None = field(default=None, repr=False)
    tls: Tls | None = field(default=None, repr=False)
    timing: Timing = field(default_factory=Timing)

    def __post_init__(self) -> None:
        """Refuse a timeout that no call can meet, and an address that is none."""
        check_timeout(self.timeout_s)
        resolve_target(self.target)

    def metadata(self, extra: Metadata) -> tuple[tuple[str, str | bytes], ...]:
        """Return what a call carries: the key, then what the caller adds."""
        own = () if self.api_key is None else ((API_KEY_HEADER, self.api_key),)
        return (*own, *extra)

    def timeout_for(self, timeout_s: float | None) -> float:
        """Return the call's own timeout, or the client's; infinity means none."""
        if timeout_s is None:
            return self.timeout_s
        check_timeout(timeout_s)
        return timeout_s


def check_timeout(timeout_s: float) -> None:
    """Raise ValueError for a timeout that no call can meet."""
    if not timeout_s > 0:
        raise ValueError(f"timeout_s must be above 0 (math.inf for none), not {timeout_s!r}")


def grpc_timeout(remaining_s: float) -> float | None:
    """Return the timeout as gRPC takes it, which knows no infinity."""
    return None if math.isinf(remaining_s) else remaining_s
