"""Published measures of masks and mattes: pure functions on arrays, in double precision.

Three kinds of arrays: `levels`, the predicted alpha, (H, W) uint8; `alpha`, the true one, (H, W) uint8; `truth`, the
true alpha at one half, `alpha >= 128`, (H, W) bool. Measures made for masks (F, weighted F, S, E, IoU) take `truth`,
those made for mattes take `alpha`. Nothing is rescaled to an image's own range. `p` and `g` below are the predicted and
the true value of a pixel in [0, 1].
"""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt  # type: ignore[import-untyped]

F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.bool_]

HALF = 128
"""The level from which a pixel counts as subject: one half, rounded up."""

BAND_PX = 7
"""How far the band reaches from the true alpha's soft pixels."""

SOFT_LOW, SOFT_HIGH = 5, 250
"""A true alpha strictly between the two is soft; JPEG traces in binary masks stay outside."""

_EPS = float(np.finfo(np.float64).eps)
_BETA_SQUARED = 0.3
"""Precision counts more than recall: Achanta et al. 2009, and every salient-object benchmark since."""
_SIGMA = 1.4
"""Of the gradient error's Gaussian derivatives: Rhemann et al. 2009."""
_BOUNDARY_SHARE = 0.02
"""Width of the boundary, a share of the diagonal: Cheng et al. 2021."""


def mean_absolute_error(levels: U8, alpha: U8) -> float:
    """Return the mean of |p - g| over the picture (Perazzi et al., CVPR 2012)."""
    return float(np.abs(_difference(levels, alpha)).mean())


def sum_of_absolute_differences(levels: U8, alpha: U8) -> float:
    """Return the sum of |p - g| in thousands (Rhemann et al., CVPR 2009); it grows with the picture."""
    return float(np.abs(_difference(levels, alpha)).sum() / 1000)


def mean_squared_error(levels: U8, alpha: U8) -> float:
    """Return the mean of (p - g)², in thousandths (Rhemann et al., CVPR 2009)."""
    return float((_difference(levels, alpha) ** 2).mean() * 1000)


def f_curve(levels: U8, truth: Mask) -> F64:
    """Return F = (1 + β²) P R / (β² P + R), β² = 0.3, of `levels >= t` for t = 0 … 255 (Achanta et al., CVPR 2009).

    The score of a set, max F, is the maximum of its mean curve. (256,) float64; zero where precision and recall are.
    """
    hits, wrong = _counts_at_thresholds(levels, truth)
    precision = hits / np.maximum(hits + wrong, 1)
    recall = hits / max(1, int(truth.sum()))
    weighted = _BETA_SQUARED * precision + recall
    return np.asarray(
        (1 + _BETA_SQUARED) * precision * recall / np.where(weighted == 0, 1, weighted), np.float64
    )


def weighted_f(levels: U8, truth: Mask) -> float:
    """Return the weighted F-measure with β = 1 (Margolin et al., CVPR 2014).

    An error E inside the subject counts as the smaller of itself and its neighbourhood's mean (Gaussian, 7 px, σ 5),
    in which a pixel outside stands with the error of the nearest pixel inside; one outside counts 2 - exp(ln(½)/5 · d)
    times, d being its distance to the subject. Zero for an empty truth.
    """
    if not truth.any():
        return 0.0
    error = np.abs(levels / 255 - truth)
    distance, (rows, columns) = distance_transform_edt(~truth, return_indices=True)
    kernel = cv2.getGaussianKernel(7, 5)
    spread = error[rows, columns]
    around = cv2.sepFilter2D(spread, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    dependent = np.where(truth, np.minimum(error, around), error)
    weighted = dependent * np.where(truth, 1.0, 2 - np.exp(np.log(0.5) / 5 * distance))
    inside, outside = weighted[truth], weighted[~truth]
    true_positives = truth.sum() - inside.sum()
    precision = true_positives / (true_positives + outside.sum() + _EPS)
    recall = 1 - inside.mean()
    return float(2 * recall * precision / (recall + precision + _EPS))


def s_measure(levels: U8, truth: Mask) -> float:
    """Return the structure measure ½ So + ½ Sr (Fan et al., ICCV 2017).

    So compares mean and spread within subject and background, Sr the structure of the four quarters around the
    subject's centre of mass, weighted by area. For an empty or full truth, the mean of 1 - p or of p.
    """
    p = levels / 255
    share = float(truth.mean())
    if share in (0, 1):
        return float(p.mean() if share else 1 - p.mean())
    by_object = share * _object_score(p[truth]) + (1 - share) * _object_score(1 - p[~truth])
    # As the paper's own program does: the centre's row and column belong to the upper left quarter.
    row, column = (int(np.round(places.mean())) + 1 for places in np.nonzero(truth))
    g = truth.astype(np.float64)
    by_region = 0.0
    for down in (slice(0, row), slice(row, None)):
        for across in (slice(0, column), slice(column, None)):
            quarter = g[down, across]
            by_region += quarter.size / g.size * _structural_similarity(p[down, across], quarter)
    return max(0.0, 0.5 * by_object + 0.5 * by_region)


def e_measure(levels: U8, truth: Mask) -> float:
    """Return the enhanced-alignment measure (Fan et al., IJCAI 2018), the mean over the thresholds 0 … 255.

    With x and y the binarised prediction and the truth less their means, a pixel scores ((2xy / (x² + y²)) + 1)² / 4.
    Only four different pixels exist, so that a threshold costs a few operations.
    """
    n, positives = truth.size, int(truth.sum())
    hits, wrong = _counts_at_thresholds(levels, truth)
    chosen = hits + wrong
    if positives == 0:
        total = n - chosen
    elif positives == n:
        total = chosen
    else:
        total = np.zeros(256)
        kinds = ((hits, 1, 1), (wrong, 1, 0), (positives - hits, 0, 1), (n - positives - wrong, 0, 0))
        for count, predicted, true in kinds:
            x, y = predicted - chosen / n, true - positives / n
            total = total + (2 * x * y / (x * x + y * y + _EPS) + 1) ** 2 / 4 * count
    # The paper's own program divides by one pixel less, so that a perfect mask scores a trace above 1.
    return float((total / (n - 1 + _EPS)).mean())


def intersection_over_union(first: Mask, second: Mask) -> float:
    """Return the common part's share of both masks together; 1 for two empty ones."""
    union = int((first | second).sum())
    return float((first & second).sum() / union) if union else 1.0


def boundary_iou(first: Mask, second: Mask) -> float:
    """Return the IoU of what lies inside each mask within 2 % of the diagonal of its edge (Cheng et al., CVPR 2021).

    Distance is counted in steps to any of the eight neighbours; the picture's rim is an edge.
    """
    return intersection_over_union(_boundary(first), _boundary(second))


def gradient_error(levels: U8, alpha: U8) -> float:
    """Return the sum of (|∇p| - |∇g|)² in thousands (Rhemann et al., CVPR 2009).

    ∇ is by Gaussian derivatives of σ = 1.4, cut off where the Gaussian falls below a hundredth of its height and scaled
    to a square sum of 1; the picture's rim is repeated outwards.
    """
    return float(((_gradient(levels / 255) - _gradient(alpha / 255)) ** 2).sum() / 1000)


def edge_band(alpha: U8) -> Mask:
    """Return where the nearest soft pixel of the true alpha is at most 7 px away: (H, W) bool, empty for hard masks."""
    soft = (alpha > SOFT_LOW) & (alpha < SOFT_HIGH)
    if not soft.any():
        return soft
    return np.asarray(distance_transform_edt(~soft) <= BAND_PX, np.bool_)


def band_error(levels: U8, alpha: U8) -> float | None:
    """Return the mean of |p - g| in the edge band; None when the true alpha has no soft pixel. Our own measure."""
    band = edge_band(alpha)
    return float(np.abs(_difference(levels, alpha))[band].mean()) if band.any() else None


def halo(rgb: U8, levels: U8, true_rgb: U8, alpha: U8) -> float | None:
    """Return how far a cut-out's composites on white and on black are from the true ones, in levels of 255.

    rgb, true_rgb: (H, W, 3) uint8 straight colours; levels, alpha: their opacities. The mean absolute difference over
    both composites, the channels, and the pixels whose true alpha lies strictly between 5 and 250; None without such
    pixels. Our own measure. With `levels` the true alpha it judges the colours alone.
    """
    soft = (alpha > SOFT_LOW) & (alpha < SOFT_HIGH)
    if not soft.any():
        return None
    p, g = levels[soft, None] / 255, alpha[soft, None] / 255
    on_black = p * rgb[soft] - g * true_rgb[soft]
    on_white = on_black + 255 * (g - p)
    return float((np.abs(on_black).mean() + np.abs(on_white).mean()) / 2)


def _difference(levels: U8, alpha: U8) -> F64:
    return (levels.astype(np.float64) - alpha) / 255


def _counts_at_thresholds(levels: U8, truth: Mask) -> tuple[F64, F64]:
    """Count the subject's pixels at or above each level, and the background's: two (256,) float64."""

    def at_least(values: U8) -> F64:
        return np.bincount(values, minlength=256)[::-1].cumsum()[::-1].astype(np.float64)

    return at_least(levels[truth]), at_least(levels[~truth])


def _object_score(values: F64) -> float:
    mean = values.mean()
    spread = values.std(ddof=1) if values.size > 1 else 0.0
    return float(2 * mean / (mean * mean + 1 + spread + _EPS))


def _structural_similarity(p: F64, g: F64) -> float:
    """Return 4 x̄ ȳ σxy / ((x̄² + ȳ²)(σx² + σy²)) over one block; 1 when both are flat, which compares nothing."""
    if p.size < 2:
        return 1.0
    x, y = float(p.mean()), float(g.mean())
    covariance = float(((p - x) * (g - y)).sum() / (p.size - 1))
    above = 4 * x * y * covariance
    below = (x * x + y * y) * float(p.var(ddof=1) + g.var(ddof=1))
    if above != 0:
        return above / (below + _EPS)
    return 1.0 if below == 0 else 0.0


def _boundary(mask: Mask) -> Mask:
    steps = max(1, round(_BOUNDARY_SHARE * float(np.hypot(*mask.shape))))
    framed = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    core = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=steps)[1:-1, 1:-1]
    return np.asarray(mask & (core == 0), np.bool_)


def _gradient(values: F64) -> F64:
    reach = int(np.ceil(_SIGMA * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * _SIGMA * 0.01))))
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    bell = np.exp(-(x**2) / (2 * _SIGMA**2)) / (_SIGMA * np.sqrt(2 * np.pi))
    slope = -x * bell / _SIGMA**2
    slope = slope / np.sqrt((np.outer(bell, slope) ** 2).sum())
    across = cv2.sepFilter2D(values, -1, slope, bell, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(values, -1, bell, slope, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(across, down)
