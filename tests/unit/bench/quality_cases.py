"""Pairs of predicted and true alphas with everything that scores differ on, made from whole numbers alone.

They are the same on every machine: `reference_scores.json` holds what another program says of them.
"""

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]


def cases() -> dict[str, tuple[U8, U8]]:
    """Return named pairs of predicted levels and true alpha, each (H, W) uint8."""
    disc = _disc(96, 130, centre=(50, 60), radius=30, softness=4)
    ring = np.where(_disc(96, 130, centre=(50, 60), radius=12, softness=2) > 0, 0, disc).astype(np.uint8)
    empty, full = np.zeros((40, 50), np.uint8), np.full((40, 50), 255, np.uint8)
    some = _disc(40, 50, centre=(20, 20), radius=10, softness=3)
    dot = np.zeros((64, 64), np.uint8)
    dot[0, 0] = 255
    return {
        "moved": (_disc(96, 130, centre=(53, 66), radius=28, softness=6), disc),
        "perfect": (disc, disc),
        "hole filled": (disc, ring),
        "hazy": (np.maximum(disc // 2 + 20, _noise(96, 130) // 3).astype(np.uint8), disc),
        "noise": (_noise(96, 130), disc),
        "inverse": ((255 - disc).astype(np.uint8), disc),
        "at the rim": (
            _disc(90, 70, centre=(0, 30), radius=35, softness=5),
            _disc(90, 70, centre=(-4, 34), radius=38, softness=2),
        ),
        "one pixel": (_disc(64, 64, centre=(2, 2), radius=4, softness=2), dot),
        "nothing found": (empty, some),
        "nothing there": (some, empty),
        "nothing but subject": (some, full),
        "grey": (np.full((40, 50), 127, np.uint8), some),
    }


def _disc(height: int, width: int, *, centre: tuple[int, int], radius: int, softness: int) -> U8:
    """Draw a disc whose opacity falls from 255 to 0 over about `softness` pixels at its edge."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    inside = radius**2 - (y - centre[0]) ** 2 - (x - centre[1]) ** 2
    return np.asarray(np.clip(128 + inside * 128 // (radius * softness), 0, 255), np.uint8)


def _noise(height: int, width: int) -> U8:
    y, x = np.mgrid[:height, :width].astype(np.int64)
    return np.asarray((y * 7919 + x * 104729 + y * x * 31) % 256, np.uint8)
