"""From alpha to the pixels of the answer: mode, crop, background, and what the file format cannot hold."""

import numpy as np
from numpy.typing import NDArray

from alphacut_server.imaging.arrays import U8Alpha, U8Image
from alphacut_server.imaging.background import Background, put_behind
from alphacut_server.imaging.box import PixelBox, crop_window
from alphacut_server.imaging.colour_names import WHITE
from alphacut_server.imaging.compose import compose_cutout
from alphacut_server.imaging.encode import OutputFormat
from alphacut_server.imaging.foreground import free_colours
from alphacut_server.imaging.shadow import compose_shadow
from alphacut_server.imaging.shadow_options import DEFAULT_SHADOW, ShadowOptions
from alphacut_server.pipeline.types import Mode, Output


def render(
    mode: Mode,
    output: Output,
    rgb: U8Image,
    alpha: U8Alpha,
    *,
    box: PixelBox | None,
    background: Background | None,
    shadow: ShadowOptions = DEFAULT_SHADOW,
    frees_colours: bool = False,
) -> NDArray[np.uint8]:
    """Return the answer's pixels: (h, w) for a mask, else (h, w, 4) RGBA, straight alpha, opaque for JPEG.

    rgb: (H, W, 3) uint8, alpha: (H, W) uint8, neither modified; a mask is a view of `alpha`. box: the subject's. The layers
    are background, shadow, subject. A crop cuts the finished canvas: neither shadow nor background moves with it.
    frees_colours: half transparent pixels get the subject's own colour, not the picture's.
    """
    height_px, width_px = alpha.shape
    if output.crop_margin is None:
        window = PixelBox(0, 0, width_px, height_px)
    else:
        window = crop_window(box, output.crop_margin, height_px, width_px)
    here = window.slices
    if frees_colours and mode is not Mode.FG_MASK:
        rgb = free_colours(rgb, alpha)
    match mode:
        case Mode.FG_MASK:
            return alpha[here]
        case Mode.FG_IMAGE:
            pixels = compose_cutout(rgb[here], alpha[here])
        case Mode.FG_IMAGE_SHADOW:
            pixels = compose_shadow(rgb, alpha, shadow)[here]
    if background is not None:
        put_behind(pixels, background, window)
    if output.format is OutputFormat.JPEG:
        put_behind(pixels, WHITE, window)
    return pixels
