"""The outside of a JPEG: its marker segments (ITU-T T.81 annex B), read without touching the coded pixels."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alphacut_server.errors import CorruptImage

SIGNATURE = b"\xff\xd8\xff"

_SOS = 0xDA
_EOI = 0xD9
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
# Baseline, extended and progressive Huffman, then the same with arithmetic coding: what 8-bit decoders read.
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_UNREADABLE_FRAMES = frozenset((0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF))
_PROGRESSIVE_FRAMES = frozenset((0xC2, 0xCA))
# What a decoder needs besides the frame and the scans; everything else is dropped by `strip`.
_CODING = frozenset((_APP0, _APP14, 0xC4, 0xCC, 0xDB, 0xDD))
# A 16 MiB file of full segments has 256; the cap keeps a file of empty segments from costing seconds.
_MAX_SEGMENTS = 4096
# Stray bytes tolerated in the header: real files have a handful.
_MAX_STRAY_BYTES = 64 << 10
# A marker that opens a segment or ends the file: not an escaped 0xFF, a fill byte, a restart or another bare marker.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")

_EXIF_PREFIX = b"Exif\0\0"
_ICC_PREFIX = b"ICC_PROFILE\0"


@dataclass(frozen=True, slots=True)
class Segment:
    """One marker segment of the header; `start` and `end` enclose its payload, without marker and length."""

    marker: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What the frame header says."""

    height_px: int
    width_px: int
    components: int
    is_progressive: bool


def read_segments(content: bytes) -> tuple[Segment, ...]:
    """List the marker segments up to and including the first scan header.

    Stray bytes between segments are skipped, as every decoder does. Raises CorruptImage when the header ends early.
    """
    segments: list[Segment] = []
    for segment in _walk(content, 2, _MAX_STRAY_BYTES):
        segments.append(segment)
        if segment.marker == _SOS:
            return tuple(segments)
        if len(segments) >= _MAX_SEGMENTS:
            raise CorruptImage("The JPEG has too many header segments; save it again with an image editor.")
    raise CorruptImage("The JPEG ends within its header; send the whole file.")


def read_frame(content: bytes, segments: Sequence[Segment]) -> Frame:
    """Read the one frame header. Raises CorruptImage when there is none, several, or one no 8-bit decoder reads."""
    frames = [segment for segment in segments if segment.marker in _FRAMES | _UNREADABLE_FRAMES]
    if len(frames) != 1 or frames[0].marker in _UNREADABLE_FRAMES:
        raise CorruptImage("The JPEG is of a kind that is not read (lossless, hierarchical or broken).")
    payload = content[frames[0].start : frames[0].end]
    if len(payload) < 6 or len(payload) < 6 + 3 * payload[5]:
        raise CorruptImage("The JPEG's frame header is cut short; send the whole file.")
    precision, components = payload[0], payload[5]
    if precision != 8 or components not in (1, 3, 4):
        raise CorruptImage(
            f"A JPEG of {precision} bits and {components} components is not read; save it as 8-bit RGB."
        )
    height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    if height == 0 or width == 0:
        raise CorruptImage("The JPEG's header says that it has no pixels.")
    return Frame(height, width, components, frames[0].marker in _PROGRESSIVE_FRAMES)


def find_exif(content: bytes, segments: Sequence[Segment]) -> bytes | None:
    """Give the TIFF block of the first EXIF segment, or None."""
    for segment in segments:
        if segment.marker == _APP1 and content.startswith(_EXIF_PREFIX, segment.start, segment.end):
            return content[segment.start + len(_EXIF_PREFIX) : segment.end]
    return None


def find_icc(content: bytes, segments: Sequence[Segment]) -> bytes | None:
    """Put the ICC profile together from its numbered pieces (ICC.1 annex B.4); None when missing or incomplete."""
    pieces: dict[int, bytes] = {}
    total = 0
    for segment in segments:
        if segment.marker == _APP2 and content.startswith(_ICC_PREFIX, segment.start, segment.end):
            body = content[segment.start + len(_ICC_PREFIX) : segment.end]
            if len(body) > 2:
                pieces[body[0]] = body[2:]
                total = body[1]
    if not pieces or sorted(pieces) != list(range(1, total + 1)):
        return None
    return b"".join(pieces[number] for number in range(1, total + 1))


def has_more_scans(content: bytes, segments: Sequence[Segment], limit: int) -> bool:
    """Tell whether more than `limit` scans follow the header.

    Each scan of a progressive JPEG costs a pass over the whole picture and can be some thirty bytes long, so their
    number decides what a small file can cost.
    """
    start = segments[-1].start
    # Inside coded data 0xFF is always escaped, so the plain count is exact but for payloads between scans and
    # bytes behind the end, which can only add to it: only a file over the limit is walked properly.
    if content.count(b"\xff\xda", start) < limit:
        return False
    scans = 1
    for segment in _walk(content, segments[-1].end, len(content)):
        scans += segment.marker == _SOS
        if scans > limit:
            return True
    return False


def strip(content: bytes, segments: Sequence[Segment]) -> bytes:
    """Copy the JPEG without its metadata: frame, tables and scans, in the same order, and the colour markers."""
    kept = [s for s in segments[:-1] if s.marker in _CODING | _FRAMES]
    parts = [b"\xff\xd8", *(content[s.start - 4 : s.end] for s in kept), content[segments[-1].start - 4 :]]
    return b"".join(parts)


def _walk(content: bytes, start: int, stray_bytes: int) -> Iterator[Segment]:
    """Yield segments from `start` to EOI, the end or more than `stray_bytes` between segments.

    Raises CorruptImage for a segment that reaches beyond the end.
    """
    position = start
    while (match := _MARKER.search(content, position, position + stray_bytes + 2)) is not None:
        stray_bytes -= match.start() - position
        marker, position = match[1][0], match.end()
        if marker == _EOI:
            return
        length = int.from_bytes(content[position : position + 2], "big")
        if length < 2 or position + length > len(content):
            raise CorruptImage("The JPEG ends within its header; send the whole file.")
        yield Segment(marker, position + 2, position + length)
        position += length
