"""The network's input: the picture stretched to its square."""

import cv2
import numpy as np

from alphacut_server.imaging.arrays import U8Image, U8Tensor, check_image


def to_tensor(rgb: U8Image, side_px: int) -> U8Tensor:
    """Stretch the picture to the network's side.

    rgb: (H, W, 3) uint8 RGB, not modified. Returns (side_px, side_px, 3) uint8 RGB, C-contiguous.
    An axis that shrinks is averaged over areas, one that grows interpolated by Lanczos; when they differ, the
    shrinking comes first, since OpenCV's area method would skip pixels there. Costs 1 ms a megapixel.
    """
    check_image(rgb)
    height, width = rgb.shape[:2]
    kept = (min(width, side_px), min(height, side_px))
    resized = rgb if kept == (width, height) else cv2.resize(rgb, kept, interpolation=cv2.INTER_AREA)
    if kept != (side_px, side_px):
        resized = cv2.resize(resized, (side_px, side_px), interpolation=cv2.INTER_LANCZOS4)
    # A picture that has the side already is copied: the tensor outlives it in the queue.
    return np.array(resized, np.uint8, copy=resized is rgb, order="C")
