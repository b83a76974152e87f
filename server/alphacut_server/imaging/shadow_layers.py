"""The parts of a shadow, each as an opacity over a small working frame: contact, pool, cast, drop and float.

All work on (h, w) float32 in [0, 1] at a few hundred pixels, never at the picture's size, modify nothing and return new
arrays. Sizes are shares of the subject's, so that a picture and its enlargement get the same shadow. The parts are
ours; penumbrae that widen with the caster's height follow what any area light does (as in SSN, Sheng et al., CVPR 2021,
and PixHt-Lab, Sheng et al., CVPR 2023, without their networks). Constants without another origin were set by eye on
contact sheets of two dozen kinds of photos.
"""

import cv2
import numpy as np

from alphacut_server.imaging.ground import F32, Ground
from alphacut_server.imaging.shadow_options import Throw

# Blurs are made on a reduced copy from this sigma on, in pixels of that copy: no difference shows, and it is faster.
_LEAST_SIGMA_PX = 2.0
# Shares of the size; a tight line and a wider darkening, horizontal and vertical.
_TIGHT, _WIDE, _WIDE_STRENGTH = (0.010, 0.005), (0.030, 0.014), 0.85
# What hangs this share of the height above the floor darkens it by 1/e.
_CONTACT_LIFT = 0.05
_POOL_SIGMA, _POOL_FLATTENING, _POOL_LIFT, _POOL_GAIN = (0.045, 0.018), 0.10, 1.6, 2.2
# Penumbra at the foot, then wider with the caster's height; the last two grow with softness.
_PENUMBRAE = (0.004, 0.014, 0.040, 0.075)
# How fast the cast shadow fades with the caster's height.
_CAST_FADE = 1.2
_DROP_SIGMA, _DROP_SHIFT = 0.030, 0.024
_FLOAT_WIDTH, _FLOAT_HEIGHT, _FLOAT_GAP = 0.80, 0.08, 0.06


def size_of(ground: Ground) -> float:
    """Return what blurs are measured by: the box's diagonal, but for flat subjects no more than thrice their height."""
    return min(ground.diagonal, 3.0 * ground.height)


def contact_layer(opacity: F32, ground: Ground, softness: float) -> F32:
    """Darken the line where the subject meets the floor, and the gap under it where it comes close."""
    height, width = opacity.shape
    size = size_of(ground)
    line = ground.line(width)[ground.columns]
    strength = np.exp(-np.maximum(line - ground.bottom, 0) / (_CONTACT_LIFT * ground.height + 1))
    strength *= opacity[:, ground.columns].max(axis=0)
    upper = ground.bottom - 0.02 * size
    lower = np.maximum(np.minimum(ground.hull, line + 0.02 * size), ground.bottom) + 0.01 * size
    rows = np.arange(height, dtype=np.float32)[:, None]
    filled = np.zeros((height, width), np.float32)
    filled[:, ground.columns] = np.where((rows >= upper) & (rows <= lower), strength, 0)
    spread = 0.5 + softness
    tight = blurred(filled, _TIGHT[0] * size * spread + 0.5, _TIGHT[1] * size * spread + 0.5)
    wide = blurred(filled, _WIDE[0] * size * spread + 0.5, _WIDE[1] * size * spread + 0.5)
    return np.asarray(np.maximum(tight, _WIDE_STRENGTH * wide), np.float32)


def pool_layer(opacity: F32, ground: Ground, softness: float) -> F32:
    """Lay the light that the subject keeps from the floor around its feet: squashed onto the line and blurred."""
    height, width = opacity.shape
    size = size_of(ground)
    rows = np.arange(height, dtype=np.float32)[:, None]
    lift = np.maximum(ground.line(width) - rows, 0) / ground.height
    keep = 1 - _POOL_FLATTENING
    squash = np.array([[1, 0, 0], [ground.slope * keep, _POOL_FLATTENING, keep * ground.offset]], np.float32)
    flat = cv2.warpAffine(opacity * np.exp(-_POOL_LIFT * lift), squash, (width, height))
    spread = 0.5 + softness
    soft = blurred(
        np.asarray(flat, np.float32),
        _POOL_SIGMA[0] * size * spread + 0.5,
        _POOL_SIGMA[1] * size * spread + 0.5,
    )
    return np.asarray(np.minimum(soft * _POOL_GAIN, 1), np.float32)


def cast_layer(opacity: F32, ground: Ground, throw: Throw, softness: float) -> F32:
    """Throw the subject over the floor: sheared along the light, sharp at the feet, softer and paler with the height.

    A point t above the floor's line lands `across` t to the right and `up` t above the line, which is an affine map of
    the picture. The penumbra is mixed of four blurs by the height of what casts there.
    """
    height, width = opacity.shape
    size = min(ground.diagonal, 2.0 * ground.height)
    slope, across, up = ground.slope, throw.across, throw.up
    rise = slope * across - up
    shear = np.array(
        [
            [1 + across * slope, -across, across * ground.offset],
            [slope * (1 + rise), -rise, ground.offset * (1 + rise)],
        ],
        np.float32,
    )
    thrown = np.asarray(cv2.warpAffine(opacity, shear, (width, height)), np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None]
    caster = np.clip((ground.line(width) - rows) / (up * ground.height), 0, 1)
    step = np.clip(caster * 3 * (0.4 + 1.2 * softness), 0, 3)
    cast = np.zeros_like(opacity)
    for index, share in enumerate(_PENUMBRAE):
        sigma = share * size * (0.5 + softness if index >= 2 else 1) + 0.4
        cast += blurred(thrown, sigma, sigma) * np.maximum(0, 1 - np.abs(step - index))
    return np.asarray(cast * np.exp(-_CAST_FADE * caster), np.float32)


def drop_layer(opacity: F32, ground: Ground, throw: Throw, softness: float) -> F32:
    """Lay a soft copy behind the subject, shifted a little along the light."""
    height, width = opacity.shape
    reach = _DROP_SHIFT * ground.diagonal
    shift = np.array([[1, 0, throw.across * reach], [0, 1, -throw.up * reach]], np.float32)
    moved = np.asarray(cv2.warpAffine(opacity, shift, (width, height)), np.float32)
    sigma = _DROP_SIGMA * ground.diagonal * (0.4 + 1.2 * softness) + 0.3
    return blurred(moved, sigma, sigma)


def float_layer(opacity: F32, ground: Ground, softness: float, last_row: float) -> F32:
    """Lay an ellipse on the floor below the subject, nearer to it where the canvas leaves little room."""
    half_width = max(_FLOAT_WIDTH * ground.width / 2, 1.0)
    half_height = max(_FLOAT_HEIGHT * min(ground.width, 2 * ground.height) / 2, 0.5)
    lowest = float(ground.bottom.max())
    gap = min(_FLOAT_GAP * ground.height, max(0.0, last_row - lowest - 2 * half_height))
    rows = np.arange(opacity.shape[0], dtype=np.float32)[:, None] - (lowest + gap + half_height)
    columns = np.arange(opacity.shape[1], dtype=np.float32) - (ground.left + (ground.width - 1) / 2)
    distance = np.hypot(columns / half_width, rows / half_height)
    # The rim lies at 1; its width, in radii, is what softness means here.
    width = 0.15 + 1.1 * softness
    disc = np.clip((1 + width / 2 - distance) / width, 0, 1)
    return np.asarray(disc * disc * (3 - 2 * disc) * float(opacity.max(initial=0)), np.float32)


def blurred(layer: F32, across: float, down: float) -> F32:
    """Blur with a Gaussian of two sigmas in pixels; nothing flows in from outside the frame."""
    height, width = layer.shape
    factor = 1
    while min(across, down) / (2 * factor) >= _LEAST_SIGMA_PX and min(height, width) // (2 * factor) >= 16:
        factor *= 2
    small = layer
    if factor > 1:
        # Whole blocks, so that the reduction has one scale; what is added is beyond the frame.
        padded = cv2.copyMakeBorder(
            layer, 0, -height % factor, 0, -width % factor, cv2.BORDER_CONSTANT, value=0.0
        )
        size = padded.shape[1] // factor, padded.shape[0] // factor
        small = np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.float32)
    soft = cv2.GaussianBlur(
        small,
        (0, 0),
        sigmaX=max(across / factor, 0.3),
        sigmaY=max(down / factor, 0.3),
        borderType=cv2.BORDER_CONSTANT,
    )
    if factor > 1:
        whole = soft.shape[1] * factor, soft.shape[0] * factor
        soft = cv2.resize(soft, whole, interpolation=cv2.INTER_LINEAR)[:height, :width]
    return np.asarray(soft, np.float32)
