"""What a PNG's stored samples mean: palette, transparency and depth, resolved to RGB and alpha band by band."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alphacut_server.errors import CorruptImage
from alphacut_server.imaging import png
from alphacut_server.imaging.png import Chunk, ColourType, Layout

_U8 = NDArray[np.uint8]
_Samples = NDArray[np.uint8] | NDArray[np.uint16]

# Factor from a grey of 1, 2 or 4 bits to 8 bits: exact, as 255 is a multiple of 1, 3 and 15.
_TO_8_BITS = {1: 255, 2: 85, 4: 17, 8: 1}


@dataclass(frozen=True, slots=True)
class SampleReader:
    """Turns bands of decoded samples of one PNG into RGB and alpha."""

    colour: ColourType
    palette: _U8 | None
    """(256, 3) uint8, black where the file has fewer entries; None when the colour type has no palette."""
    palette_alpha: _U8 | None
    """(256,) uint8, 255 where the file says nothing; None when every entry is opaque."""
    key: tuple[int, ...] | None
    """The one grey or RGB value that is transparent, at the depth that Pillow gives the samples in."""

    @property
    def has_alpha(self) -> bool:
        """Tell whether the file can hold transparent pixels at all."""
        has_channel = self.colour in (ColourType.GREY_ALPHA, ColourType.RGB_ALPHA)
        return has_channel or self.palette_alpha is not None or self.key is not None

    def read(self, band: Image.Image, rgb: _U8, alpha: _U8 | None) -> None:
        """Write one band's pixels.

        band: as Pillow decodes it. rgb: (h, w, 3) uint8, written. alpha: (h, w) uint8, written; None exactly when
        `has_alpha` is false.
        """
        samples: _Samples = np.asarray(band.convert("L") if band.mode == "1" else band)
        if self.palette is not None:
            rgb[...] = self.palette[samples]
        elif self.colour in (ColourType.RGB, ColourType.RGB_ALPHA):
            rgb[...] = samples[..., :3]
        else:
            grey = samples if samples.ndim == 2 else samples[..., 0]
            rgb[...] = (grey >> 8 if grey.dtype == np.uint16 else grey)[..., None]
        if alpha is not None:
            alpha[...] = self._alpha(samples)

    def _alpha(self, samples: _Samples) -> _Samples:
        if self.palette_alpha is not None:
            return self.palette_alpha[samples]
        if self.key is not None:
            is_key = np.ones(samples.shape[:2], np.bool_)
            for channel, value in enumerate(self.key):
                is_key &= (samples if samples.ndim == 2 else samples[..., channel]) == value
            return np.where(is_key, np.uint8(0), np.uint8(255))
        return samples[..., -1]


def sample_reader(content: bytes, chunks: Sequence[Chunk], layout: Layout) -> SampleReader:
    """Read palette and transparency from the chunks. Raises CorruptImage for a palette picture without palette.

    A colour key of 16-bit RGB is compared by high bytes, the only ones that are decoded. A transparency chunk that
    does not fit the colour type is ignored, as libpng does.
    """
    transparency = png.first_chunk(content, chunks, b"tRNS")
    if layout.colour is ColourType.PALETTE:
        palette_alpha = (
            None if transparency is None else _padded_table(transparency[:256], 255, 1).reshape(256)
        )
        return SampleReader(layout.colour, _read_palette(content, chunks), palette_alpha, None)
    key = None if transparency is None else _read_key(transparency, layout)
    return SampleReader(layout.colour, None, None, key)


def _read_palette(content: bytes, chunks: Sequence[Chunk]) -> _U8:
    entries = png.first_chunk(content, chunks, b"PLTE")
    if not entries or len(entries) % 3 or len(entries) > 768:
        raise CorruptImage("The PNG's palette is missing or damaged; save it again with an image editor.")
    return _padded_table(entries, 0, 3)


def _padded_table(entries: bytes, fill: int, width: int) -> _U8:
    table = np.full(256 * width, fill, np.uint8)
    table[: len(entries)] = np.frombuffer(entries, np.uint8)
    return table.reshape(256, width)


def _read_key(transparency: bytes, layout: Layout) -> tuple[int, ...] | None:
    channels = {ColourType.GREY: 1, ColourType.RGB: 3}.get(layout.colour)
    if channels is None or len(transparency) != 2 * channels:
        return None
    values = tuple(int.from_bytes(transparency[i : i + 2], "big") for i in range(0, len(transparency), 2))
    if layout.colour is ColourType.RGB:
        return tuple(value >> 8 for value in values) if layout.bits == 16 else values
    return values if layout.bits == 16 else (values[0] * _TO_8_BITS[layout.bits],)
