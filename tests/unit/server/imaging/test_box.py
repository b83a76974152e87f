"""The subject's box, and the crop around it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from alphacut_server.imaging.box import PixelBox, crop_window, subject_box


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


@pytest.mark.parametrize(
    ("margin", "window"),
    [
        (0.0, PixelBox(30, 20, 40, 10)),
        (0.1, PixelBox(26, 16, 48, 18)),
        (0.5, PixelBox(10, 0, 80, 50)),
        (1.0, PixelBox(0, 0, 100, 60)),
    ],
    ids=["none", "some", "to-an-edge", "all"],
)
def test_a_crop_s_margin_is_a_share_of_the_longer_side_within_the_canvas(
    margin: float, window: PixelBox
) -> None:
    """The same on every side, until the canvas ends."""
    assert crop_window(PixelBox(30, 20, 40, 10), margin, 60, 100) == window


def test_without_a_subject_a_crop_keeps_everything() -> None:
    """There is nothing to cut down to."""
    assert crop_window(None, 0.2, 60, 100) == PixelBox(0, 0, 100, 60)


@given(
    st.tuples(*[st.integers(0, 50)] * 2),
    st.tuples(*[st.integers(1, 50)] * 2),
    st.floats(0, 1),
    st.tuples(*[st.integers(0, 20)] * 2),
)
def test_a_crop_holds_the_box_and_stays_on_the_canvas(
    corner: tuple[int, int], size: tuple[int, int], margin: float, beyond: tuple[int, int]
) -> None:
    """For any box and margin."""
    box = PixelBox(*corner, *size)
    width, height = corner[0] + size[0] + beyond[0], corner[1] + size[1] + beyond[1]

    window = crop_window(box, margin, height, width)

    assert window.overlap(box) == box
    assert window.overlap(PixelBox(0, 0, width, height)) == window


@given(*[st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 12)] * 2)] * 2)
def test_an_overlap_is_what_both_cover(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    """Pixel by pixel, whichever comes first."""
    first, second = PixelBox(*one), PixelBox(*other)
    covered = [np.zeros((30, 30), np.uint8), np.zeros((30, 30), np.uint8)]
    covered[0][first.slices] = covered[1][second.slices] = 255

    assert first.overlap(second) == second.overlap(first) == brute_force(covered[0] & covered[1])


def test_a_box_can_be_counted_from_another_s_corner() -> None:
    """As a part of a crop is."""
    assert PixelBox(10, 20, 3, 4).seen_from(PixelBox(8, 15, 99, 99)) == PixelBox(2, 5, 3, 4)
