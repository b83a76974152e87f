"""Pictures for tests: real photos that ship inside scikit-image's wheel, and builders of every JPEG and PNG kind.

The PNG builder writes the format itself, so that decoders are tested against files they did not write, in kinds
that no common writer produces (1, 2 and 4 bits, interlaced 16 bits, colour keys, stray chunks).
"""

import io
import struct
import zlib
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image

U8 = NDArray[np.uint8]
Samples = NDArray[np.uint8] | NDArray[np.uint16]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Interlace passes of the PNG specification: first column, first row, column step, row step.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class PngColour(IntEnum):
    """Colour types of the PNG specification."""

    GREY = 0
    RGB = 2
    PALETTE = 3
    GREY_ALPHA = 4
    RGBA = 6


def photo(name: str = "coffee.png") -> U8:
    """Read a real photo with a clear subject: (H, W, 3) uint8 RGB.

    `coffee.png` (600x400, a cup and saucer), `astronaut.png` (512x512, a person), `motorcycle_left.png`
    (741x500), `chelsea.png` (451x300, a cat that fills the frame) and `rocket.jpg` (640x427) all ship inside
    the wheel: nothing is downloaded.
    """
    with Image.open(Path(skimage.__file__).parent / "data" / name) as image:
        return np.asarray(image.convert("RGB")).copy()


def photo_of_size(height: int, width: int, name: str = "coffee.png") -> U8:
    """Read the photo resampled to a size: (height, width, 3) uint8 RGB; its aspect is not kept."""
    image = Image.fromarray(photo(name)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).copy()


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> U8:
    """Make noise that no codec compresses: (height, width, channels) uint8, the same for the same seed."""
    made: U8 = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return made


def gradient(height: int, width: int) -> U8:
    """Make a smooth picture whose every quadrant differs (red to the right, green downwards): (H, W, 3) uint8 RGB."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)[None, :]
    rgb[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    rgb[..., 2] = 90
    return rgb


def disc_alpha(height: int, width: int, *, radius: float = 0.35, softness_px: float = 3.0) -> U8:
    """Make the alpha of a soft-edged ellipse in the middle: (height, width) uint8, 0 outside, 255 inside.

    radius: half axis as a fraction of each side; softness_px: width of the edge along the shorter axis.
    """
    y = (np.arange(height)[:, None] + 0.5 - height / 2) / (radius * height)
    x = (np.arange(width)[None, :] + 0.5 - width / 2) / (radius * width)
    distance_px = (1 - np.hypot(x, y)) * radius * min(height, width)
    return np.asarray(np.rint(np.clip(distance_px / max(softness_px, 1e-6) + 0.5, 0, 1) * 255), np.uint8)


def exif_block(orientation: int, *, big_endian: bool = False) -> bytes:
    """Make a TIFF block (without the `Exif` prefix) that holds nothing but the orientation, 1 to 8."""
    order, mark = (">", b"MM") if big_endian else ("<", b"II")
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return (
        mark
        + struct.pack(order + "HI", 42, 8)
        + struct.pack(order + "H", 1)
        + entry
        + struct.pack(order + "I", 0)
    )


def stored_as(upright: U8, orientation: int) -> U8:
    """Turn an upright picture into the pixels a camera would store under that EXIF orientation."""
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }
    return np.ascontiguousarray(turned[orientation])


def jpeg_bytes(
    pixels: U8 | None = None,
    *,
    quality: int = 92,
    subsampling: int = 2,
    progressive: bool = False,
    cmyk: bool = False,
    restart_blocks: int = 0,
    orientation: int | None = None,
    icc: bytes | None = None,
) -> bytes:
    """Encode a JPEG; the photo by default.

    pixels: (H, W) grey, (H, W, 3) RGB, or (H, W, 4) ink amounts (0 none, 255 full) with `cmyk`.
    subsampling: 0 is 4:4:4, 2 is 4:2:0. restart_blocks: blocks between restart markers, 0 for none.
    orientation: EXIF orientation written as it is (the pixels are not turned); None writes no EXIF.
    """
    array = photo() if pixels is None else pixels
    image = Image.fromarray(array, mode="CMYK") if cmyk else Image.fromarray(array)
    options: dict[str, object] = {"quality": quality, "progressive": progressive}
    if array.ndim == 3:
        options["subsampling"] = subsampling
    if restart_blocks:
        options["restart_marker_blocks"] = restart_blocks
    if orientation is not None:
        options["exif"] = b"Exif\0\0" + exif_block(orientation)
    if icc is not None:
        options["icc_profile"] = icc
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def jpeg_segment(marker: int, payload: bytes) -> bytes:
    """Make one JPEG marker segment: marker byte (as 0xE1 for APP1) and payload."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def insert_after_soi(jpeg: bytes, extra: bytes) -> bytes:
    """Put raw bytes right behind a JPEG's SOI marker."""
    return jpeg[:2] + extra + jpeg[2:]


def png_chunk(kind: bytes, payload: bytes = b"") -> bytes:
    """Make one PNG chunk with its length and CRC."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def ihdr(
    width: int, height: int, bits: int = 8, colour: PngColour = PngColour.RGB, *, interlaced: bool = False
) -> bytes:
    """Make the IHDR chunk."""
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced)))


def png_bytes(
    samples: Samples | None = None,
    *,
    bits: int = 8,
    colour: PngColour | None = None,
    interlaced: bool = False,
    palette: U8 | None = None,
    transparency: bytes | None = None,
    orientation: int | None = None,
    icc: bytes | None = None,
    before_idat: Sequence[bytes] = (),
    after_idat: Sequence[bytes] = (),
    level: int = 1,
) -> bytes:
    """Encode a PNG of any kind, unfiltered; the photo by default.

    samples: (H, W) grey or palette indices, (H, W, 2) grey with alpha, (H, W, 3) RGB, (H, W, 4) RGBA; each sample
    below 2**bits. colour: the colour type; by default what the shape says. palette: (n, 3) uint8 RGB.
    transparency: the tRNS payload. orientation: written as an eXIf chunk. before_idat, after_idat: whole extra chunks.
    """
    array = photo() if samples is None else samples
    array = array[..., None] if array.ndim == 2 else array
    if colour is None:
        shapes = {1: PngColour.GREY, 2: PngColour.GREY_ALPHA, 3: PngColour.RGB, 4: PngColour.RGBA}
        colour = PngColour.PALETTE if palette is not None else shapes[array.shape[2]]
    chunks = [ihdr(array.shape[1], array.shape[0], bits, colour, interlaced=interlaced)]
    if icc is not None:
        chunks.append(png_chunk(b"iCCP", b"test\0\0" + zlib.compress(icc)))
    if palette is not None:
        chunks.append(png_chunk(b"PLTE", palette.tobytes()))
    if transparency is not None:
        chunks.append(png_chunk(b"tRNS", transparency))
    if orientation is not None:
        chunks.append(png_chunk(b"eXIf", exif_block(orientation)))
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = b"".join(_packed_rows(array[y0::dy, x0::dx], bits) for x0, y0, dx, dy in passes)
    data = png_chunk(b"IDAT", zlib.compress(rows, level))
    return b"".join([PNG_SIGNATURE, *chunks, *before_idat, data, *after_idat, png_chunk(b"IEND")])


def undecodable_png(width: int, height: int) -> bytes:
    """Make a PNG whose header is sound and whose pixels are nonsense: what is said of it was said without decoding."""
    chunks = (ihdr(width, height), png_chunk(b"IDAT", b"no pixels"), png_chunk(b"IEND"))
    return b"".join([PNG_SIGNATURE, *chunks])


def _packed_rows(samples: Samples, bits: int) -> bytes:
    """Pack samples into PNG scan lines with filter type 0: (h, w, c) with values below 2**bits."""
    height, width = samples.shape[:2]
    if height == 0 or width == 0:
        return b""
    if bits == 16:
        rows = np.ascontiguousarray(samples.astype(">u2")).view(np.uint8).reshape(height, -1)
    elif bits == 8:
        rows = samples.astype(np.uint8).reshape(height, -1)
    else:
        planes = [(samples.reshape(height, -1) >> shift) & 1 for shift in range(bits - 1, -1, -1)]
        rows = np.packbits(np.stack(planes, axis=-1).reshape(height, -1).astype(np.uint8), axis=1)
    return np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
