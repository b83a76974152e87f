"""The subject over its shadow: contact, pool and cast on the floor it stands on, or a soft copy where no floor is seen.

The shadow is soft, so it is made small, from the subject's own alpha, and brought up to size band by band.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from alphacut_server.imaging.arrays import U8Alpha, U8Cutout, U8Image
from alphacut_server.imaging.box import PixelBox, subject_box
from alphacut_server.imaging.colour_names import Colour
from alphacut_server.imaging.compose import BAND_ROWS, check_matching, compose_cutout
from alphacut_server.imaging.ground import F32, Ground, find_ground, solid_part, standing_pieces
from alphacut_server.imaging.shadow_layers import (
    cast_layer,
    contact_layer,
    drop_layer,
    float_layer,
    pool_layer,
)
from alphacut_server.imaging.shadow_options import (
    DEFAULT_SHADOW,
    ShadowOptions,
    ShadowType,
    throw_on_floor,
    throw_on_wall,
)

# The tightest blur is 0.4 px at this side, which up-sampled stays softer than any photo's edge (prototype measurements).
_WORK_SIDE_PX = 448
# Strengths of the parts; they darken one after the other, as light that is kept off twice.
_CONTACT, _POOL, _CAST, _DROP, _FLOAT = 0.62, 0.36, 0.30, 0.35, 0.45
# A cast shadow without the pool that goes with it in `auto` stands for all of the light.
_CAST_ALONE = 0.42
# No floor is black: the rest of the room lights it.
_DARKEST = 0.92
# Beyond the canvas nothing is seen, but shadow that is cut off there must not end at a border of the blurs.
_BEYOND = 0.12
# Where the canvas goes on past the subject, shadow fades before the border: within these shares of the box's diagonal
# and of the space there is.
_FADE_SIZE, _FADE_ROOM = 0.06, 0.6
# The upper part of the subject, as a share of its height, over which shadow on the floor fades out.
_HORIZON = 0.35


def compose_shadow(rgb: U8Image, alpha: U8Alpha, options: ShadowOptions = DEFAULT_SHADOW) -> U8Cutout:
    """Cut the subject out and lay its shadow under it.

    rgb: (H, W, 3) uint8; alpha: (H, W) uint8; neither modified. Returns (H, W, 4) uint8 RGBA of the same size, straight
    alpha, RGB zero where alpha is 0. Pixels of alpha 255 are the input's; alpha never falls, and rises with the
    options' opacity; without a subject there is no shadow. Deterministic. Float32 on at most 448 x 448 px and on 64 rows.
    """
    check_matching(rgb, alpha)
    cutout = compose_cutout(rgb, alpha)
    box = subject_box(alpha)
    if box is None or options.opacity == 0:
        return cutout
    frame = _frame(alpha, box, options)
    layer = _shadow_layer(frame, options)
    if layer is not None:
        _lay_under(cutout, frame, layer, options.colour)
    return cutout


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """The working frame: the subject, reduced, with room around it for its shadow."""

    opacity: F32
    """(h, w) in [0, 1]."""
    across: float
    """Pixels of the frame a pixel of the canvas; `down` the same for rows."""
    down: float
    left: float
    """Where column 0 of the canvas lies in the frame; `top` the same for row 0. Both are pixel edges."""
    top: float
    canvas_height: int
    canvas_width: int

    @property
    def last_row(self) -> float:
        """The canvas's last row, in the frame."""
        return self.top + self.canvas_height * self.down - 1


def _frame(alpha: U8Alpha, box: PixelBox, options: ShadowOptions) -> _Frame:
    """Reduce the subject so that it and the reach of its shadow fit the working side."""
    height, width = alpha.shape
    diagonal = float(np.hypot(box.width, box.height))
    floor = throw_on_floor(options)
    # Three sigmas of the widest blur there is, and the farther of both ways the subject may be thrown.
    soft = 0.32 * diagonal
    left = soft + max(0.0, -floor.across) * box.height
    right = soft + max(0.0, floor.across) * box.height
    above = soft + max(0.0, floor.up - 1) * box.height
    below = soft + max(0.0, -floor.up) * box.height
    beyond = _BEYOND * diagonal
    left, right = min(left, box.x + beyond), min(right, width - box.x - box.width + beyond)
    above, below = min(above, box.y + beyond), min(below, height - box.y - box.height + beyond)

    whole_width, whole_height = box.width + left + right, box.height + above + below
    scale = min(1.0, _WORK_SIDE_PX / max(whole_width, whole_height))
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    subject = cv2.resize(alpha[box.slices], size, interpolation=cv2.INTER_AREA)
    pad_top, pad_bottom, pad_left, pad_right = (
        int(np.ceil(each * scale)) for each in (above, below, left, right)
    )
    placed = cv2.copyMakeBorder(
        subject, pad_top, pad_bottom, pad_left, pad_right, cv2.BORDER_CONSTANT, value=0.0
    )
    opacity = solid_part(np.asarray(placed, np.float32) * np.float32(1 / 255))
    across, down = size[0] / box.width, size[1] / box.height
    return _Frame(opacity, across, down, pad_left - box.x * across, pad_top - box.y * down, height, width)


def _shadow_layer(frame: _Frame, options: ShadowOptions) -> F32 | None:
    """Make the shadow's opacity in the frame, (h, w) float32 in [0, 255], or None where nothing casts any."""
    opacity = frame.opacity
    ground = find_ground(opacity, frame.last_row)
    if ground is None:
        return None
    kind = options.type
    if kind is ShadowType.AUTO and ground.is_cut_off:
        kind = ShadowType.DROP
    match kind:
        case ShadowType.DROP:
            throw = throw_on_wall(options)
            layer = _DROP * drop_layer(opacity, ground, throw, options.softness)
        case ShadowType.FLOAT:
            layer = _FLOAT * float_layer(opacity, ground, options.softness, frame.last_row)
        case ShadowType.AUTO | ShadowType.CONTACT | ShadowType.CAST:
            layer = _floor_layers(opacity, ground, kind, options)
    layer = np.minimum(layer, _DARKEST) * _border_fade(frame, ground)
    return np.asarray(layer * (255 * options.opacity), np.float32)


def _floor_layers(opacity: F32, ground: Ground, kind: ShadowType, options: ShadowOptions) -> F32:
    """Lay each standing piece's shadow on the floor; where they meet, one darkens after the other."""
    pieces = standing_pieces(opacity)
    if len(pieces) == 1:
        return _floor_layer(opacity, ground, kind, options)
    light = np.ones_like(opacity)
    for piece in pieces:
        # No canvas ends below a piece: whether the subject is cut off has been decided.
        own = find_ground(piece, np.inf)
        if own is not None:
            light *= 1 - _floor_layer(piece, own, kind, options)
    return np.asarray(1 - light, np.float32)


def _floor_layer(opacity: F32, ground: Ground, kind: ShadowType, options: ShadowOptions) -> F32:
    """Put together what falls on the floor, and end it below the subject's top unless the light throws it there."""
    throw = throw_on_floor(options)
    light = 1 - _CONTACT * contact_layer(opacity, ground, options.softness)
    if kind is not ShadowType.CAST:
        light *= 1 - _POOL * pool_layer(opacity, ground, options.softness)
    if kind is not ShadowType.CONTACT:
        strength = _CAST if kind is ShadowType.AUTO else _CAST_ALONE
        light *= 1 - strength * cast_layer(opacity, ground, throw, options.softness)
    layer = 1 - light
    if kind is ShadowType.CONTACT or throw.up < 1 - _HORIZON:
        rows = np.arange(opacity.shape[0], dtype=np.float32)[:, None]
        layer *= np.clip((rows - ground.top - 1) / (_HORIZON * ground.height), 0, 1)
    return np.asarray(layer, np.float32)


def _border_fade(frame: _Frame, ground: Ground) -> F32:
    """Return a factor that falls to 0 at those borders of the canvas that the subject keeps away from: (h, w) float32."""
    height, width = frame.opacity.shape
    rows, columns = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    right = frame.left + frame.canvas_width * frame.across
    bottom = frame.top + frame.canvas_height * frame.down
    fades = []
    for distance, room in (
        (columns + 0.5 - frame.left, ground.left - frame.left),
        (right - columns - 0.5, right - ground.left - ground.width),
        (rows + 0.5 - frame.top, ground.top - frame.top),
        (bottom - rows - 0.5, bottom - ground.top - ground.height),
    ):
        length = min(_FADE_SIZE * ground.diagonal, _FADE_ROOM * room)
        share = np.clip(distance / length, 0, 1) if length > 1 else np.ones_like(distance)
        fades.append(share * share * (3 - 2 * share))
    return np.asarray(np.outer(fades[2] * fades[3], fades[0] * fades[1]), np.float32)


def _lay_under(cutout: U8Cutout, frame: _Frame, layer: F32, colour: Colour) -> None:
    """Compose a layer of one colour under the cut-out, straight alpha, over the part of the canvas it covers.

    cutout: (H, W, 4) uint8 RGBA, modified; layer: of the frame, (h, w) float32 in [0, 255]. With a and s the opacities of
    subject and shadow, the result's is a + s (1 - a), and its colour the mean of both weighted by a and s (1 - a);
    where a is 255 nothing changes, and alpha does not fall.
    """
    x0, y0, x1, y1 = _covered(cutout, frame, layer)
    for top in range(y0, y1, BAND_ROWS):
        band = cutout[top : min(top + BAND_ROWS, y1), x0:x1]
        back = np.array(
            [
                [frame.across, 0, (x0 + 0.5) * frame.across + frame.left - 0.5],
                [0, frame.down, (top + 0.5) * frame.down + frame.top - 0.5],
            ],
            np.float64,
        )
        size = band.shape[1], band.shape[0]
        soft = cv2.warpAffine(layer, back, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        above = np.asarray(cv2.extractChannel(band, 3), np.uint8)
        shadow = cv2.multiply(cv2.bitwise_not(above), cv2.convertScaleAbs(soft), scale=1 / 255)
        _mix(band, above, np.asarray(shadow, np.uint8), colour)


def _mix(band: U8Cutout, above: U8Alpha, shadow: U8Alpha, colour: Colour) -> None:
    """Write alpha and colour of a band whose subject has the opacity `above` and to which its shadow adds `shadow`.

    Alone, shadow has its own colour; only the box around the soft pixels that lie over shadow is blended.
    """
    below = np.asarray(cv2.add(above, shadow), np.uint8)
    paint = np.array([colour.red, colour.green, colour.blue], np.uint8)
    if paint.any():
        band[..., :3][(above == 0) & (shadow > 0)] = paint
    soft = np.asarray(cv2.bitwise_and(cv2.inRange(above, 1, 254), cv2.inRange(shadow, 1, 255)), np.uint8)
    x, y, width, height = cv2.boundingRect(soft)
    if width:
        part = slice(y, y + height), slice(x, x + width)
        colours = cv2.cvtColor(band[part], cv2.COLOR_RGBA2RGB)
        weight, rest = above[part].astype(np.float32), shadow[part].astype(np.float32)
        mixed = cv2.blendLinear(colours, np.full_like(colours, paint), weight, rest)
        band[part] = cv2.copyTo(cv2.cvtColor(mixed, cv2.COLOR_RGB2RGBA), soft[part], band[part].copy())
    cv2.insertChannel(below, band, 3)


def _covered(cutout: U8Cutout, frame: _Frame, layer: F32) -> tuple[int, int, int, int]:
    """Return the part of the canvas on which the layer shows: left, top, right, bottom."""
    x, y, width, height = cv2.boundingRect((layer >= 0.5).astype(np.uint8))
    if not width:
        return 0, 0, 0, 0
    left = int(np.floor((x - 1 - frame.left) / frame.across))
    top = int(np.floor((y - 1 - frame.top) / frame.down))
    right = int(np.ceil((x + width + 1 - frame.left) / frame.across))
    bottom = int(np.ceil((y + height + 1 - frame.top) / frame.down))
    return max(0, left), max(0, top), min(cutout.shape[1], right), min(cutout.shape[0], bottom)
