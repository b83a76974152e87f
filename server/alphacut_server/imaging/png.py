"""The outside of a PNG: its chunks (PNG specification, third edition), read without inflating the pixels."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from alphacut_server.errors import CorruptImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# 16 MiB in the 8 KiB pieces that libpng writes are 2,048 chunks; the cap keeps a file of empty chunks from costing time.
_MAX_CHUNKS = 65_536
# The largest CMYK profiles in use have 2 to 3 MiB; the cap bounds what a forged chunk may inflate to.
_MAX_PROFILE_BYTES = 4 << 20
_INFLATE_STEP_BYTES = 1 << 20
_FIRST_CHUNK_END = len(SIGNATURE) + 25


class ColourType(IntEnum):
    """The colour types of the specification."""

    GREY = 0
    RGB = 2
    PALETTE = 3
    GREY_ALPHA = 4
    RGB_ALPHA = 6


_DEPTHS = {
    ColourType.GREY: (1, 2, 4, 8, 16),
    ColourType.RGB: (8, 16),
    ColourType.PALETTE: (1, 2, 4, 8),
    ColourType.GREY_ALPHA: (8, 16),
    ColourType.RGB_ALPHA: (8, 16),
}
_CHANNELS = {
    ColourType.GREY: 1,
    ColourType.RGB: 3,
    ColourType.PALETTE: 1,
    ColourType.GREY_ALPHA: 2,
    ColourType.RGB_ALPHA: 4,
}
# Passes of the Adam7 method: first column, first row, column step, row step.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk; `start` and `end` enclose its payload, without length, type and CRC."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What IHDR says."""

    height_px: int
    width_px: int
    bits: int
    colour: ColourType
    is_interlaced: bool

    @property
    def channels(self) -> int:
        """Stored channels, 1 to 4; a palette's index is one."""
        return _CHANNELS[self.colour]

    @property
    def is_grey(self) -> bool:
        """Tell whether the picture has no colour."""
        return self.colour in (ColourType.GREY, ColourType.GREY_ALPHA)

    @property
    def inflated_bytes(self) -> int:
        """Size of the inflated scan lines, filter bytes included."""
        passes = _PASSES if self.is_interlaced else ((0, 0, 1, 1),)
        total = 0
        for first_x, first_y, step_x, step_y in passes:
            width = max(0, -(-(self.width_px - first_x) // step_x))
            height = max(0, -(-(self.height_px - first_y) // step_y))
            if width:
                total += height * (1 + -(-width * self.channels * self.bits // 8))
        return total


def read_layout(content: bytes) -> Layout:
    """Read IHDR, which must come first. Raises CorruptImage when it is missing, cut short or says what cannot be."""
    ihdr = content[len(SIGNATURE) : _FIRST_CHUNK_END]
    if len(ihdr) < 25 or ihdr[:8] != b"\0\0\0\rIHDR":
        raise CorruptImage("The PNG ends within its header; send the whole file.")
    width, height, bits, colour, compression, filtering, interlace, crc = struct.unpack(">IIBBBBBI", ihdr[8:])
    if zlib.crc32(ihdr[4:21]) != crc or compression or filtering or interlace > 1:
        raise CorruptImage("The PNG's header is damaged; send the whole, unchanged file.")
    if colour not in _DEPTHS or bits not in _DEPTHS[ColourType(colour)] or not width or not height:
        raise CorruptImage("The PNG's header says what no PNG can have; save it again with an image editor.")
    return Layout(height, width, bits, ColourType(colour), bool(interlace))


def walk_chunks(content: bytes) -> Iterator[Chunk]:
    """Yield the chunks behind IHDR, up to and without IEND; raises CorruptImage when IEND is never reached."""
    position = _FIRST_CHUNK_END
    for _ in range(_MAX_CHUNKS):
        length = int.from_bytes(content[position : position + 4], "big")
        kind, end = content[position + 4 : position + 8], position + 8 + length
        if end + 4 > len(content):
            break
        if kind == b"IEND":
            return
        yield Chunk(kind, position + 8, end)
        position = end + 4
    raise CorruptImage("The PNG ends before its last chunk; send the whole file.")


def first_chunk(content: bytes, chunks: Sequence[Chunk], kind: bytes) -> bytes | None:
    """Give the payload of the first chunk of that kind, or None."""
    for chunk in chunks:
        if chunk.kind == kind:
            return content[chunk.start : chunk.end]
    return None


def find_icc(content: bytes, chunks: Sequence[Chunk]) -> bytes | None:
    """Inflate the ICC profile of iCCP; None when it is missing, broken or inflates beyond 4 MiB."""
    payload = first_chunk(content, chunks, b"iCCP")
    name_end = payload.find(b"\0", 0, 80) if payload else -1
    if payload is None or name_end < 0:
        return None
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(payload[name_end + 2 :], _MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if inflater.eof else None


def strip(content: bytes, chunks: Sequence[Chunk]) -> bytes:
    """Copy the PNG down to its pixels: IHDR and IDAT alone. No decoder then sees a profile, text or animation."""
    data = [content[chunk.start - 8 : chunk.end + 4] for chunk in chunks if chunk.kind == b"IDAT"]
    return b"".join([content[:_FIRST_CHUNK_END], *data, b"\0\0\0\0IEND\xae\x42\x60\x82"])


def has_every_row(content: bytes, chunks: Sequence[Chunk], layout: Layout) -> bool:
    """Tell whether the coded data inflates to all scan lines; stops there, so a bomb costs no more than a picture.

    Costs the inflation, about a third of a decode, and holds 1 MiB.
    """
    inflater = zlib.decompressobj()
    total, wanted = 0, layout.inflated_bytes
    try:
        for chunk in chunks:
            if chunk.kind != b"IDAT":
                continue
            pending = content[chunk.start : chunk.end]
            while pending and total < wanted:
                total += len(inflater.decompress(pending, _INFLATE_STEP_BYTES))
                pending = inflater.unconsumed_tail
    except zlib.error:
        return False
    return total >= wanted
