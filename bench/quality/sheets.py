"""Contact sheets: pages of photos with their cut-outs, for a person to look at.

A photo takes two rows: the whole, and a part where the edge is softest, every pixel of it enlarged. The columns are the
photo, the alpha, the true alpha, the cut-out on white, on black and on magenta, and with its shadow on white.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from quality.product import Cut
from quality.scores import COLUMNS, PhotoScores, written

U8 = NDArray[np.uint8]

PHOTOS_A_PAGE = 3
_TILE_PX = 216
_WHOLE_HEIGHT_PX = 180
_GAP_PX = 4
_LABEL_PX = 24
_PAPER = 90
"""Grey that no tile's own background has."""
_PART_SHARE = 6
"""The enlarged part's side is this share of the photo's longer one."""
_LEAST_PART_PX = 64
_WHITE, _BLACK, _MAGENTA = (255, 255, 255), (0, 0, 0), (255, 0, 255)
_SHOWN = ("boundary_iou", "mae", "weighted_f", "sad", "band", "halo")


@dataclass(frozen=True, slots=True)
class Strip:
    """One photo's two rows, as PNG: a thousand photos fit into memory."""

    badness: float
    png: bytes


def draw_strip(cut: Cut, alpha: U8, photo: PhotoScores) -> Strip:
    """Draw one photo's rows. alpha: the true one. The worse its boundary IoU, the further to the front it belongs."""
    panels = (
        cut.photo,
        _grey(cut.alpha),
        _grey(alpha),
        *(_over(cut.cutout, colour) for colour in (_WHITE, _BLACK, _MAGENTA)),
        _over(cut.with_shadow, _WHITE),
    )
    part = busiest_part(cut.alpha, alpha)
    rows = [
        _label(photo, len(panels)),
        _beside([_fitted(panel, _WHOLE_HEIGHT_PX) for panel in panels]),
        _beside([_fitted(panel[part], _TILE_PX) for panel in panels]),
    ]
    encoded = cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))[1]
    return Strip(1 - photo.scores.boundary_iou, encoded.tobytes())


def write_pages(strips: Sequence[Strip], folder: Path) -> list[Path]:
    """Write the pages, the worst photos on the first; pages of an earlier run are removed. Returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("page-*.png"):
        old.unlink()
    ordered = sorted(strips, key=lambda strip: strip.badness, reverse=True)
    pages = []
    for start in range(0, len(ordered), PHOTOS_A_PAGE):
        encoded = (np.frombuffer(strip.png, np.uint8) for strip in ordered[start : start + PHOTOS_A_PAGE])
        page = np.vstack([np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)) for data in encoded])
        pages.append(folder / f"page-{start // PHOTOS_A_PAGE + 1:03}.png")
        cv2.imwrite(str(pages[-1]), page)
    return pages


def busiest_part(levels: U8, alpha: U8) -> tuple[slice, slice]:
    """Return the square in which the two alphas together are softest; the same shape, (H, W) uint8, for both."""
    height, width = alpha.shape
    side = min(height, width, max(_LEAST_PART_PX, max(height, width) // _PART_SHARE))
    softness = np.maximum(*(127 - np.abs(image.astype(np.float32) - 127.5) for image in (levels, alpha)))
    # Sums over every square that lies inside, by their upper left corners.
    summed = np.asarray(cv2.integral(softness), np.float64)
    sums = summed[side:, side:] - summed[:-side, side:] - summed[side:, :-side] + summed[:-side, :-side]
    top, left = (int(place) for place in np.unravel_index(int(sums.argmax()), sums.shape))
    return slice(top, top + side), slice(left, left + side)


def _over(cutout: U8, colour: tuple[int, int, int]) -> U8:
    """Lay a straight cut-out over one colour."""
    opacity = cutout[..., 3:].astype(np.float32) / 255
    mixed = cutout[..., :3] * opacity + np.array(colour, np.float32) * (1 - opacity)
    return np.asarray(np.rint(mixed), np.uint8)


def _grey(levels: U8) -> U8:
    return np.asarray(cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB), np.uint8)


def _fitted(panel: U8, height_px: int) -> U8:
    """Fit a panel into its tile on the paper's grey; enlarged pixels stay squares, to be judged as they are."""
    height, width = panel.shape[:2]
    scale = min(_TILE_PX / width, height_px / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    tile = np.full((height_px + _GAP_PX, _TILE_PX + _GAP_PX, 3), _PAPER, np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(panel, size, interpolation=method)
    return tile


def _beside(tiles: Sequence[U8]) -> U8:
    return np.hstack(tiles)


def _label(photo: PhotoScores, columns: int) -> U8:
    label = np.full((_LABEL_PX, columns * (_TILE_PX + _GAP_PX), 3), 30, np.uint8)
    shown = ((COLUMNS[field][0], written(field, getattr(photo.scores, field))) for field in _SHOWN)
    scores = "  ".join(f"{heading} {value}" for heading, value in shown)
    # OpenCV's font knows ASCII alone.
    text = f"{photo.name}   {scores}   {' '.join(photo.groups)}".replace("–", "-")
    cv2.putText(label, text, (6, _LABEL_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _WHITE, 1, cv2.LINE_AA)
    return label
