"""One photo's scores, their means over groups, and how they are written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quality import metrics

U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scores:
    """Every measure, of one photo or the mean of several; None where no photo says anything."""

    mae: float
    max_f: float
    """Of a group: the maximum of the photos' mean curve."""
    weighted_f: float
    s: float
    e: float
    """The mean over 256 thresholds, neither the maximum nor the adaptive one."""
    iou: float
    boundary_iou: float
    sad: float
    mse: float
    grad: float
    band: float | None
    """Mean alpha error in the edge band, of photos with soft true alpha."""
    halo_at_truth: float | None
    """Halo of the product's colours under the true alpha, levels of 255; of photos with a true foreground."""
    halo: float | None
    """Halo of the whole cut-out, own alpha and own colours."""


@dataclass(frozen=True, slots=True)
class PhotoScores:
    """One photo's scores and what grouping needs."""

    name: str
    groups: tuple[str, ...]
    scores: Scores
    f_curve: metrics.F64


@dataclass(frozen=True, slots=True)
class TrueForeground:
    """A composite's subject: true straight colours, known where its alpha is above 0."""

    rgb: U8
    """(H, W, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is scored: one photo's result."""

    rgb: U8
    """(H, W, 3) uint8: the cut-out's straight colours."""
    levels: U8
    """(H, W) uint8: its alpha."""
    rgb_at_truth: U8 | None
    """(H, W, 3) uint8: the colours the product finds when it is given the true alpha; None where it was not asked."""


COLUMNS: Mapping[str, tuple[str, int]] = {
    "mae": ("MAE", 4),
    "max_f": ("max F", 4),
    "weighted_f": ("wF", 4),
    "s": ("S", 4),
    "e": ("E", 4),
    "iou": ("IoU", 4),
    "boundary_iou": ("BIoU", 4),
    "sad": ("SAD", 2),
    "mse": ("MSE", 2),
    "grad": ("Grad", 2),
    "band": ("band", 4),
    "halo_at_truth": ("halo at truth", 2),
    "halo": ("halo", 2),
}
"""Heading and decimals of every field of Scores."""


def score(
    name: str, groups: tuple[str, ...], judged: Judged, alpha: U8, true: TrueForeground | None
) -> PhotoScores:
    """Compute every measure of one photo. alpha: the true one, (H, W) uint8; half a second a megapixel."""
    levels = judged.levels
    truth = alpha >= metrics.HALF
    chosen = levels >= metrics.HALF
    f_curve = metrics.f_curve(levels, truth)
    halo = halo_at_truth = None
    if true is not None:
        halo = metrics.halo(judged.rgb, levels, true.rgb, alpha)
        if judged.rgb_at_truth is not None:
            halo_at_truth = metrics.halo(judged.rgb_at_truth, alpha, true.rgb, alpha)
    scores = Scores(
        mae=metrics.mean_absolute_error(levels, alpha),
        max_f=float(f_curve.max()),
        weighted_f=metrics.weighted_f(levels, truth),
        s=metrics.s_measure(levels, truth),
        e=metrics.e_measure(levels, truth),
        iou=metrics.intersection_over_union(chosen, truth),
        boundary_iou=metrics.boundary_iou(chosen, truth),
        sad=metrics.sum_of_absolute_differences(levels, alpha),
        mse=metrics.mean_squared_error(levels, alpha),
        grad=metrics.gradient_error(levels, alpha),
        band=metrics.band_error(levels, alpha),
        halo_at_truth=halo_at_truth,
        halo=halo,
    )
    return PhotoScores(name, groups, scores, f_curve)


def mean_of(photos: Sequence[PhotoScores]) -> Scores:
    """Return the means over photos, each counted once whatever its size; max F of the mean curve."""
    means: dict[str, float | None] = {}
    for field in fields(Scores):
        values = [getattr(photo.scores, field.name) for photo in photos]
        known = [value for value in values if value is not None]
        means[field.name] = float(np.mean(known)) if known else None
    means["max_f"] = float(np.mean([photo.f_curve for photo in photos], axis=0).max())
    return Scores(**means)  # type: ignore[arg-type]  # only the last three can be None, and they may be


def group_by(photos: Sequence[PhotoScores]) -> dict[str, list[PhotoScores]]:
    """Return the photos of every group, by name; a photo may be in several."""
    names = sorted({group for photo in photos for group in photo.groups})
    return {name: [photo for photo in photos if name in photo.groups] for name in names}


def markdown_table(label: str, photos: Sequence[PhotoScores]) -> str:
    """Return a table: a row for all photos, then one a group."""
    lines = [_heading(label), _row("all", photos)]
    lines += [_row(name, members) for name, members in group_by(photos).items()]
    return "\n".join(lines)


def ratio_table(label: str, photos: Sequence[PhotoScores], earlier: Mapping[str, Any]) -> str:
    """Return a table of ratios to what `as_json` gave for the same photos earlier.

    Raises ValueError when the photos differ: means over different photos do not compare.
    """
    now = as_json(label, photos)
    if set(now["by_photo"]) != set(earlier["by_photo"]):
        raise ValueError("the earlier scores are of other photos")
    lines = [_heading(f"{label} / {earlier['label']}")]
    both = {"all": (now["all"], earlier["all"])}
    both |= {
        name: (row, earlier["groups"][name])
        for name, row in now["groups"].items()
        if name in earlier["groups"]
    }
    for name, (above, below) in both.items():
        count = len(photos) if name == "all" else above["photos"]
        cells = [_ratio(above[field], below[field]) for field in COLUMNS]
        lines.append(f"| {name} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_json(label: str, photos: Sequence[PhotoScores]) -> dict[str, Any]:
    """Return everything measured as plain data: all, by group, by photo."""
    return {
        "label": label,
        "photos": len(photos),
        "all": _plain(mean_of(photos)),
        "groups": {
            name: {"photos": len(members), **_plain(mean_of(members))}
            for name, members in group_by(photos).items()
        },
        "by_photo": {photo.name: {"groups": photo.groups, **_plain(photo.scores)} for photo in photos},
    }


def _heading(label: str) -> str:
    headings = " | ".join(heading for heading, _ in COLUMNS.values())
    return f"| {label} | photos | {headings} |\n|---|" + "---:|" * (len(COLUMNS) + 1)


def _ratio(above: float | None, below: float | None) -> str:
    return "–" if above is None or not below else f"{above / below:.3f}"


def _row(name: str, photos: Sequence[PhotoScores]) -> str:
    cells = [written(field, value) for field, value in _plain(mean_of(photos)).items()]
    return f"| {name} | {len(photos)} | " + " | ".join(cells) + " |"


def written(field: str, value: float | None) -> str:
    """Return a value with its field's decimals."""
    return "–" if value is None else f"{value:.{COLUMNS[field][1]}f}"


def _plain(scores: Scores) -> dict[str, float | None]:
    return {field.name: getattr(scores, field.name) for field in fields(scores)}
