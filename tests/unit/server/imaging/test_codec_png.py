"""PNGs of every kind the specification knows, written by the tests themselves."""

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from alphacut_server.errors import CorruptImage, ResolutionTooBig
from alphacut_server.imaging.codec import Picture, decode
from alphacut_server.imaging.probe import probe_header
from support.pictures import (
    PNG_SIGNATURE,
    PngColour,
    exif_block,
    ihdr,
    noise,
    photo,
    photo_of_size,
    png_bytes,
    png_chunk,
    stored_as,
)
from support.profiles import cmyk_profile, grey_profile, rgb_profile, srgb_profile

U8 = NDArray[np.uint8]


def read(content: bytes) -> Picture:
    """Probe and decode."""
    return decode(content, probe_header(content, 4096))


def samples(bits: int, channels: int, seed: int = 3) -> NDArray[np.uint16]:
    """Make random samples of a depth: (19, 23, channels) uint16 below 2**bits, with both extremes."""
    made = np.random.default_rng(seed).integers(0, 1 << bits, (19, 23, channels)).astype(np.uint16)
    made[0, 0], made[0, 1] = 0, (1 << bits) - 1
    return made


def to_8_bits(values: NDArray[np.uint16], bits: int) -> U8:
    """Scale samples to 8 bits as the specification says: 16 bits by the high byte, fewer by repetition."""
    return np.asarray(values >> 8 if bits == 16 else values * (255 // ((1 << bits) - 1)), np.uint8)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_of_every_depth(bits: int, interlaced: bool) -> None:
    """Grey of 1 to 16 bits is scaled to 8, never clipped, and has three equal channels."""
    stored = samples(bits, 1)

    picture = read(png_bytes(stored, bits=bits, interlaced=interlaced))

    assert np.array_equal(picture.rgb, to_8_bits(stored, bits).repeat(3, axis=2))
    assert picture.alpha is None


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colour_and_alpha_of_every_depth(bits: int, channels: int, interlaced: bool) -> None:
    """Grey with alpha, RGB and RGBA of 8 and 16 bits come out exactly, alpha aside."""
    stored = samples(bits, channels)

    picture = read(png_bytes(stored, bits=bits, interlaced=interlaced))

    expected = to_8_bits(stored, bits)
    colour = expected[..., :3] if channels > 2 else expected[..., :1].repeat(3, axis=2)
    assert np.array_equal(picture.rgb, colour)
    if channels == 3:
        assert picture.alpha is None
    else:
        assert picture.alpha is not None
        assert np.array_equal(picture.alpha, expected[..., -1])


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_of_every_depth(bits: int, interlaced: bool) -> None:
    """Palette indices become the palette's colours."""
    stored, palette = samples(bits, 1), noise(1, 1 << bits)[0]

    picture = read(png_bytes(stored, bits=bits, interlaced=interlaced, palette=palette))

    assert np.array_equal(picture.rgb, palette[stored[..., 0]])
    assert picture.alpha is None


def test_palette_transparency_covers_its_first_entries() -> None:
    """A short transparency table leaves the other entries opaque."""
    stored, palette = samples(4, 1), noise(1, 16)[0]

    picture = read(png_bytes(stored, bits=4, palette=palette, transparency=b"\x00\x80"))

    table = np.array([0, 128] + [255] * 14, np.uint8)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, table[stored[..., 0]])


def test_index_beyond_the_palette_is_black() -> None:
    """An index without an entry is black, as browsers show it."""
    stored = np.array([[0, 9]], np.uint8)

    picture = read(png_bytes(stored, palette=np.array([[7, 8, 9]], np.uint8)))

    assert picture.rgb.tolist() == [[[7, 8, 9], [0, 0, 0]]]


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_colour_key_is_transparent(bits: int) -> None:
    """The grey that tRNS names is transparent, at the file's own depth; all else is opaque."""
    stored = samples(bits, 1)
    key = int(stored[5, 5, 0])

    picture = read(png_bytes(stored, bits=bits, transparency=struct.pack(">H", key)))

    assert picture.alpha is not None
    assert np.array_equal(picture.alpha == 0, stored[..., 0] == key)
    assert set(np.unique(picture.alpha)) == {0, 255}


@pytest.mark.parametrize("bits", [8, 16])
def test_rgb_colour_key_is_transparent(bits: int) -> None:
    """The one colour that tRNS names is transparent."""
    stored = samples(bits, 3)
    stored[4:8, 4:8] = stored[5, 5]

    picture = read(png_bytes(stored, bits=bits, transparency=struct.pack(">HHH", *stored[5, 5].tolist())))

    expected = np.full((19, 23), 255, np.uint8)
    expected[4:8, 4:8] = 0
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, expected)


@pytest.mark.parametrize("transparency", [b"", b"\0", b"\0\0\0"])
def test_unfitting_transparency_is_ignored(transparency: bytes) -> None:
    """A transparency chunk of the wrong length counts as none."""
    assert read(png_bytes(noise(5, 5), transparency=transparency)).alpha is None


def test_opaque_alpha_is_none() -> None:
    """An alpha channel that is 255 throughout is no transparency."""
    stored = np.dstack([noise(9, 9), np.full((9, 9), 255, np.uint8)])

    assert read(png_bytes(stored)).alpha is None


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_agree(orientation: int, after: bool) -> None:
    """Colour and alpha are turned upright, wherever the EXIF chunk stands."""
    upright = noise(30, 50, 4)
    chunk = [png_chunk(b"eXIf", exif_block(orientation, big_endian=True))]
    stored = stored_as(upright, orientation)

    picture = read(png_bytes(stored, before_idat=[] if after else chunk, after_idat=chunk if after else []))

    assert np.array_equal(picture.rgb, upright[..., :3])
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, upright[..., 3])
    assert picture.rgb.flags.c_contiguous
    assert picture.alpha.flags.c_contiguous


def test_wide_gamut_profile_changes_colours() -> None:
    """An RGB profile is applied to the colours and never to alpha."""
    stored = np.full((300, 4, 4), (100, 180, 100, 77), np.uint8)

    picture = read(png_bytes(stored, icc=rgb_profile()))

    assert picture.rgb[..., 0].max() < 80
    assert picture.alpha is not None
    assert np.unique(picture.alpha).tolist() == [77]


@pytest.mark.parametrize("stored", [np.full((300, 4), 128, np.uint8), np.full((300, 4, 2), 128, np.uint8)])
def test_grey_profile_is_used(stored: U8) -> None:
    """A grey profile of linear light brightens the middle, with and without alpha."""
    rgb = read(png_bytes(stored, icc=grey_profile(gamma=1.0))).rgb

    assert 186 <= rgb.min() <= rgb.max() <= 190


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"iCCP", b"x\0\0" + zlib.compress(srgb_profile())),
        png_chunk(b"iCCP", b"x\0\0" + zlib.compress(cmyk_profile())),
        png_chunk(b"iCCP", b"x\0\0broken"),
        png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(8 << 20))),
        png_chunk(b"iCCP", b""),
        png_chunk(b"gAMA", struct.pack(">I", 100000)),
        png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(16 << 20))),
        png_chunk(b"acTL", struct.pack(">II", 3, 0)),
    ],
    ids=["sRGB", "CMYK", "broken", "bomb", "empty", "gamma", "text bomb", "animation"],
)
def test_chunk_changes_nothing(chunk: bytes) -> None:
    """Profiles that are sRGB or of no use, gamma, text bombs and animation leave the stored colours alone."""
    stored = noise(20, 30)

    assert np.array_equal(read(png_bytes(stored, before_idat=[chunk])).rgb, stored)


def test_animation_gives_its_first_picture() -> None:
    """An animated PNG is read as its default picture."""
    first, second = (Image.fromarray(noise(20, 30, seed=seed)) for seed in (1, 2))
    buffer = io.BytesIO()
    first.save(buffer, "PNG", save_all=True, append_images=[second])

    assert np.array_equal(read(buffer.getvalue()).rgb, np.asarray(first))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000))
def test_every_truncation_is_refused(cut: int) -> None:
    """However many bytes are missing at the end, the picture is refused."""
    content = png_bytes(noise(30, 30))

    with pytest.raises(CorruptImage):
        read(content[: max(0, len(content) - cut)])


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 50, 99])
def test_missing_rows_are_refused(rows: int, interlaced: bool) -> None:
    """A stream that ends properly, but before the last row, is refused though every checksum holds."""
    data = png_chunk(b"IDAT", zlib.compress((b"\0" + b"\xaa" * 300) * rows))
    content = PNG_SIGNATURE + ihdr(100, 100, interlaced=interlaced) + data + png_chunk(b"IEND")

    with pytest.raises(CorruptImage):
        read(content)


@pytest.mark.parametrize("interlaced", [False, True])
def test_black_last_row_is_no_missing_row(interlaced: bool) -> None:
    """A whole picture that ends black is read."""
    stored = noise(33, 20)
    stored[-9:] = 0

    assert np.array_equal(read(png_bytes(stored, interlaced=interlaced)).rgb, stored)


@pytest.mark.parametrize("palette", [None, b"", b"ab", bytes(771)])
def test_unusable_palette_is_refused(palette: bytes | None) -> None:
    """A palette picture needs a palette."""
    chunks = [] if palette is None else [png_chunk(b"PLTE", palette)]

    with pytest.raises(CorruptImage):
        read(png_bytes(np.zeros((4, 4), np.uint8), colour=PngColour.PALETTE, before_idat=chunks))


@pytest.mark.slow
def test_data_bomb_costs_no_more_than_its_picture() -> None:
    """Data that inflates to 256 MiB behind a 64-pixel header is never inflated beyond the picture."""
    deflater = zlib.compressobj(9)
    block = bytes(1 << 20)
    data = b"".join([*(deflater.compress(block) for _ in range(256)), deflater.flush()])
    content = PNG_SIGNATURE + ihdr(64, 64) + png_chunk(b"IDAT", data) + png_chunk(b"IEND")
    tracemalloc.start()

    try:
        rgb = read(content).rgb
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert not rgb.any()
    assert peak_bytes < 8 << 20


def test_endless_chunks_are_refused() -> None:
    """Hundreds of thousands of empty chunks are refused after a bounded number."""
    content = PNG_SIGNATURE + ihdr(4, 4) + png_chunk(b"tEXt") * 100_000 + png_chunk(b"IEND")

    with pytest.raises(CorruptImage):
        read(content)


def test_bytes_behind_the_end_are_ignored() -> None:
    """Nothing behind IEND counts."""
    content = png_bytes()

    assert np.array_equal(read(content + b"\xff" * 999).rgb, photo())


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 3000),
    st.binary(min_size=1, max_size=4),
    st.sampled_from(["rgba", "palette", "interlaced"]),
)
def test_damaged_bytes_give_a_picture_or_a_refusal(position: int, damage: bytes, kind: str) -> None:
    """Whatever bytes are damaged, the answer is a picture of the header's size or a refusal."""
    made = {
        "rgba": png_bytes(noise(24, 30, 4)),
        "palette": png_bytes(samples(4, 1), bits=4, palette=noise(1, 16)[0], transparency=b"\x01\x02"),
        "interlaced": png_bytes(noise(24, 30), interlaced=True, icc=rgb_profile()),
    }
    content = bytearray(made[kind])
    at = position % len(content)
    content[at : at + len(damage)] = damage

    try:
        header = probe_header(bytes(content), 200)
        picture = decode(bytes(content), header)
    except (CorruptImage, ResolutionTooBig):
        return

    assert picture.rgb.shape == (header.upright_height_px, header.upright_width_px, 3)


def test_filters_of_other_writers_are_read() -> None:
    """A photo from a writer that uses every row filter comes out exactly."""
    stored = photo_of_size(515, 60)
    done, encoded = cv2.imencode(
        ".png", stored[..., ::-1], [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS]
    )

    assert done
    assert np.array_equal(read(encoded.tobytes()).rgb, stored)
