"""Decide from a file's first bytes what it is and what decoding it will cost; no pixel is touched."""

from dataclasses import dataclass, field
from enum import Enum

from alphacut_server.errors import CorruptImage, ResolutionTooBig
from alphacut_server.imaging import jpeg, png
from alphacut_server.imaging.encode import OutputFormat
from alphacut_server.imaging.exif import UPRIGHT, is_transposed, read_orientation

# Peak resident bytes a pixel, measured with `bench/stages.py --memory --noise` at 4096x4096 (2026-11): 12.5 for the
# whole way from a JPEG to a PNG, 15.5 from an RGBA PNG; photos 11.5 and 13.9. To a WebP it is 30, with a shadow 40.
# Freed colours are one more picture beside it, 3 bytes a pixel, whatever they take on their way being less than encoding.
_FINISH_BYTES_PER_PX = {OutputFormat.PNG: 19, OutputFormat.JPEG: 19, OutputFormat.WEBP: 43}
_RGB_BYTES_PER_PX = 3
_ALPHA_BYTES_PER_PX = 1
# libjpeg keeps all coefficients of a progressive JPEG, two bytes each.
_COEFFICIENT_BYTES = 2
# Pillow stores 2 to 4 channels in four bytes.
_PILLOW_BYTES_PER_PX = 4


class PictureFormat(Enum):
    """The two formats that are read."""

    JPEG = "jpeg"
    PNG = "png"


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself; sizes as stored, before orientation."""

    format: PictureFormat
    width_px: int
    height_px: int
    orientation: int = UPRIGHT
    """EXIF orientation, 1 to 8; 1 for the rare PNG that has its EXIF behind the pixels: `decode` finds it there."""
    channels: int = 3
    """Stored channels: 1 grey or palette, 2 grey with alpha, 3 RGB, 4 CMYK (JPEG) or RGBA (PNG)."""
    is_progressive: bool = False
    segments: tuple[jpeg.Segment, ...] = field(default=(), compare=False, repr=False)
    """A JPEG's header segments, so that `decode` need not look for them again."""

    @property
    def upright_width_px(self) -> int:
        """Width as seen."""
        return self.height_px if is_transposed(self.orientation) else self.width_px

    @property
    def upright_height_px(self) -> int:
        """Height as seen."""
        return self.width_px if is_transposed(self.orientation) else self.height_px


def probe_header(content: bytes, max_side_px: int) -> Header:
    """Read format, size and orientation from the bytes alone; names and declared types never count.

    content: the whole file; costs some 10 µs, up to a millisecond for a header of thousands of segments.
    Raises CorruptImage for anything but a JPEG or PNG with a readable header, ResolutionTooBig (upright) when a side
    is over `max_side_px`.
    """
    if content.startswith(jpeg.SIGNATURE):
        header = _probe_jpeg(content)
    elif content.startswith(png.SIGNATURE):
        header = _probe_png(content)
    elif content:
        raise CorruptImage("The bytes are neither a JPEG nor a PNG; convert the picture first.")
    else:
        raise CorruptImage("The picture has no bytes.")
    if max(header.width_px, header.height_px) > max_side_px:
        raise ResolutionTooBig(header.upright_width_px, header.upright_height_px, max_side_px)
    return header


def picture_bytes(header: Header, output_format: OutputFormat = OutputFormat.PNG) -> int:
    """Estimate the most memory the picture will occupy at once on its way from bytes to encoded result.

    The larger of two peaks: decoding and finishing (RGB twice, alpha, cut-out, its BGRA copy, the encoder's own needs,
    the encoded bytes twice for a moment). Noise that is opaque throughout can take a third more. While it waits for the network a
    picture holds 3 or 4 bytes a pixel.
    """
    pixels = header.width_px * header.height_px
    return max(decoding_bytes(header), pixels * _FINISH_BYTES_PER_PX[output_format])


def decoding_bytes(header: Header) -> int:
    """Estimate the peak of decoding: the decoder's own store and the result, twice if it must be turned."""
    result = decoded_bytes_per_px(header)
    is_pillow_s = header.format is PictureFormat.PNG or header.channels == 4
    store = _PILLOW_BYTES_PER_PX if is_pillow_s else 0
    if header.is_progressive:
        store += _COEFFICIENT_BYTES * header.channels
    if header.orientation != UPRIGHT:
        store = max(store, result)
    return header.width_px * header.height_px * (result + store)


def decoded_bytes_per_px(header: Header) -> int:
    """Return what a decoded pixel takes: RGB, and alpha where the format can hold any."""
    return _RGB_BYTES_PER_PX + (_ALPHA_BYTES_PER_PX if header.format is PictureFormat.PNG else 0)


def _probe_jpeg(content: bytes) -> Header:
    segments = jpeg.read_segments(content)
    frame = jpeg.read_frame(content, segments)
    exif = jpeg.find_exif(content, segments)
    return Header(
        format=PictureFormat.JPEG,
        width_px=frame.width_px,
        height_px=frame.height_px,
        orientation=UPRIGHT if exif is None else read_orientation(exif),
        channels=frame.components,
        is_progressive=frame.is_progressive,
        segments=segments,
    )


def _probe_png(content: bytes) -> Header:
    layout = png.read_layout(content)
    orientation = UPRIGHT
    for chunk in png.walk_chunks(content):
        if chunk.kind == b"eXIf":
            orientation = read_orientation(content[chunk.start : chunk.end])
        if chunk.kind in (b"eXIf", b"IDAT"):
            break
    return Header(
        format=PictureFormat.PNG,
        width_px=layout.width_px,
        height_px=layout.height_px,
        orientation=orientation,
        channels=layout.channels,
    )
