"""The emulated device: its time is exact, its answers belong to their inputs."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphacut_server.engine.emulated import EmulatedEngine, RealDeviceTime, expected_matte
from alphacut_server.errors import EngineFailed
from support.tiny_models import random_tensors


class FakeDeviceTime:
    """A clock that jumps to whatever is waited for, late by a fixed overshoot."""

    def __init__(self, overshoot_s: float = 0.0) -> None:
        self.now_s = 100.0
        self.overshoot_s = overshoot_s
        self.waits: list[float] = []

    def now(self) -> float:
        return self.now_s

    def sleep_until(self, at_s: float) -> None:
        self.waits.append(at_s)
        self.now_s = max(self.now_s, at_s) + self.overshoot_s


@pytest.mark.parametrize(("size", "expected_s"), [(1, 0.009), (8, 0.016), (16, 0.024)])
def test_a_batch_of_n_takes_base_plus_n_items(size: int, expected_s: float) -> None:
    """The device is busy for 8 ms and 1 ms an item."""
    device_time = FakeDeviceTime()
    engine = EmulatedEngine(device_time=device_time)

    engine.infer(random_tensors(size, side_px=64))

    assert device_time.waits == [pytest.approx(100 + expected_s)]


def test_the_end_is_absolute_so_that_drawing_is_part_of_the_time() -> None:
    """What passes between start and sleep is not added: the wait is for an instant fixed at the start."""

    class SlowDrawing(FakeDeviceTime):
        def now(self) -> float:
            instant_s = self.now_s
            self.now_s += 0.005  # as if 5 ms passed after every look at the clock
            return instant_s

    device_time = SlowDrawing()
    engine = EmulatedEngine(base_ms=8, item_ms=1, device_time=device_time)

    engine.infer(random_tensors(2, side_px=64))

    assert device_time.now_s == pytest.approx(100.010)


def test_the_device_runs_one_batch_at_a_time() -> None:
    """A second caller waits until the first batch is over."""
    inside = threading.Event()
    leave = threading.Event()

    class HeldDeviceTime(FakeDeviceTime):
        def sleep_until(self, at_s: float) -> None:
            super().sleep_until(at_s)
            inside.set()
            assert leave.wait(10)

    device_time = HeldDeviceTime()
    engine = EmulatedEngine(device_time=device_time)
    tensors = random_tensors(1, side_px=64)
    threads = [threading.Thread(target=engine.infer, args=(tensors,)) for _ in range(2)]

    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    waits_while_held = len(device_time.waits)
    leave.set()
    for thread in threads:
        thread.join(10)

    assert waits_while_held == 1
    assert device_time.waits == [pytest.approx(100.009), pytest.approx(100.018)]


def test_each_item_gets_the_matte_of_its_own_tensor() -> None:
    """In a batch, item i is exactly what expected_matte draws for tensor i."""
    tensors = random_tensors(16, side_px=64)
    engine = EmulatedEngine(device_time=FakeDeviceTime())

    mattes = engine.infer(tensors)

    assert mattes.shape == (16, 64, 64)
    assert mattes.dtype == np.uint8
    for tensor, matte in zip(tensors, mattes, strict=True):
        np.testing.assert_array_equal(matte, expected_matte(tensor))


def test_thousand_different_tensors_have_thousand_different_mattes() -> None:
    """A mix-up shows, even between tensors that differ in one byte."""
    tensor = np.zeros((64, 64, 3), np.uint8)
    seen = set()

    for index in range(1000):
        tensor[index // 64, index % 64, 0] = 1
        seen.add(expected_matte(tensor).tobytes())
        tensor[index // 64, index % 64, 0] = 0

    assert len(seen) == 1000


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), side_px=st.sampled_from([32, 33, 64, 100, 320]))
def test_a_matte_is_an_ellipse_off_the_border(seed: int, side_px: int) -> None:
    """Fully opaque inside, fully clear at the border, one blob whose rows and columns are each one run."""
    (tensor,) = random_tensors(1, side_px=side_px, seed=seed)

    matte = expected_matte(tensor)

    solid = matte > 127
    edges = np.concatenate([matte[0], matte[-1], matte[:, 0], matte[:, -1]])
    assert not edges.any()
    assert matte.max() == 255
    assert 0.02 < solid.mean() < 0.35
    for lines in (solid, solid.T):
        starts = np.count_nonzero(np.diff(lines.astype(np.int8), axis=1) == 1, axis=1)
        assert starts.max() <= 1


def test_the_rim_is_soft_and_narrow() -> None:
    """Between 0 and 255 lie one to two pixels along the rim, no more."""
    (tensor,) = random_tensors(1, side_px=256)

    matte = expected_matte(tensor)

    row = matte[np.argmax(np.count_nonzero(matte, axis=1))].astype(int)
    grey = np.count_nonzero((row > 0) & (row < 255))
    assert 2 <= grey <= 8


def test_a_view_and_its_copy_give_the_same_matte() -> None:
    """The digest is of the values, not of how they lie in memory."""
    wide = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    view = wide[:, ::2]

    matte = expected_matte(view)

    np.testing.assert_array_equal(matte, expected_matte(view.copy()))


def test_a_closed_device_refuses() -> None:
    """After close a batch fails, and a second close does no harm."""
    engine = EmulatedEngine(device_time=FakeDeviceTime())
    engine.close()
    engine.close()

    with pytest.raises(EngineFailed):
        engine.infer(random_tensors(1, side_px=64))


def test_a_wrong_shape_is_a_bug() -> None:
    """A tensor of another side raises ValueError and takes no device time."""
    device_time = FakeDeviceTime()
    engine = EmulatedEngine(device_time=device_time)

    with pytest.raises(ValueError, match="tensor 0"):
        engine.infer(random_tensors(1, side_px=32))

    assert device_time.waits == []


@pytest.mark.parametrize(
    ("base_ms", "item_ms", "side_px", "max_batch_size"),
    [(-1.0, 1.0, 64, 16), (8.0, -1.0, 64, 16), (8.0, 1.0, 31, 16), (8.0, 1.0, 64, 0)],
)
def test_impossible_devices_are_refused(
    base_ms: float, item_ms: float, side_px: int, max_batch_size: int
) -> None:
    """Negative times, a side too small for an ellipse and empty batches are refused at once."""
    with pytest.raises(ValueError, match="emulated device"):
        EmulatedEngine(base_ms=base_ms, item_ms=item_ms, side_px=side_px, max_batch_size=max_batch_size)


def test_the_real_clock_does_not_wait_for_the_past() -> None:
    """Waiting for an instant that has passed returns at once, for one to come not before it."""
    real = RealDeviceTime()
    soon_s = real.now() + 0.002

    real.sleep_until(real.now() - 60)
    real.sleep_until(soon_s)

    assert soon_s <= real.now() < soon_s + 30
