"""What lies behind the subject: a colour, or a picture laid out on the main picture's canvas.

Everything happens in the pictures' own sRGB values with straight alpha, as browsers and image editors do it, so that a
background laid here looks like the transparent answer laid over it by the caller. docs/compositing.md says why.
"""

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import ceil, floor
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from alphacut_server.imaging.arrays import U8Alpha, U8Cutout, U8Image
from alphacut_server.imaging.box import PixelBox
from alphacut_server.imaging.codec import Picture
from alphacut_server.imaging.colour_names import Colour
from alphacut_server.imaging.compose import BAND_ROWS, lay_over
from alphacut_server.imaging.probe import Header, PictureFormat, decoded_bytes_per_px, decoding_bytes

# Pixels blended at once. Some fifteen temporaries of a band stay in the cache, and below the size from which glibc gives a
# freed block back and must ask for it again: 16 times as many cost three times the time in a server (2026-11).
_BAND_PIXELS = 1 << 14


class Fit(Enum):
    """How a background picture meets the canvas; the values are the names of the REST API."""

    NONE = "none"
    """Own scale, centred; transparent where it does not reach."""
    COVER = "cover"
    """Scaled to fill the canvas, centred, cropped."""
    CONTAIN = "contain"
    """Scaled to lie wholly inside, centred."""
    STRETCH = "stretch"
    """Scaled to the canvas in each direction by itself."""


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A background picture laid out: its pixels, and the part of the canvas they cover."""

    rgb: U8Image
    """(box.height, box.width, 3) uint8, C-contiguous."""
    alpha: U8Alpha | None
    """(box.height, box.width) uint8; None when it is opaque throughout."""
    box: PixelBox
    """Inside the canvas; the rest of the canvas has no background."""


Background: TypeAlias = Colour | Backdrop

SampleT = TypeVar("SampleT", np.uint8, np.uint16)


@dataclass(frozen=True, slots=True)
class Span:
    """How one axis of a background meets the same axis of the canvas, in pixels."""

    start: int
    """First pixel of the background that is used."""
    length: int
    """Pixels of it that are used."""
    scaled: int
    """Pixels they are brought to."""
    skipped: int
    """Scaled pixels cut off in front."""
    at: int
    """Where on the canvas the rest begins."""
    shown: int
    """Pixels of the canvas it covers."""


def find_spans(fit: Fit, size: tuple[int, int], canvas: tuple[int, int]) -> tuple[Span, Span]:
    """Return how rows and columns of a background meet the canvas's.

    size, canvas: (height, width) px, all at least 1. An odd difference is rounded down: a smaller background lies half a
    pixel to the left and above the middle, a larger one loses the odd pixel on the left and above.
    """
    across, down = Fraction(canvas[1], size[1]), Fraction(canvas[0], size[0])
    match fit:
        case Fit.NONE:
            return _as_it_is(size[0], canvas[0]), _as_it_is(size[1], canvas[1])
        case Fit.STRETCH:
            return Span(0, size[0], canvas[0], 0, 0, canvas[0]), Span(0, size[1], canvas[1], 0, 0, canvas[1])
        case Fit.CONTAIN:
            scale = min(across, down)
            return _inside(size[0], canvas[0], scale), _inside(size[1], canvas[1], scale)
        case Fit.COVER:
            scale = max(across, down)
            return _filling(size[0], canvas[0], scale), _filling(size[1], canvas[1], scale)


def backdrop_bytes(header: Header, fit: Fit, height_px: int, width_px: int) -> int:
    """Estimate the most memory a background will occupy at once, from decoding to the laid out part that stays.

    header: the background's; height_px, width_px: the canvas. The file's own bytes are not in it. Measured at up to 12 Mpx
    (2026-11): at most 4 MB below the real peak and half of it above.
    """
    size = (header.upright_height_px, header.upright_width_px)
    rows, columns = find_spans(fit, size, (height_px, width_px))
    used, scaled = rows.length * columns.length, rows.scaled * columns.scaled
    per_px = decoded_bytes_per_px(header)
    laid_out = (size[0] * size[1] + rows.shown * columns.shown) * per_px
    if (rows.length, columns.length) != (rows.scaled, columns.scaled):
        # Any PNG may have transparency, which is scaled in 16 bits.
        has_alpha = header.format is PictureFormat.PNG
        laid_out += used * 8 + scaled * 12 if has_alpha else scaled * 3
    return max(decoding_bytes(header), laid_out)


def lay_out(picture: Picture, fit: Fit, height_px: int, width_px: int) -> Backdrop:
    """Bring a background picture to the canvas of height_px x width_px.

    picture: not modified; the result shares no memory with it when it is smaller, so a large one can go. An axis that
    shrinks is averaged over areas, one that grows interpolated linearly, so nothing overshoots; with transparency the
    colours count by their opacity, so what is hidden does not bleed into edges. Costs 1 to 10 ms a megapixel of the
    larger side when it scales, next to nothing when not.
    """
    size = (picture.rgb.shape[0], picture.rgb.shape[1])
    rows, columns = find_spans(fit, size, (height_px, width_px))
    used = PixelBox(columns.start, rows.start, columns.length, rows.length).slices
    seen = PixelBox(columns.skipped, rows.skipped, columns.shown, rows.shown).slices
    rgb, alpha = picture.rgb[used], None if picture.alpha is None else picture.alpha[used]
    rgb, alpha = _scaled(rgb, alpha, (rows.scaled, columns.scaled))
    box = PixelBox(columns.at, rows.at, columns.shown, rows.shown)
    return Backdrop(_own(rgb[seen], picture.rgb), None if alpha is None else _own(alpha[seen], alpha), box)


def put_behind(cutout: U8Cutout, background: Background, window: PixelBox) -> None:
    """Lay a background under a cut-out.

    cutout: (window.height, window.width, 4) uint8 RGBA, straight alpha, modified; it shows the `window` of the canvas on
    which the background was laid out. See `lay_over` for exactness; 3 ms a megapixel for an opaque background, 7 for
    another one. Allocates bands of 16,384 px.
    """
    if isinstance(background, Colour):
        _put_colour_behind(cutout, background)
        return
    both = background.box.overlap(window)
    if both is None:
        return
    here, there = both.seen_from(window).slices, both.seen_from(background.box).slices
    alpha = None if background.alpha is None else background.alpha[there]
    _put_picture_behind(cutout[here], background.rgb[there], alpha)


def _put_colour_behind(cutout: U8Cutout, colour: Colour) -> None:
    height, width = cutout.shape[:2]
    below = np.empty((min(_band_rows(width), height), width, 3), np.uint8)
    below[...] = (colour.red, colour.green, colour.blue)
    alpha = None if colour.alpha == 255 else np.full(below.shape[:2], colour.alpha, np.uint8)
    for top in range(0, height, len(below)):
        band = cutout[top : top + len(below)]
        lay_over(band, below[: len(band)], None if alpha is None else alpha[: len(band)])


def _put_picture_behind(cutout: U8Cutout, rgb: U8Image, alpha: U8Alpha | None) -> None:
    band_rows = _band_rows(cutout.shape[1])
    for top in range(0, cutout.shape[0], band_rows):
        rows = slice(top, top + band_rows)
        lay_over(cutout[rows], rgb[rows], None if alpha is None else alpha[rows])


def _band_rows(width_px: int) -> int:
    return max(1, _BAND_PIXELS // width_px)


def _as_it_is(size: int, canvas: int) -> Span:
    offset = (canvas - size) // 2
    start, at = max(0, -offset), max(0, offset)
    length = min(size - start, canvas - at)
    return Span(start, length, length, 0, at, length)


def _inside(size: int, canvas: int, scale: Fraction) -> Span:
    scaled = max(1, _rounded(size * scale))
    return Span(0, size, scaled, 0, (canvas - scaled) // 2, scaled)


def _filling(size: int, canvas: int, scale: Fraction) -> Span:
    """Take the whole pixels that the canvas needs, so that a long strip is never scaled where nobody sees it."""
    need = canvas / scale
    first = (size - need) / 2
    start, end = floor(first), ceil(first + need)
    skipped = _rounded((first - start) * scale)
    scaled = max(_rounded((end - start) * scale), skipped + canvas)
    return Span(start, end - start, scaled, skipped, 0, canvas)


def _rounded(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def _scaled(
    rgb: U8Image, alpha: U8Alpha | None, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Scale to (height, width); both arrays as they are when that is their size already."""
    if rgb.shape[:2] == size:
        return rgb, alpha
    if alpha is None:
        return _resized(rgb, size), None
    # Colour times opacity fits 16 bits exactly; scaled like this, a pixel counts as much as it is seen.
    weighted = _resized(np.multiply(rgb, alpha[..., None], dtype=np.uint16), size)
    opacity = _resized(np.multiply(alpha, 255, dtype=np.uint16), size)
    freed = np.empty((*size, 3), np.uint8)
    for top in range(0, size[0], BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        divisor = cv2.merge([opacity[rows]] * 3)
        freed[rows] = cv2.divide(weighted[rows], divisor, scale=255, dtype=cv2.CV_8U)
    return freed, np.asarray(cv2.convertScaleAbs(opacity, alpha=1 / 255), np.uint8)


def _resized(samples: NDArray[SampleT], size: tuple[int, int]) -> NDArray[SampleT]:
    """Scale each axis by what suits it; the shrinking one first, since OpenCV's area method skips pixels when one grows."""
    height, width = size
    kept = (min(samples.shape[1], width), min(samples.shape[0], height))
    if kept != (samples.shape[1], samples.shape[0]):
        samples = np.asarray(cv2.resize(samples, kept, interpolation=cv2.INTER_AREA), samples.dtype)
    if kept != (width, height):
        samples = np.asarray(
            cv2.resize(samples, (width, height), interpolation=cv2.INTER_LINEAR), samples.dtype
        )
    return samples


def _own(part: NDArray[np.uint8], whole: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a contiguous `part`, copied when it would keep a larger whole alive."""
    return np.ascontiguousarray(part) if part.size == whole.size else part.copy()
