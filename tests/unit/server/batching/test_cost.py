"""The cost model's fit and the batch limit that follows from it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphacut_server.batching.cost import BatchTiming, CostModel, Pace, choose_max_batch, fit

SECONDS = st.floats(1e-5, 10.0)
SIZES = st.lists(st.integers(1, 64), min_size=2, max_size=6, unique=True)


def timings_of(cost: CostModel, sizes: list[int]) -> list[BatchTiming]:
    """Time a device that follows `cost` exactly."""
    return [BatchTiming(size, cost.batch_s(size)) for size in sizes]


@settings(max_examples=60, deadline=None)
@given(base_s=SECONDS, item_s=SECONDS, sizes=SIZES)
def test_fit_recovers_a_linear_device(base_s: float, item_s: float, sizes: list[int]) -> None:
    """Timings on a line give that line back, whatever sizes were measured."""
    device = CostModel(base_s, item_s)

    fitted = fit(timings_of(device, sizes))

    for size in (1, 16, 64):
        assert fitted.batch_s(size) == pytest.approx(device.batch_s(size), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(timings=st.lists(st.builds(BatchTiming, st.integers(1, 64), SECONDS), min_size=1, max_size=8))
def test_fit_never_predicts_that_more_costs_less(timings: list[BatchTiming]) -> None:
    """Base and item stay at or above zero and something costs time, even where the timings are nonsense."""
    fitted = fit(timings)

    assert fitted.base_s >= 0
    assert fitted.item_s >= 0
    assert fitted.batch_s(1) > 0


def test_fit_of_one_size_knows_no_base() -> None:
    """From one batch size alone nothing follows about what batching saves: the mean item time, no base."""
    fitted = fit([BatchTiming(4, 0.4), BatchTiming(4, 0.6)])

    assert fitted.base_s == 0
    assert fitted.item_s == pytest.approx(0.125)


def test_fit_of_nothing_is_refused() -> None:
    """No timing, no model."""
    with pytest.raises(ValueError, match="at least one timing"):
        fit([])


def test_fit_of_a_device_that_dislikes_batches_has_no_base() -> None:
    """Where a batch costs more than its items apart, the fit says that batching gains nothing, and is not too hopeful."""
    fitted = fit([BatchTiming(1, 0.1), BatchTiming(2, 0.3), BatchTiming(4, 0.8)])

    assert fitted.base_s == 0
    assert fitted.item_s == pytest.approx(0.2)


def test_noise_on_a_large_batch_does_not_hide_the_small_one() -> None:
    """The fit weighs relative errors: 10 % on the batch of 16 moves the batch of 1 by far less than its own 2.4 ms."""
    noisy = [*timings_of(CostModel(0.008, 0.001), [1, 2, 4, 8]), BatchTiming(16, 0.024 * 1.1)]

    fitted = fit(noisy)

    assert fitted.batch_s(1) == pytest.approx(0.009, rel=0.03)


def test_capacity_is_that_of_full_batches() -> None:
    """8 + 1 ms an item in batches of 16 is 667 a second."""
    assert CostModel(0.008, 0.001).capacity_per_s(16) == pytest.approx(16 / 0.024)


def test_capacity_of_a_free_device_is_finite() -> None:
    """A device that takes no time does not divide by zero."""
    assert 0 < CostModel(0.0, 0.0).capacity_per_s(16) < float("inf")


def test_cpu_timings_choose_batches_of_one() -> None:
    """184, 178, 182 and 184 ms an image at 1, 2, 4 and 8 (u2netp on two cores): batching gains nothing there."""
    cpu = [
        BatchTiming(size, size * each_ms / 1e3) for size, each_ms in ((1, 184), (2, 178), (4, 182), (8, 184))
    ]

    assert choose_max_batch(cpu, limit=16) == 1


def test_accelerator_timings_choose_the_largest_batch() -> None:
    """8 + 1 ms an item pays up to the limit."""
    accelerator = timings_of(CostModel(0.008, 0.001), [1, 2, 4, 8, 16])

    assert choose_max_batch(accelerator, limit=16) == 16
    assert choose_max_batch(accelerator, limit=8) == 8


def test_nothing_measured_within_the_limit_means_one() -> None:
    """Without a timing that may be used there is no batching."""
    assert choose_max_batch([BatchTiming(8, 0.1)], limit=4) == 1


@settings(max_examples=60, deadline=None)
@given(
    timings=st.lists(
        st.builds(BatchTiming, st.integers(1, 32), SECONDS),
        min_size=1,
        max_size=6,
        unique_by=lambda timing: timing.batch_size,
    )
)
def test_chosen_batch_is_the_smallest_that_no_larger_one_beats(timings: list[BatchTiming]) -> None:
    """Every larger size gains less than five per cent, and every smaller one leaves more than that on the table."""
    chosen = choose_max_batch(timings, limit=32)

    rates = {timing.batch_size: timing.batch_size / timing.seconds for timing in timings}

    def is_enough(size: int) -> bool:
        return max(rate for larger, rate in rates.items() if larger >= size) <= rates[size] * 1.05

    assert is_enough(chosen)
    assert not any(is_enough(size) for size in rates if size < chosen)


def test_a_device_as_fast_as_predicted_keeps_its_pace() -> None:
    """The factor starts at one and stays there."""
    pace = Pace()

    for _ in range(10):
        pace.observe(0.024, 0.024)

    assert pace.factor == pytest.approx(1.0)


@pytest.mark.parametrize("factor", [0.5, 1.3, 2.0])
def test_a_device_of_another_speed_is_believed_in_time(factor: float) -> None:
    """After thirty batches the factor is within five per cent of the truth."""
    pace = Pace()

    for _ in range(30):
        pace.observe(0.024, 0.024 * factor)

    assert pace.factor == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize(("taken_s", "least", "most"), [(0.0, 0.9, 1.0), (60.0, 1.0, 1.4)])
def test_one_odd_batch_hardly_moves_the_pace(taken_s: float, least: float, most: float) -> None:
    """A run that failed at once and one that hung for a minute say little."""
    pace = Pace()

    pace.observe(0.024, taken_s)

    assert least <= pace.factor <= most


def test_a_slower_model_scales_both_parts() -> None:
    """Twice as slow is twice the base and twice the item."""
    assert CostModel(0.008, 0.001).slower(2.0) == CostModel(0.016, 0.002)
