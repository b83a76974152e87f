"""Bring a picture's colours to sRGB by the profile it carries."""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from alphacut_server.imaging.arrays import U8Image

# Relative colorimetric keeps every colour that sRGB can show exactly; black point compensation keeps the shadows of
# CMYK profiles from closing up. It is what image editors convert with, and for the matrix profiles of cameras and
# screens the perceptual intent is the same table anyway.
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION

# The signature of the data colour space, ICC.1 clause 7.2.6, as Pillow spells it.
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
# Rows worked on at once: 256 rows of 4,096 px are 3 MiB, which stays near the cache and bounds the temporaries.
BAND_ROWS = 256


class ColourTransform:
    """A way to sRGB from one profile, for pictures of one kind (`mode`: L, RGB or CMYK)."""

    __slots__ = ("_transform", "mode")

    def __init__(self, transform: ImageCms.ImageCmsTransform, mode: str) -> None:
        self._transform = transform
        self.mode = mode

    def apply(self, band: Image.Image) -> NDArray[np.uint8]:
        """Convert a Pillow image of this mode to (H, W, 3) uint8 sRGB; the GIL is released while it works."""
        converted = ImageCms.applyTransform(band, self._transform)
        if converted is None:
            raise ValueError("applyTransform works in place only when it is asked to")
        return np.asarray(converted)


def find_transform(profile: bytes | None, mode: str) -> ColourTransform | None:
    """Prepare the way to sRGB for pictures of `mode`, or None when there is nothing to do.

    None is given for no profile, a broken one, one for another kind of picture, and one that is sRGB itself: by
    what it does to 1,000 colours, not by its name. An RGB profile on a grey picture is used (it has a grey axis).
    Costs 2 to 4 ms when there is a profile.
    """
    if profile is None:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        wanted = _MODES.get(source.profile.xcolor_space)
        if wanted is None or (wanted != mode and (wanted, mode) != ("RGB", "L")):
            return None
        built = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), wanted, "RGB", renderingIntent=_INTENT, flags=_FLAGS
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A picture with a broken profile is shown as sRGB everywhere; refusing it would help nobody.
        return None
    transform = ColourTransform(built, wanted)
    return None if wanted == "RGB" and _changes_nothing(transform) else transform


def convert_in_place(rgb: U8Image, transform: ColourTransform) -> None:
    """Convert a picture to sRGB, writing over it.

    rgb: (H, W, 3) uint8, C-contiguous, modified; its three channels are equal where `transform` is for grey.
    Holds three bands of 256 rows besides.
    """
    for top in range(0, rgb.shape[0], BAND_ROWS):
        band = rgb[top : top + BAND_ROWS]
        pixels = cv2.extractChannel(band, 0) if transform.mode == "L" else band
        band[...] = transform.apply(Image.fromarray(pixels))


def _changes_nothing(transform: ColourTransform) -> bool:
    """Tell whether the transform moves none of 10 x 10 x 10 colours by more than one level, which rounding does."""
    levels = np.linspace(0, 255, 10).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    moved = transform.apply(Image.fromarray(cube))
    return bool(cv2.absdiff(np.ascontiguousarray(moved), cube).max() <= 1)
