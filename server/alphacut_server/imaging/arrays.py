"""Names and border checks for the arrays that travel between the stages; everything is C-contiguous uint8.

A checker raises ValueError: a wrong shape or dtype is a bug of ours, never the caller's fault.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

U8Image: TypeAlias = NDArray[np.uint8]
"""(height, width, 3) uint8, RGB, sRGB."""

U8Cutout: TypeAlias = NDArray[np.uint8]
"""(height, width, 4) uint8, RGBA, sRGB, straight alpha; RGB is zero where alpha is 0."""

U8Alpha: TypeAlias = NDArray[np.uint8]
"""(height, width) uint8 opacity at the picture's size, 255 is foreground."""

U8Matte: TypeAlias = NDArray[np.uint8]
"""(side, side) uint8, the prepared graph's output, 255 is foreground."""

U8Tensor: TypeAlias = NDArray[np.uint8]
"""(side, side, 3) uint8, RGB: one item of the network's NHWC input."""


def check_image(image: U8Image) -> U8Image:
    """Return `image` if it is (H, W, 3) uint8, else raise ValueError."""
    return _check(image, "image", channels=3)


def check_alpha(alpha: U8Alpha) -> U8Alpha:
    """Return `alpha` if it is (H, W) uint8, else raise ValueError."""
    return _check(alpha, "alpha", channels=None)


def _check(array: NDArray[np.uint8], name: str, channels: int | None) -> NDArray[np.uint8]:
    ndim = 2 if channels is None else 3
    if array.dtype != np.uint8 or array.ndim != ndim or (channels and array.shape[2] != channels):
        wanted = "(H, W)" if channels is None else f"(H, W, {channels})"
        raise ValueError(f"{name}: wanted {wanted} uint8, got {array.shape} {array.dtype}")
    return array
