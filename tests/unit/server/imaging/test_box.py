"""The subject's box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from alphacut_server.imaging.box import PixelBox, subject_box


def brute_force(alpha: NDArray[np.uint8]) -> PixelBox | None:
    """Find the box pixel by pixel."""
    ys, xs = np.nonzero(alpha)
    if not len(ys):
        return None
    return PixelBox(int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1)


@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 70)), elements=st.just(0)),
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 69), st.integers(1, 255)), max_size=4),
)
def test_box_equals_brute_force(alpha: NDArray[np.uint8], dots: list[tuple[int, int, int]]) -> None:
    """A few dots of any opacity anywhere are boxed tightly; none gives none."""
    for y, x, value in dots:
        alpha[y % alpha.shape[0], x % alpha.shape[1]] = value

    assert subject_box(alpha) == brute_force(alpha)


@pytest.mark.parametrize("value", [1, 255])
def test_full_canvas_is_the_box(value: int) -> None:
    """Alpha of 1 counts as much as 255: a full canvas is boxed whole."""
    assert subject_box(np.full((30, 70), value, np.uint8)) == PixelBox(0, 0, 70, 30)


def test_empty_alpha_has_no_box() -> None:
    """No foreground, no box."""
    assert subject_box(np.zeros((9, 9), np.uint8)) is None


def test_wrong_array_is_a_bug() -> None:
    """Anything but one channel of uint8 is refused as a bug."""
    with pytest.raises(ValueError, match="alpha"):
        subject_box(np.zeros((4, 4, 3), np.uint8))
