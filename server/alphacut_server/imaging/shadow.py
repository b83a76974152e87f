"""A plain, soft contact shadow: the subject squashed flat onto the line of its feet, blurred twice and laid under it.

It needs no knowledge of light or floor, so it is faint and stays close to the subject. What it cannot do: a subject
that floats or leans on a wall gets a shadow on the ground, and one that is cut off by the lower edge has next to no
room for any.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from alphacut_server.imaging.arrays import U8Alpha, U8Cutout, U8Image
from alphacut_server.imaging.box import PixelBox, subject_box
from alphacut_server.imaging.compose import BAND_ROWS, check_matching, compose_cutout

# The layer is soft, so it is made small; 448 px keep the tight blur above one pixel (prototype measurements).
_WORK_SIDE_PX = 448
# Height of the squashed subject over its real height: how flat the floor is seen.
_SQUASH = 0.10
# What stands higher than about a sixth of the subject darkens the floor little.
_LIFT_FALLOFF = 6.0
# Blurs in diagonals of the box, (horizontal, vertical): a wide pool and the dark line of contact, and their strengths.
_POOL_SIGMA, _POOL_STRENGTH = (0.045, 0.016), 0.45
_CONTACT_SIGMA, _CONTACT_STRENGTH = (0.014, 0.005), 0.50
# Gaussians are cut off here, which bounds where shadow can fall.
_REACH_SIGMAS = 3.0
# The weight averages to well below one even in the lowest rows; this brings a column that is solid there back to full.
_GAIN = 2.0
# How far the squashed subject reaches in front of the foot line, in its own heights: the part of it that shows.
_FRONT = 0.35


def compose_shadow(rgb: U8Image, alpha: U8Alpha) -> U8Cutout:
    """Cut the subject out and lay a soft black contact shadow under it.

    rgb: (H, W, 3) uint8; alpha: (H, W) uint8; neither modified. Returns (H, W, 4) uint8 RGBA of the same size,
    straight alpha, RGB zero where alpha is 0. Pixels of alpha 255 are the input's; alpha never falls; without a
    subject there is no shadow. Deterministic. Float32 for the part around the feet only: 4 bytes
    a pixel there. 7 ms at 1024x768.
    """
    check_matching(rgb, alpha)
    cutout = compose_cutout(rgb, alpha)
    box = subject_box(alpha)
    if box is None:
        return cutout
    ground = _ground_region(box, alpha.shape)
    layer = _shadow_layer(alpha, box, ground)
    y, x = slice(ground.y, ground.y + ground.height), slice(ground.x, ground.x + ground.width)
    _lay_under(cutout[y, x], layer)
    return cutout


def _ground_region(box: PixelBox, shape: tuple[int, ...]) -> PixelBox:
    """Bound where shadow can fall: the squashed subject and the reach of the wide blur, within the canvas."""
    diagonal = float(np.hypot(box.width, box.height))
    side = int(np.ceil(_REACH_SIGMAS * _POOL_SIGMA[0] * diagonal)) + 2
    rise = int(np.ceil(_SQUASH * box.height + _REACH_SIGMAS * _POOL_SIGMA[1] * diagonal)) + 2
    foot = box.y + box.height
    left, right = max(0, box.x - side), min(shape[1], box.x + box.width + side)
    top, bottom = max(0, foot - rise), min(shape[0], foot + rise)
    return PixelBox(left, top, right - left, bottom - top)


def _shadow_layer(alpha: U8Alpha, box: PixelBox, ground: PixelBox) -> NDArray[np.float32]:
    """Make the shadow's opacity over the ground region: (ground.height, ground.width) float32 in [0, 1]."""
    scale = min(1.0, _WORK_SIDE_PX / max(box.width, box.height))
    subject = alpha[box.y : box.y + box.height, box.x : box.x + box.width]
    width, flat_height = max(1, round(box.width * scale)), max(1, round(box.height * _SQUASH * scale))
    flat = _squash(subject, width, max(flat_height, round(box.height * scale)), flat_height)

    diagonal = float(np.hypot(box.width, box.height)) * scale
    offset_y = (box.y + box.height - ground.y) * scale - flat_height * (1 - _FRONT)
    offset_x = (box.x - ground.x) * scale
    size = max(1, round(ground.width * scale)), max(1, round(ground.height * scale))
    shift = np.array([[1, 0, offset_x], [0, 1, offset_y]], np.float32)
    placed = np.asarray(cv2.warpAffine(flat, shift, size, flags=cv2.INTER_LINEAR), np.float32)

    pool = _blurred(placed, _POOL_SIGMA, diagonal)
    contact = _blurred(placed, _CONTACT_SIGMA, diagonal)
    layer = 1 - (1 - _POOL_STRENGTH * pool) * (1 - _CONTACT_STRENGTH * contact)
    return np.asarray(
        cv2.resize(layer, (ground.width, ground.height), interpolation=cv2.INTER_LINEAR), np.float32
    )


def _squash(subject: U8Alpha, width: int, height: int, flat_height: int) -> NDArray[np.float32]:
    """Weigh the subject by nearness to the ground and average it flat: (flat_height, width) float32 in [0, 1]."""
    small = cv2.resize(subject, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    lift = (np.arange(height, 0, -1, dtype=np.float32) - 0.5) / height
    small *= (np.exp(-_LIFT_FALLOFF * lift) * (_GAIN / 255))[:, None]
    return np.asarray(
        np.minimum(cv2.resize(small, (width, flat_height), interpolation=cv2.INTER_AREA), 1), np.float32
    )


def _blurred(layer: NDArray[np.float32], sigma: tuple[float, float], diagonal: float) -> NDArray[np.float32]:
    """Blur by (horizontal, vertical) sigmas in diagonals; nothing flows in from outside the region."""
    across, down = max(sigma[0] * diagonal, 0.3), max(sigma[1] * diagonal, 0.3)
    return np.asarray(
        cv2.GaussianBlur(layer, (0, 0), sigmaX=across, sigmaY=down, borderType=cv2.BORDER_CONSTANT),
        np.float32,
    )


def _lay_under(cutout: U8Cutout, layer: NDArray[np.float32]) -> None:
    """Compose a black layer of opacity `layer` under the cut-out, straight alpha.

    cutout: (h, w, 4) uint8 RGBA view, modified; layer: (h, w) float32 in [0, 1]. With black the colour part of
    "over" is F * a / out, and where a is 255 neither alpha nor colour changes. Float32 for 64 rows at a time.
    """
    for top in range(0, layer.shape[0], BAND_ROWS):
        band = cutout[top : top + BAND_ROWS]
        alpha = band[..., 3].astype(np.float32)
        below = np.rint(alpha + (255 - alpha) * layer[top : top + BAND_ROWS])
        keep = np.divide(alpha, below, out=np.zeros_like(alpha), where=below > 0)
        band[..., :3] = np.rint(band[..., :3] * keep[..., None])
        band[..., 3] = below
