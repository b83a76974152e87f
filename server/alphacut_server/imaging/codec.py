"""Bytes to pixels.

JPEGs go to libjpeg-turbo in its strict mode, which refuses whatever is cut or damaged; the few kinds it cannot
take (CMYK, odd subsampling, stray bytes between scans) and every PNG go to Pillow's decoders, called directly and
on a copy that is stripped of everything but pixels, so that neither metadata nor animation nor Pillow's
registry of formats takes part. Decoders release the GIL.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin

from alphacut_server.errors import CorruptImage
from alphacut_server.imaging import jpeg, png
from alphacut_server.imaging.arrays import U8Alpha, U8Image
from alphacut_server.imaging.colour import BAND_ROWS, ColourTransform, convert_in_place, find_transform
from alphacut_server.imaging.exif import UPRIGHT, read_orientation, turn_upright
from alphacut_server.imaging.probe import Header, PictureFormat
from alphacut_server.imaging.samples import sample_reader

# Encoders write about ten scans; 100 of them over 16.7 Mpx cost a second, and a 16 MiB file could hold 500,000.
_MAX_SCANS = 100
_CMYK = 4

# What Pillow's decoders raise on broken data.
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError)

_BROKEN_JPEG = "The JPEG is damaged or cut short; send the whole, unchanged file."
_BROKEN_PNG = "The PNG is damaged or cut short; send the whole, unchanged file."


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, upright and in sRGB."""

    rgb: U8Image
    """(H, W, 3) uint8 RGB, C-contiguous."""
    alpha: U8Alpha | None
    """(H, W) uint8, the file's own transparency; None when it has none or is opaque throughout."""


def decode(content: bytes, header: Header) -> Picture:
    """Decode a whole JPEG or PNG of any kind to upright 8-bit sRGB.

    content: the file; header: what `probe_header` said of it. Bytes behind the picture's end are ignored, gamma
    chunks too; 16-bit samples keep their high byte; the first picture of an animation is taken.
    Besides the result it holds at most 4 bytes a pixel, and 2 a sample more for a progressive JPEG.
    Raises CorruptImage when the file is cut short or damaged.
    """
    if header.format is PictureFormat.JPEG:
        return Picture(turn_upright(_decode_jpeg(content, header), header.orientation), None)
    return _decode_png(content)


def _decode_jpeg(content: bytes, header: Header) -> U8Image:
    segments = header.segments or jpeg.read_segments(content)
    if header.is_progressive and jpeg.has_more_scans(content, segments, _MAX_SCANS):
        raise CorruptImage(f"The JPEG has more than {_MAX_SCANS} scans; save it again with an image editor.")
    profile = jpeg.find_icc(content, segments)
    rgb = None if header.channels == _CMYK else _decode_plain_jpeg(content, header)
    if rgb is None:
        return _decode_odd_jpeg(jpeg.strip(content, segments), header, profile)
    transform = find_transform(profile, "L" if header.channels == 1 else "RGB")
    if transform is not None:
        convert_in_place(rgb, transform)
    return rgb


def _decode_plain_jpeg(content: bytes, header: Header) -> U8Image | None:
    """Decode strictly; None when the file is of a kind for the other decoder. (H, W, 3) uint8 RGB as stored."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return None
    if (height, width) != (header.height_px, header.width_px):
        raise CorruptImage(_BROKEN_JPEG)
    try:
        return np.asarray(simplejpeg.decode_jpeg(content, colorspace="RGB"), np.uint8)
    except ValueError as error:
        # Stray bytes before a marker and an unknown JFIF version harm nothing; all else does.
        if "extraneous bytes" in str(error) or "JFIF" in str(error):
            return None
        raise CorruptImage(_BROKEN_JPEG) from error


def _decode_odd_jpeg(content: bytes, header: Header, profile: bytes | None) -> U8Image:
    """Decode with Pillow. CMYK without a profile becomes RGB by multiplying with the paper left free by the inks."""
    image = _loaded(JpegImagePlugin.JpegImageFile, content, (header.width_px, header.height_px), _BROKEN_JPEG)
    transform = find_transform(profile, image.mode)
    rgb = np.empty((header.height_px, header.width_px, 3), np.uint8)
    for rows, band in _bands(image):
        rgb[rows] = _to_rgb(band, transform)
    return rgb


def _decode_png(content: bytes) -> Picture:
    """Decode and turn upright, by the EXIF chunk wherever it stands."""
    layout = png.read_layout(content)
    chunks = tuple(png.walk_chunks(content))
    reader = sample_reader(content, chunks, layout)
    size = (layout.width_px, layout.height_px)
    image = _loaded(PngImagePlugin.PngImageFile, png.strip(content, chunks), size, _BROKEN_PNG)
    if _may_lack_rows(image, layout) and not png.has_every_row(content, chunks, layout):
        raise CorruptImage(_BROKEN_PNG)
    rgb = np.empty((layout.height_px, layout.width_px, 3), np.uint8)
    alpha = np.empty(rgb.shape[:2], np.uint8) if reader.has_alpha else None
    for rows, band in _bands(image):
        reader.read(band, rgb[rows], None if alpha is None else alpha[rows])
    del image  # frees its store before a turned copy is made
    transform = find_transform(png.find_icc(content, chunks), "L" if layout.is_grey else "RGB")
    if transform is not None:
        convert_in_place(rgb, transform)
    exif = png.first_chunk(content, chunks, b"eXIf")
    orientation = UPRIGHT if exif is None else read_orientation(exif)
    if alpha is not None:
        alpha = None if alpha.min() == 255 else turn_upright(alpha, orientation)
    return Picture(turn_upright(rgb, orientation), alpha)


def _may_lack_rows(image: Image.Image, layout: png.Layout) -> bool:
    """Tell whether coded data that ended early, but properly, could have given this image.

    Pillow takes a stream that ends at the end of any scan line and leaves the rest zero.
    """
    if layout.is_interlaced:
        return True
    return not np.asarray(image.crop((0, image.height - 1, image.width, image.height))).any()


def _to_rgb(band: Image.Image, transform: ColourTransform | None) -> NDArray[np.uint8]:
    """Convert one band to (h, w, 3) uint8 sRGB."""
    if transform is None:
        return np.asarray(band.convert("RGB"))
    return transform.apply(band if band.mode == transform.mode else band.convert(transform.mode))


def _loaded(
    decoder: type[ImageFile.ImageFile], content: bytes, size: tuple[int, int], complaint: str
) -> ImageFile.ImageFile:
    """Decode `content` by one decoder of Pillow's; raises CorruptImage with the complaint."""
    try:
        image = decoder(io.BytesIO(content))
        if image.size != size:
            raise CorruptImage(complaint)
        image.load()
    except _PILLOW_ERRORS as error:
        raise CorruptImage(complaint) from error
    return image


def _bands(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Cut an image into bands of rows, so that no second full-size copy of it ever exists."""
    for top in range(0, image.height, BAND_ROWS):
        rows = slice(top, min(top + BAND_ROWS, image.height))
        yield rows, image.crop((0, rows.start, image.width, rows.stop))
