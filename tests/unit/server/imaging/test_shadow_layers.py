"""The parts of a shadow, one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphacut_server.imaging.ground import F32, Ground, find_ground
from alphacut_server.imaging.shadow_layers import (
    blurred,
    cast_layer,
    contact_layer,
    drop_layer,
    float_layer,
    pool_layer,
)
from alphacut_server.imaging.shadow_options import Throw


def standing(top: int = 60, bottom: int = 160) -> tuple[F32, Ground]:
    """Make a block of 60 columns that ends above row `bottom`, and its ground."""
    opacity = np.zeros((240, 320), np.float32)
    opacity[top:bottom, 130:190] = 1
    ground = find_ground(opacity, 239)
    assert ground is not None
    return opacity, ground


def test_contact_is_darkest_where_the_subject_touches() -> None:
    """Under a board on two legs the foot of a leg is darker than what lies between, and the board's side is clear."""
    opacity = np.zeros((240, 320), np.float32)
    opacity[60:120, 80:240] = 1
    opacity[60:160, 84:100] = opacity[60:160, 220:236] = 1
    ground = find_ground(opacity, 239)
    assert ground is not None

    layer = contact_layer(opacity, ground, 0.5)

    assert layer[160, 92] > 0.5
    assert layer[160, 92] > 4 * layer[160, 160]
    assert not layer[:60].any()


def test_pool_lies_flat_around_the_foot() -> None:
    """Wider than high, centred below the block."""
    opacity, ground = standing()

    layer = pool_layer(opacity, ground, 0.5)

    rows, columns = np.nonzero(layer > 0.1)
    assert np.ptp(columns) > 2 * np.ptp(rows)
    assert abs(columns.mean() - 159.5) < 1
    assert abs(rows.mean() - 155) < 8


def test_cast_goes_where_the_light_throws_it() -> None:
    """The block's top lands `across` and `up` of its height from the foot; farther out it is paler."""
    opacity, ground = standing()

    layer = cast_layer(opacity, ground, Throw(1.0, 0.3), 0.0)

    # 90 of 100 px of height above the floor's line at row 159, in the middle of the block's columns.
    assert layer[159 - 27, 160 + 90] > 0.15
    assert layer[159 - 9, 160 + 30] > layer[159 - 27, 160 + 90]
    assert layer[165:].max() < 0.2
    assert not layer[:100].any()


def test_cast_in_front_lies_below_the_line() -> None:
    """A light from behind throws towards the viewer."""
    opacity, ground = standing()

    layer = cast_layer(opacity, ground, Throw(0.0, -0.4), 0.5)

    assert layer[175, 160] > 0.4
    assert layer[:140].max() < 0.05


def test_drop_is_a_copy_that_moves_along_the_light() -> None:
    """Its centre of mass shifts by the throw."""
    opacity, ground = standing()

    layer = drop_layer(opacity, ground, Throw(1.0, -2.0), 0.5)

    rows, columns = np.indices(layer.shape)
    reach = 0.024 * ground.diagonal
    assert (layer * columns).sum() / layer.sum() == pytest.approx(159.5 + reach, abs=0.5)
    assert (layer * rows).sum() / layer.sum() == pytest.approx(109.5 + 2 * reach, abs=0.5)


def test_float_leaves_a_gap_unless_there_is_no_room() -> None:
    """The ellipse's upper rim is below the subject; near the lower edge it moves up to it."""
    opacity, ground = standing()
    low, low_ground = standing(130, 232)

    layer = float_layer(opacity, ground, 0.0, 239)
    squeezed = float_layer(low, low_ground, 0.0, 239)

    assert not layer[:163].any()
    assert layer[160:180].max() == 1
    assert squeezed[232:].max() == 1


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.floats(0.3, 40),
    st.floats(0.3, 40),
    st.integers(0, 9),
)
def test_a_blur_keeps_its_range(size: tuple[int, int], across: float, down: float, seed: int) -> None:
    """Any frame and sigmas: the frame's size, no value outside what was there or 0."""
    layer = np.random.default_rng(seed).random(size, np.float32)

    soft = blurred(layer, across, down)

    assert soft.shape == layer.shape
    assert soft.min() >= 0
    assert soft.max() <= layer.max() + 1e-5


def test_a_wide_blur_is_that_of_the_whole_frame() -> None:
    """The reduced copy shows within a fiftieth."""
    opacity, _ = standing()

    assert np.abs(blurred(opacity, 9.0, 9.0) - _direct(opacity, 9.0)).max() < 0.02


def _direct(layer: F32, sigma: float) -> F32:
    """Blur by multiplying with the Gaussian's matrix from either side."""
    rows, columns = (np.arange(size, dtype=np.float64) for size in layer.shape)
    matrices = []
    for places in (rows, columns):
        weights = np.exp(-((places[:, None] - places) ** 2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
        matrices.append(weights)
    return np.asarray(matrices[0] @ layer @ matrices[1], np.float32)
