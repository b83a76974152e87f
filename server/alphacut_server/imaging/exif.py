"""The one thing EXIF is read for: which way is up."""

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_SHORT, _LONG = 3, 4
# IFD entries are sorted by tag and orientation is among the first; the cap keeps a forged count from costing time.
_MAX_ENTRIES = 512


def read_orientation(tiff: bytes) -> int:
    """Read the orientation, 1 to 8, from a TIFF block (EXIF without its prefix); 1 when it is missing or broken.

    A broken block is never an error: browsers show such pictures as stored, and so do we.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    try:
        magic, ifd = struct.unpack_from(order + "HI", tiff, 2)
        if magic != 42:
            return UPRIGHT
        (entries,) = struct.unpack_from(order + "H", tiff, ifd)
        for index in range(min(entries, _MAX_ENTRIES)):
            at = ifd + 2 + 12 * index
            tag, kind, count = struct.unpack_from(order + "HHI", tiff, at)
            if tag == _ORIENTATION_TAG and kind in (_SHORT, _LONG) and count == 1:
                (value,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, at + 8)
                return int(value) if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT


def is_transposed(orientation: int) -> bool:
    """Tell whether upright width and height are the stored height and width."""
    return orientation >= 5


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn stored pixels upright.

    pixels: (H, W) or (H, W, C) uint8, not modified. Returns a C-contiguous array, the same one for orientation 1;
    otherwise one copy of the picture exists for the time of the call.
    """
    match orientation:
        case 2:
            turned = cv2.flip(pixels, 1)
        case 3:
            turned = cv2.rotate(pixels, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(pixels, 0)
        case 5:
            turned = cv2.transpose(pixels)
        case 6:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.rotate(cv2.flip(pixels, 1), cv2.ROTATE_90_CLOCKWISE)
        case 8:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return pixels
    return np.asarray(turned, np.uint8)
