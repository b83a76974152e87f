"""Where the subject stands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphacut_server.imaging.ground import F32, Ground, find_ground, solid_part, standing_pieces


def empty(height: int = 120, width: int = 160) -> F32:
    """Make an opacity without a subject."""
    return np.zeros((height, width), np.float32)


def table(left_foot: int = 100, right_foot: int = 100) -> F32:
    """Make a board on two legs that end in these rows."""
    opacity = empty()
    opacity[40:50, 30:130] = 1
    opacity[40:left_foot, 34:40] = 1
    opacity[40:right_foot, 120:126] = 1
    return opacity


def found(opacity: F32, last_row: float = 119) -> Ground:
    """Return the ground of something that is there."""
    ground = find_ground(opacity, last_row)
    assert ground is not None
    return ground


def test_nothing_stands_nowhere() -> None:
    """No subject, no ground."""
    assert find_ground(empty(), 119) is None


def test_a_floor_is_level_under_level_feet() -> None:
    """It passes through the last rows of both legs, not through the board."""
    ground = found(table())

    assert ground.slope == pytest.approx(0, abs=1e-6)
    assert ground.line(160) == pytest.approx(np.full(160, 99), abs=0.5)
    assert not ground.is_cut_off
    assert (ground.left, ground.top, ground.width, ground.height) == (30, 40, 100, 60)


def test_a_floor_tilts_with_feet_far_apart() -> None:
    """Within its bounds, towards the nearer foot."""
    ground = found(table(92, 104))

    assert 0.08 < ground.slope < 0.18
    assert ground.line(160)[36] == pytest.approx(91, abs=4)
    assert ground.line(160)[122] == pytest.approx(103, abs=4)


def test_feet_close_together_tell_no_tilt() -> None:
    """A raised foot beside the standing one leaves the floor level, and near the standing one."""
    opacity = empty()
    opacity[20:60, 30:130] = 1
    opacity[60:110, 74:78] = 1
    opacity[60:100, 84:88] = 1

    ground = found(opacity)

    assert abs(ground.slope) < 0.05
    assert 104 < ground.line(160)[76] <= 110


@pytest.mark.parametrize(
    ("share", "is_cut_off"), [(0.1, False), (0.2, False), (0.3, True), (1.0, True)], ids=str
)
def test_what_runs_along_the_last_row_is_cut_off(share: float, is_cut_off: bool) -> None:
    """Two shoes there are not, a torso is."""
    opacity = empty()
    opacity[30:100, 30:130] = 1
    opacity[100:, 30 : 30 + round(100 * share)] = 1

    assert found(opacity).is_cut_off is is_cut_off


def test_what_ends_above_the_last_row_is_not_cut_off() -> None:
    """The canvas may end below the frame's last row."""
    opacity = empty()
    opacity[30:, 30:130] = 1

    assert found(opacity, 119).is_cut_off
    assert not found(opacity, 130).is_cut_off


def test_specks_go_and_soft_edges_stay() -> None:
    """A piece under a fiftieth of the largest is dirt, whatever its opacity."""
    opacity = empty()
    opacity[40:100, 40:100] = 1
    opacity[100:102, 40:100] = 0.3
    opacity[5:8, 5:8] = 1

    solid = solid_part(opacity)

    assert not solid[:20, :20].any()
    opacity[5:8, 5:8] = 0
    assert np.array_equal(solid, opacity)


def test_a_pane_of_glass_stands_like_a_board() -> None:
    """What is solid is told by the highest opacity there is."""
    assert found(table() * np.float32(0.2)).line(160) == pytest.approx(found(table()).line(160))


def test_things_side_by_side_stand_for_themselves() -> None:
    """Together they are the whole, apart each has its own columns."""
    opacity = empty()
    opacity[30:90, 20:60] = 1
    opacity[40:105, 90:140] = 0.8
    opacity[95:100, 62:66] = 1

    left, right = sorted(standing_pieces(opacity), key=lambda piece: int(piece.any(axis=0).argmax()))

    assert np.array_equal(left + right, opacity)
    assert not left[:, 70:].any()
    assert not right[:, :70].any()


@pytest.mark.parametrize(
    "second",
    [np.s_[5:20, 30:60], np.s_[5:20, 100:140], np.s_[95:110, 30:60], np.s_[80:84, 100:104]],
    ids=["above", "hovering beside", "below", "small"],
)
def test_what_does_not_stand_beside_the_rest_belongs_to_it(second: tuple[slice, slice]) -> None:
    """One floor for all."""
    opacity = empty()
    opacity[30:90, 20:70] = 1
    opacity[second] = 1

    assert [piece is opacity for piece in standing_pieces(opacity)] == [True]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 39)] * 4), min_size=1, max_size=5), st.sampled_from([0.01, 0.5, 1.0])
)
def test_ground_is_finite_and_under_the_outline(boxes: list[tuple[int, int, int, int]], value: float) -> None:
    """Any heap of boxes: the hull never passes above the outline, the tilt keeps its bound, nothing is NaN."""
    opacity = empty(40, 40)
    for top, bottom, left, right in boxes:
        opacity[min(top, bottom) : max(top, bottom) + 1, min(left, right) : max(left, right) + 1] = value

    ground = found(opacity, 39)

    assert (ground.hull >= ground.bottom).all()
    assert abs(ground.slope) <= 0.25
    assert np.isfinite(ground.line(40)).all()
