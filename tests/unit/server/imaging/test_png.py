"""The outside of a PNG."""

import zlib

import numpy as np
import pytest

from alphacut_server.errors import CorruptImage
from alphacut_server.imaging.png import (
    ColourType,
    Layout,
    find_icc,
    has_every_row,
    read_layout,
    strip,
    walk_chunks,
)
from support.pictures import PNG_SIGNATURE, ihdr, noise, png_bytes, png_chunk


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (13, 5), (2, 40)])
def test_inflated_size_is_exact(size: tuple[int, int], bits: int, interlaced: bool) -> None:
    """The size computed from the header is the size of the rows a writer makes, small interlaced pictures included."""
    content = png_bytes(np.zeros(size, np.uint8), bits=bits, interlaced=interlaced)
    (data,) = (content[c.start : c.end] for c in walk_chunks(content) if c.kind == b"IDAT")

    assert read_layout(content).inflated_bytes == len(zlib.decompress(data))


def test_layout_is_read() -> None:
    """IHDR's fields have their names."""
    layout = read_layout(PNG_SIGNATURE + ihdr(7, 5, 16, interlaced=True))

    assert layout == Layout(5, 7, 16, ColourType.RGB, True)


def test_stripped_copy_holds_pixels_alone() -> None:
    """Everything but header, data and end is left out, and the data is untouched."""
    plain = png_bytes(noise(9, 9))
    content = png_bytes(noise(9, 9), icc=b"x", orientation=3, after_idat=[png_chunk(b"tEXt", b"a\0b")])

    assert strip(content, tuple(walk_chunks(content))) == plain


def test_split_data_is_kept_in_order() -> None:
    """A picture in many small data chunks is whole."""
    data = zlib.compress(b"\0\x01\x02\x03" * 3)
    parts = b"".join(png_chunk(b"IDAT", data[i : i + 1]) for i in range(len(data)))
    content = PNG_SIGNATURE + ihdr(1, 3) + parts + png_chunk(b"IEND")
    chunks = tuple(walk_chunks(content))

    assert len(chunks) == len(data)
    assert has_every_row(content, chunks, read_layout(content))


def test_profile_over_the_cap_is_none() -> None:
    """A profile that inflates beyond 4 MiB is no profile; one of 4 MiB is."""
    largest = bytes(4 << 20)
    contents = [png_bytes(noise(2, 2), icc=profile) for profile in (largest, largest + b"\0")]

    profiles = [find_icc(content, tuple(walk_chunks(content))) for content in contents]

    assert profiles == [largest, None]


def test_missing_end_is_refused() -> None:
    """Without IEND the chunks are not all there."""
    content = PNG_SIGNATURE + ihdr(4, 4) + png_chunk(b"IDAT", b"x")

    with pytest.raises(CorruptImage):
        tuple(walk_chunks(content))
