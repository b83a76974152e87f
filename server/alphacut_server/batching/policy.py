"""Which tickets go to the device, when, and which leave without having cost device time: pure functions over a view.

The running batcher and the discrete-event simulator call the same `decide`. Its parts, in order:

1. drop       who cannot meet the deadline even in a batch of one
2. order      priority class (bulk ages into interactive), then rounds over the clients, then deadline, then arrival
3. choose     the longest prefix whose members all still meet their deadlines by the cost model; when that would make others
              of their class late, the batch that serves most, even if one who has hardly any time left stays behind
4. hold       wait a moment only when the callers just answered are about to return and the larger batch repays it
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from alphacut_server.batching.cost import CostModel
from alphacut_server.batching.returns import NOTHING_LEARNT, WINDOWS_S, Forecast

LEAST_SHARE = 0.3
"""Below this share of returning callers the traffic counts as independent, for which going at once is right."""

MOST_ROUNDS = 5.0
"""How many rounds ahead a saving may count: traffic changes, and a forecast of for ever would hold for any gain at all."""


class Priority(IntEnum):
    """Who goes first."""

    INTERACTIVE = 0
    BULK = 1


@dataclass(frozen=True, slots=True)
class Waiting:
    """One ticket as the policy sees it."""

    sequence: int
    """Order of arrival, unique."""
    key: Hashable
    """Only tickets of one key share a batch (the model)."""
    priority: Priority
    enqueued_s: float
    deadline_s: float
    client: str


@dataclass(frozen=True, slots=True)
class Lane:
    """What the policy knows of one key."""

    cost: CostModel
    max_batch_size: int
    forecast: Forecast = NOTHING_LEARNT


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings the policy obeys."""

    max_queue_delay_s: float = 0.008
    """The longest an idle device may be held while a ticket waits."""
    bulk_ageing_s: float = 2.0
    """Bulk work that has waited so long counts as interactive."""


@dataclass(frozen=True, slots=True)
class View:
    """The queue at one instant; `waiting` in any order."""

    now_s: float
    waiting: Sequence[Waiting]
    lanes: Mapping[Hashable, Lane]
    rules: Rules = field(default_factory=Rules)
    draining: bool = False
    """Nobody new will come: holding cannot pay."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Run these now, in this order."""

    batch: tuple[Waiting, ...]


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Hold the device until `at_s`, or until the queue changes."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to do until someone comes."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a free device, and who leaves first."""

    expired: tuple[Waiting, ...]
    action: Dispatch | WaitUntil | Idle


def decide(view: View) -> Decision:
    """Decide what a free device does now."""
    expired, alive = split_hopeless(view)
    if not alive:
        return Decision(expired, Idle())
    ordered = order(alive, view.now_s, view.rules)
    key = ordered[0].key
    lane = view.lanes[key]
    peers = [ticket for ticket in ordered if ticket.key == key]
    candidates = peers[: lane.max_batch_size]
    batch = largest_on_time(candidates, lane.cost, view.now_s)
    if len(batch) < len(candidates):  # a deadline keeps it short
        head_class = _class_of(ordered[0], view.now_s, view.rules)
        rivals = [ticket for ticket in peers if _class_of(ticket, view.now_s, view.rules) == head_class]
        if not all_on_time_after(rivals, len(batch), lane, view.now_s):
            batch = most_served(rivals, batch, lane, view.now_s)
    if (
        len(batch) == len(candidates) < lane.max_batch_size
        and len(candidates) == len(ordered)
        and not view.draining
    ):
        until_s = hold_until(batch, lane, view.now_s, view.rules)
        if until_s > view.now_s:
            return Decision(expired, WaitUntil(until_s))
    return Decision(expired, Dispatch(batch))


def split_hopeless(view: View) -> tuple[tuple[Waiting, ...], list[Waiting]]:
    """Part those who cannot meet their deadline even alone from those who can."""
    expired: list[Waiting] = []
    alive: list[Waiting] = []
    for ticket in view.waiting:
        on_time = view.now_s + view.lanes[ticket.key].cost.batch_s(1) <= ticket.deadline_s
        (alive if on_time else expired).append(ticket)
    return tuple(expired), alive


def order(waiting: Sequence[Waiting], now_s: float, rules: Rules) -> list[Waiting]:
    """Sort by class, round, deadline, arrival.

    A client's first ticket is in round 0, its second in round 1 and so on, so that nobody's backlog stands before somebody
    else's first picture; with one client, or nobody queued twice, it is plain earliest deadline first.
    """

    def urgency(ticket: Waiting) -> tuple[int, float, int]:
        return (_class_of(ticket, now_s, rules), ticket.deadline_s, ticket.sequence)

    by_urgency = sorted(waiting, key=urgency)
    first = by_urgency[0].client if by_urgency else ""
    if all(ticket.client == first for ticket in by_urgency):
        return by_urgency
    rounds: dict[tuple[int, str], int] = {}
    ranked: list[tuple[int, int, int, Waiting]] = []
    for position, ticket in enumerate(by_urgency):
        priority_class = urgency(ticket)[0]
        turn = rounds.get((priority_class, ticket.client), 0)
        rounds[priority_class, ticket.client] = turn + 1
        ranked.append((priority_class, turn, position, ticket))
    ranked.sort(key=lambda entry: entry[:3])
    return [ticket for *_, ticket in ranked]


def largest_on_time(ordered: Sequence[Waiting], cost: CostModel, now_s: float) -> tuple[Waiting, ...]:
    """Return the longest prefix whose members all meet their deadlines if they run together now; at least the first."""
    earliest_s = float("inf")
    fits = 1
    for size, ticket in enumerate(ordered, start=1):
        earliest_s = min(earliest_s, ticket.deadline_s)
        if now_s + cost.batch_s(size) <= earliest_s:
            fits = size
    return tuple(ordered[:fits])


def all_on_time_after(ordered: Sequence[Waiting], first: int, lane: Lane, now_s: float) -> bool:
    """Tell whether the rest, in full batches, still makes it when the `first` so many run by themselves now."""
    full_s = lane.cost.batch_s(lane.max_batch_size)
    done_s = now_s + lane.cost.batch_s(first)
    for start in range(first, len(ordered), lane.max_batch_size):
        done_s += full_s
        if any(ticket.deadline_s < done_s for ticket in ordered[start : start + lane.max_batch_size]):
            return False
    return True


def most_served(
    ordered: Sequence[Waiting], prefix: tuple[Waiting, ...], lane: Lane, now_s: float
) -> tuple[Waiting, ...]:
    """Return the batch that gains most when not all can be served: `prefix`, or a larger one without those it would make late.

    A batch of b counts b, less what a device running full batches would serve in t(b). Otherwise one ticket with hardly any time
    left would cut the batch down to a few, the next is late by then and cuts its own, and the device never recovers: half of the
    capacity is lost for as long as the overload lasts.
    """
    rate_per_s = lane.cost.capacity_per_s(lane.max_batch_size)
    best, best_gain = prefix, len(prefix) - rate_per_s * lane.cost.batch_s(len(prefix))
    for size in range(len(prefix) + 1, lane.max_batch_size + 1):
        seconds = lane.cost.batch_s(size)
        on_time = [ticket for ticket in ordered if now_s + seconds <= ticket.deadline_s][:size]
        gain = size - rate_per_s * seconds
        if len(on_time) == size and gain > best_gain:
            best, best_gain = tuple(on_time), gain
    return best


def hold_until(batch: Sequence[Waiting], lane: Lane, now_s: float, rules: Rules) -> float:
    """Return the instant until which holding the device is expected to pay; `now_s` when it is not.

    Compares, for the n callers expected within d seconds, the summed latency of going now,
    q*t(q) + n*(t(q) + t(n) - d), with that of holding, q*(d + t(q+n)) + n*t(q+n), plus what the device time saved is worth
    to those behind. Where waiting for everybody who was answered is tried or known to pay (trial.py), it waits for them as
    long as the rules allow. Never past `max_queue_delay_s` from the first member's arrival or the completion before it,
    whichever is later, and never so far that a member would miss its deadline in the larger batch.
    """
    forecast, cost, queued = lane.forecast, lane.cost, len(batch)
    idle_since_s = max(forecast.completed_at_s, min(ticket.enqueued_s for ticket in batch))
    limit_s = min(
        idle_since_s + rules.max_queue_delay_s,
        min(ticket.deadline_s for ticket in batch) - cost.batch_s(lane.max_batch_size),
    )
    still_away = forecast.answered - forecast.came
    if forecast.gathers and still_away > 0 and queued + still_away <= lane.max_batch_size:
        return max(limit_s, now_s)
    since_s = now_s - forecast.completed_at_s
    best_win_s, until_s = 0.0, now_s
    for window_s, share in zip(WINDOWS_S, forecast.shares, strict=True):
        delay_s = window_s - since_s
        if delay_s <= 0 or share < LEAST_SHARE or now_s + delay_s > limit_s:
            continue
        coming = min(forecast.expected_within(window_s, share), float(lane.max_batch_size - queued))
        if coming < 0.5:
            continue
        win_s = expected_win_s(queued, coming, delay_s, cost, rounds_saved(queued, coming, lane))
        if win_s > best_win_s:
            best_win_s, until_s = win_s, now_s + delay_s
    return until_s


def rounds_saved(queued: int, coming: float, lane: Lane) -> float:
    """Return how many rounds the device time saved by one larger batch is saved in.

    Callers in a closed loop who are once served together come back together, so the saving recurs: with a share p of them
    coming back each round, 1 / (1 - p) times. That holds only while one batch has room for everybody. With more callers than that
    those left over make the next batch anyway, and the same number of batches is run.
    """
    answered, came = lane.forecast.answered, lane.forecast.came
    still_away = max(answered - came, 0)
    if not answered or queued + still_away > lane.max_batch_size:
        return 1.0
    return 1.0 / (1.0 - min((came + coming) / answered, 1.0 - 1.0 / MOST_ROUNDS))


def expected_win_s(queued: int, coming: float, delay_s: float, cost: CostModel, rounds: float = 1.0) -> float:
    """Return the summed latency that holding `delay_s` for `coming` more saves, s; negative when going now is better.

    The device time saved is worth half a second of each one's waiting, for each second and each of the `rounds` it recurs in.
    """
    together_s = cost.batch_s(queued + coming)
    now_s, later_s = cost.batch_s(queued), cost.batch_s(coming)
    go_s = queued * now_s + coming * max(now_s + later_s - delay_s, later_s)
    hold_s = queued * (delay_s + together_s) + coming * together_s
    device_saved_s = (now_s + later_s) - (delay_s + together_s)
    return go_s - hold_s + rounds * device_saved_s * (queued + coming) / 2


def _class_of(ticket: Waiting, now_s: float, rules: Rules) -> Priority:
    """Return the ticket's priority, or the interactive one when it is bulk that has aged."""
    has_aged = now_s - ticket.enqueued_s >= rules.bulk_ageing_s
    return Priority.INTERACTIVE if has_aged else ticket.priority
