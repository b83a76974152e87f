"""The measures agree with another implementation, or with their definitions written out pixel by pixel."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from quality import metrics
from scipy import ndimage  # type: ignore[import-untyped]

from unit.bench.quality_cases import cases

REFERENCE: dict[str, dict[str, float]] = json.loads(
    Path(__file__).with_name("reference_scores.json").read_text(encoding="utf-8")
)
CASES = cases()

U8 = NDArray[np.uint8]
pairs = st.tuples(st.integers(1, 24), st.integers(1, 24)).flatmap(
    lambda shape: st.tuples(arrays(np.uint8, shape), arrays(np.uint8, shape))
)


@pytest.mark.parametrize("name", CASES)
def test_mask_measures_equal_another_implementation(name: str) -> None:
    """MAE, F, E, S and weighted F are what pysodmetrics computes, to nine digits."""
    levels, alpha = CASES[name]
    truth = alpha >= metrics.HALF
    f_curve = metrics.f_curve(levels, truth)

    ours = {
        "mae": metrics.mean_absolute_error(levels, alpha),
        "max_f": f_curve.max(),
        "mean_f": f_curve.mean(),
        "mean_e": metrics.e_measure(levels, truth),
        "s": metrics.s_measure(levels, truth),
        "wf": metrics.weighted_f(levels, truth),
    }

    assert ours == pytest.approx(REFERENCE[name], rel=1e-9, abs=1e-9)


def test_reference_covers_every_case() -> None:
    """The stored scores are those of the pairs as they are made now."""
    assert list(REFERENCE) == list(CASES)


@given(pairs)
def test_matting_measures_equal_their_definitions(pair: tuple[U8, U8]) -> None:
    """SAD and MSE are the plain sums of the papers."""
    levels, alpha = pair
    errors = [(int(p) - int(g)) / 255 for p, g in zip(levels.flat, alpha.flat, strict=True)]

    assert metrics.sum_of_absolute_differences(levels, alpha) == pytest.approx(sum(map(abs, errors)) / 1000)
    assert metrics.mean_squared_error(levels, alpha) == pytest.approx(
        sum(error**2 for error in errors) / len(errors) * 1000
    )


@pytest.mark.parametrize("name", CASES)
def test_gradient_error_equals_its_definition(name: str) -> None:
    """Two-dimensional derivatives of a Gaussian, correlated directly, give the same error."""
    levels, alpha = CASES[name]
    steps = range(-4, 5)
    kernel = np.array(
        [[-x * np.exp(-(x * x + y * y) / (2 * 1.4**2)) for x in steps] for y in steps], dtype=np.float64
    )
    kernel /= np.sqrt((kernel**2).sum())

    def magnitude(image: U8) -> NDArray[np.float64]:
        values = image / 255
        across = ndimage.correlate(values, kernel, mode="nearest")
        down = ndimage.correlate(values, kernel.T, mode="nearest")
        return np.asarray(np.sqrt(across**2 + down**2))

    expected = ((magnitude(levels) - magnitude(alpha)) ** 2).sum() / 1000

    assert metrics.gradient_error(levels, alpha) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_boundary_iou_equals_its_definition(name: str) -> None:
    """The boundary is what lies within 2 % of the diagonal of the outside, counted in king's moves."""
    first, second = (image >= metrics.HALF for image in CASES[name])
    steps = max(1, round(0.02 * np.hypot(*first.shape)))

    def boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        to_outside = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
        return np.asarray(mask & (to_outside <= steps))

    one, other = boundary(first), boundary(second)
    union = np.count_nonzero(one | other)
    expected = np.count_nonzero(one & other) / union if union else 1.0

    assert metrics.boundary_iou(first, second) == pytest.approx(expected)


@given(pairs)
def test_overlap_is_symmetric_and_bounded(pair: tuple[U8, U8]) -> None:
    """IoU and boundary IoU do not care which mask is the true one, and a mask agrees fully with itself."""
    first, second = (image >= metrics.HALF for image in pair)

    for measure in (metrics.intersection_over_union, metrics.boundary_iou):
        assert 0 <= measure(first, second) == measure(second, first) <= 1
        assert measure(first, first) == 1


def test_band_is_measured_by_euclid_from_soft_pixels() -> None:
    """The band around one soft pixel is the disc of 7 px, and only errors within it count."""
    alpha = np.zeros((31, 31), np.uint8)
    alpha[15, 15] = 128
    levels = np.zeros_like(alpha)
    levels[0] = 255
    y, x = np.mgrid[:31, :31]

    band = metrics.edge_band(alpha)

    assert np.array_equal(band, (y - 15) ** 2 + (x - 15) ** 2 <= 49)
    assert metrics.band_error(levels, alpha) == pytest.approx(128 / 255 / band.sum())


def test_hard_masks_have_no_band() -> None:
    """Traces of JPEG in a binary mask are no soft edge: band error and halo say nothing there."""
    alpha = np.array([[0, 5, 250, 255]], np.uint8)
    rgb = np.zeros((1, 4, 3), np.uint8)

    assert metrics.band_error(alpha, alpha) is None
    assert metrics.halo(rgb, alpha, rgb, alpha) is None


def test_halo_is_the_mean_over_white_and_black() -> None:
    """At half opacity a colour 100 levels off shows 50; an alpha too high by a fifth shows on white and black apart."""
    alpha = np.array([[0, 51, 255]], np.uint8)
    true_rgb = np.full((1, 3, 3), 100, np.uint8)
    off_rgb = np.full((1, 3, 3), 200, np.uint8)
    higher = np.array([[0, 102, 255]], np.uint8)

    colour_alone = metrics.halo(off_rgb, alpha, true_rgb, alpha)
    alpha_alone = metrics.halo(true_rgb, higher, true_rgb, alpha)

    assert colour_alone == pytest.approx(0.2 * 100)
    # On black 0.2 · 100 too bright, on white 0.2 · (255 - 100) too dark.
    assert alpha_alone == pytest.approx((0.2 * 100 + 0.2 * 155) / 2)


@given(arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24))))
def test_perfect_alpha_has_no_error(alpha: U8) -> None:
    """The truth itself scores zero on every measure of error."""
    rgb = np.repeat(alpha[..., None], 3, axis=2)

    assert metrics.mean_absolute_error(alpha, alpha) == 0
    assert metrics.sum_of_absolute_differences(alpha, alpha) == 0
    assert metrics.mean_squared_error(alpha, alpha) == 0
    assert metrics.gradient_error(alpha, alpha) == 0
    assert metrics.band_error(alpha, alpha) in (None, 0)
    assert metrics.halo(rgb, alpha, rgb, alpha) in (None, 0)
