"""Whether one more caller gets a place: a pure function over counts, a cost model and the caller's deadline.

Refused at once, before any work: the newest, when the queue or its client's share is full, and the hopeless, whose predicted
wait outlasts the deadline. Who was admitted is never dropped for somebody newer.
"""

import math
from dataclasses import dataclass

from alphacut_server.batching.cost import CostModel

CONGESTED_SHARE = 0.5
"""Per-client shares bind only while the queue is fuller than this: until then nobody is in anybody's way."""

RESERVED_SHARE = 0.125
"""Part of the queue that one client alone may not fill, so that the next client's first call finds a place."""

SPARE_BATCHES = 1
"""Kept in hand when a newcomer's wait is predicted; with run times that scatter by 10 % none costs 20 to 50 % of the capacity."""

LEAST_RETRY_S, MOST_RETRY_S = 0.05, 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """The queue as a newcomer finds it; every count includes tickets whose items are still being prepared."""

    queued: int
    ahead: int
    """Those of `queued` who would go before or beside the newcomer."""
    client_queued: int
    """The newcomer's client's own."""
    other_clients: int
    """Clients other than the newcomer's with a ticket in the queue."""
    busy_s: float
    """Predicted rest of the running batch."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no place, and when to try again."""

    message: str
    retry_after_s: float


def refuse(
    load: Load, cost: CostModel, *, max_batch_size: int, max_queue: int, timeout_s: float
) -> Refusal | None:
    """Return why the newcomer gets no place, or None when it does."""
    drain_s = wait_s(load.queued, load.busy_s, cost, max_batch_size)
    if load.queued >= max_queue:
        return Refusal(f"The queue is full ({max_queue} calls wait); try again later.", _retry(drain_s / 2))
    share = _client_share(load, max_queue)
    if load.client_queued >= share:
        return Refusal(
            f"This client already has {share} calls waiting, its share; try again later.", _retry(drain_s / 2)
        )
    finish_s = newcomer_s(load.ahead, load.busy_s, cost, max_batch_size)
    if finish_s > timeout_s:
        return Refusal(
            f"The answer would take about {finish_s:.3f} s, longer than the deadline leaves ({timeout_s:.3f} s).",
            _retry(finish_s - timeout_s),
        )
    return None


def wait_s(items: int, busy_s: float, cost: CostModel, max_batch_size: int) -> float:
    """Return the predicted time until the last of `items` is done, the running batch included, s."""
    full, rest = divmod(items, max_batch_size)
    return busy_s + full * cost.batch_s(max_batch_size) + (cost.batch_s(rest) if rest else 0.0)


def newcomer_s(ahead: int, busy_s: float, cost: CostModel, max_batch_size: int) -> float:
    """Return the predicted time until someone who joins behind `ahead` others is done, on the safe side, s.

    Behind a batch or more its own batch will have been topped up by the time it runs, and timings vary, so one batch is kept in
    hand. Without both, whoever is admitted reaches the head with no time to spare, batches shrink to the few that still make it
    (16 to 4), and at ten times the capacity half of the capacity is lost.
    """
    if ahead < max_batch_size:
        return busy_s + cost.batch_s(ahead + 1)
    own_batch = ahead // max_batch_size + 1
    return busy_s + (own_batch + SPARE_BATCHES) * cost.batch_s(max_batch_size)


def _client_share(load: Load, max_queue: int) -> int:
    if load.queued < max_queue * CONGESTED_SHARE:
        return max_queue
    if load.other_clients:
        return max(1, max_queue // (load.other_clients + 1))
    return max_queue - math.floor(max_queue * RESERVED_SHARE)


def _retry(seconds: float) -> float:
    return min(max(seconds, LEAST_RETRY_S), MOST_RETRY_S)
