"""Who gets a place: counts, shares and predicted waits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphacut_server.batching.admission import (
    LEAST_RETRY_S,
    MOST_RETRY_S,
    Load,
    Refusal,
    newcomer_s,
    refuse,
    wait_s,
)
from alphacut_server.batching.cost import CostModel
from support.batching import EMULATED

FOREVER = float("inf")


def load(
    queued: int = 0,
    *,
    ahead: int | None = None,
    client_queued: int = 0,
    other_clients: int = 0,
    busy_s: float = 0.0,
) -> Load:
    """Make a queue of one class, all of it before the newcomer unless told."""
    return Load(queued, queued if ahead is None else ahead, client_queued, other_clients, busy_s)


def ask(found: Load, *, timeout_s: float = FOREVER, max_queue: int = 64) -> Refusal | None:
    """Ask for a place on the emulated device with batches of 16."""
    return refuse(found, EMULATED, max_batch_size=16, max_queue=max_queue, timeout_s=timeout_s)


def test_an_idle_server_admits() -> None:
    """Nobody there: 9 ms are needed and 10 ms given."""
    assert ask(load(), timeout_s=0.010) is None


def test_a_deadline_nobody_could_meet_is_refused_at_once() -> None:
    """8 ms are fewer than a batch of one takes, even on an idle device."""
    refusal = ask(load(), timeout_s=0.008)

    assert refusal is not None
    assert "longer than the deadline leaves" in refusal.message


def test_the_running_batch_counts() -> None:
    """20 ms of running batch and 9 ms of one's own do not fit into 25."""
    assert ask(load(busy_s=0.02), timeout_s=0.025) is not None
    assert ask(load(busy_s=0.02), timeout_s=0.030) is None


def test_only_those_ahead_count_for_the_wait() -> None:
    """Bulk work that an interactive caller overtakes does not make it hopeless."""
    assert ask(load(40, ahead=0), timeout_s=0.05) is None
    assert ask(load(40), timeout_s=0.05) is not None


def test_a_batch_is_kept_in_hand_behind_a_backlog() -> None:
    """Behind 16 others one runs in the second batch, which will be full: two batches of 24 ms, and one in hand."""
    assert newcomer_s(16, 0.0, EMULATED, 16) == pytest.approx(0.072)
    assert newcomer_s(15, 0.0, EMULATED, 16) == pytest.approx(0.024)
    assert ask(load(16), timeout_s=0.0719) is not None
    assert ask(load(16), timeout_s=0.0721) is None


def test_a_full_queue_refuses() -> None:
    """The limit is the last place but none."""
    refusal = ask(load(64))

    assert refusal is not None
    assert refusal.message == "The queue is full (64 calls wait); try again later."
    assert ask(load(63, client_queued=0, other_clients=1)) is None


def test_shares_do_not_bind_while_there_is_room() -> None:
    """With less than half of the queue taken, one client may hold all of it while others wait."""
    assert ask(load(31, client_queued=30, other_clients=5)) is None


def test_shares_bind_when_others_wait() -> None:
    """In a congested queue each of two clients gets half."""
    refused = ask(load(40, client_queued=32, other_clients=1))

    assert refused is not None
    assert "its share" in refused.message
    assert ask(load(40, client_queued=31, other_clients=1)) is None


def test_a_newcomer_finds_a_place_beside_a_flood() -> None:
    """One client alone is stopped at seven eighths, so that somebody else's first call gets in."""
    assert ask(load(56, client_queued=56)) is not None
    assert ask(load(55, client_queued=55)) is None
    assert ask(load(56, client_queued=0, other_clients=1)) is None


def test_everybody_may_hold_one_place() -> None:
    """More clients than places: the share does not fall to none."""
    assert ask(load(40, client_queued=0, other_clients=100)) is None
    assert ask(load(40, client_queued=1, other_clients=100)) is not None


def test_a_queue_of_one_place_has_one() -> None:
    """The reserve does not eat a tiny queue."""
    assert ask(load(0), max_queue=1) is None
    assert ask(load(1, client_queued=1), max_queue=1) is not None


def test_wait_sums_the_running_and_whole_batches() -> None:
    """5 ms of running batch, two full ones of 24 ms, and three more items in 11 ms."""
    assert wait_s(35, 0.005, EMULATED, 16) == pytest.approx(0.005 + 2 * 0.024 + 0.011)


LOADS = st.builds(
    Load,
    queued=st.integers(0, 600),
    ahead=st.integers(0, 600),
    client_queued=st.integers(0, 300),
    other_clients=st.integers(0, 300),
    busy_s=st.floats(0, 1e4),
)
COSTS = st.builds(CostModel, st.floats(0, 10), st.floats(0, 10))
TIMEOUTS = st.floats(0, 1e5) | st.just(FOREVER)


@settings(max_examples=60, deadline=None)
@given(
    found=LOADS, cost=COSTS, max_batch=st.integers(1, 64), max_queue=st.integers(1, 512), timeout_s=TIMEOUTS
)
def test_a_refusal_names_a_time_to_come_back(
    found: Load, cost: CostModel, max_batch: int, max_queue: int, timeout_s: float
) -> None:
    """The pause lies within bounds, whatever the queue and the device are like; a full queue always refuses."""
    refusal = refuse(found, cost, max_batch_size=max_batch, max_queue=max_queue, timeout_s=timeout_s)

    if refusal is not None:
        assert LEAST_RETRY_S <= refusal.retry_after_s <= MOST_RETRY_S
    assert refusal is not None or found.queued < max_queue


@settings(max_examples=60, deadline=None)
@given(ahead=st.integers(0, 300), cost=COSTS, max_batch=st.integers(1, 64), busy_s=st.floats(0, 10))
def test_the_prediction_grows_with_the_queue(
    ahead: int, cost: CostModel, max_batch: int, busy_s: float
) -> None:
    """One more before the newcomer never makes it earlier, and it is never more hopeful than the plain wait."""
    prediction_s = newcomer_s(ahead, busy_s, cost, max_batch)

    assert prediction_s <= newcomer_s(ahead + 1, busy_s, cost, max_batch) + 1e-9
    assert prediction_s >= wait_s(ahead + 1, busy_s, cost, max_batch) - 1e-9
