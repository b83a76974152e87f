"""What a file's first bytes decide."""

import struct
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphacut_server.errors import CorruptImage, ResolutionTooBig
from alphacut_server.imaging.encode import OutputFormat
from alphacut_server.imaging.probe import Header, PictureFormat, picture_bytes, probe_header
from support.pictures import (
    PNG_SIGNATURE,
    PngColour,
    gradient,
    ihdr,
    insert_after_soi,
    jpeg_bytes,
    jpeg_segment,
    noise,
    png_bytes,
    png_chunk,
)

LIMIT = 4096
OTHER_FORMATS = {
    "webp": b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0" + bytes(24),
    "gif": b"GIF89a\x01\0\x01\0\0\0\0;",
    "bmp": b"BM" + bytes(60),
    "tiff": b"II*\0\x08\0\0\0" + bytes(60),
    "text": b"no picture",
    "half a png signature": PNG_SIGNATURE[:5],
    "jpeg marker alone": b"\xff\xd8",
}


def huge_png(width: int, height: int) -> bytes:
    """Make a PNG that claims a size and holds next to nothing."""
    return PNG_SIGNATURE + ihdr(width, height) + png_chunk(b"IDAT", b"x") + png_chunk(b"IEND")


def huge_jpeg(width: int, height: int) -> bytes:
    """Make a JPEG that claims a size and holds next to nothing."""
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0"
    scan = b"\x01\x01\0\0\x3f\0"
    return b"\xff\xd8" + jpeg_segment(0xC0, frame) + jpeg_segment(0xDA, scan) + b"\0\xff\xd9"


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_header_is_read(progressive: bool) -> None:
    """A JPEG tells its size, channels and whether it is progressive."""
    content = jpeg_bytes(gradient(30, 50), progressive=progressive)

    header = probe_header(content, LIMIT)

    assert header == Header(PictureFormat.JPEG, 50, 30, is_progressive=progressive)


def test_png_header_is_read() -> None:
    """A PNG tells its size and channels."""
    content = png_bytes(noise(30, 50, 4))

    header = probe_header(content, LIMIT)

    assert header == Header(PictureFormat.PNG, 50, 30, channels=4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_and_upright_size_are_read(orientation: int) -> None:
    """Both formats tell their EXIF orientation, and from 5 on width and height change places."""
    contents = (
        jpeg_bytes(gradient(30, 50), orientation=orientation),
        png_bytes(gradient(30, 50), orientation=orientation),
    )

    headers = [probe_header(content, LIMIT) for content in contents]

    upright = (30, 50) if orientation >= 5 else (50, 30)
    assert [header.orientation for header in headers] == [orientation] * 2
    assert [(header.upright_width_px, header.upright_height_px) for header in headers] == [upright] * 2


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_other_formats_are_refused(name: str) -> None:
    """Nothing but JPEG and PNG is read, whatever it calls itself."""
    content = OTHER_FORMATS[name]

    with pytest.raises(CorruptImage):
        probe_header(content, LIMIT)


def test_empty_file_is_refused() -> None:
    """No bytes are no picture."""
    with pytest.raises(CorruptImage, match="no bytes"):
        probe_header(b"", LIMIT)


@pytest.mark.parametrize("make", [huge_png, huge_jpeg])
@pytest.mark.parametrize(("width", "height"), [(4097, 10), (10, 4097), (60000, 60000)])
def test_side_over_the_limit_is_refused(make: Callable[[int, int], bytes], width: int, height: int) -> None:
    """A side over the limit is refused in either direction, and the error carries the numbers."""
    content = make(width, height)

    with pytest.raises(ResolutionTooBig) as caught:
        probe_header(content, LIMIT)

    assert caught.value.metadata == {"width": str(width), "height": str(height), "limit": str(LIMIT)}


@pytest.mark.parametrize("make", [huge_png, huge_jpeg])
def test_side_at_the_limit_is_allowed(make: Callable[[int, int], bytes]) -> None:
    """The limit itself is allowed."""
    header = probe_header(make(LIMIT, LIMIT), LIMIT)

    assert (header.width_px, header.height_px) == (LIMIT, LIMIT)


def test_refusal_reports_the_upright_size() -> None:
    """A turned picture is reported as it is seen."""
    content = jpeg_bytes(gradient(20, 60), orientation=6)

    with pytest.raises(ResolutionTooBig) as caught:
        probe_header(content, 50)

    assert (caught.value.metadata["width"], caught.value.metadata["height"]) == ("20", "60")


@pytest.mark.parametrize("make", [huge_png, huge_jpeg])
def test_refusal_allocates_no_pixels(make: Callable[[int, int], bytes]) -> None:
    """A file that claims 65,500 pixels a side is refused with less than 64 KiB of memory."""
    content = make(65500, 65500)
    tracemalloc.start()

    try:
        with pytest.raises(ResolutionTooBig):
            probe_header(content, LIMIT)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < 1 << 16


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0)])
@pytest.mark.parametrize("make", [huge_png, huge_jpeg])
def test_zero_size_is_refused(make: Callable[[int, int], bytes], width: int, height: int) -> None:
    """A picture without pixels is corrupt, not small."""
    content = make(width, height)

    with pytest.raises(CorruptImage):
        probe_header(content, LIMIT)


@pytest.mark.parametrize("name", ["jpeg", "png"])
def test_truncated_header_is_refused(name: str) -> None:
    """Every cut before the first coded pixel is refused."""
    content = {"jpeg": jpeg_bytes(gradient(8, 8)), "png": png_bytes(gradient(8, 8))}[name]
    end = content.index(b"\xff\xda") if name == "jpeg" else 33

    for cut in range(end):
        with pytest.raises(CorruptImage):
            probe_header(content[:cut], LIMIT)


@pytest.mark.parametrize(
    ("bits", "colour"),
    [(3, PngColour.GREY), (16, PngColour.PALETTE), (4, PngColour.RGB), (1, PngColour.RGBA)],
)
def test_impossible_png_depth_is_refused(bits: int, colour: PngColour) -> None:
    """Depths that the colour type does not have are refused."""
    content = PNG_SIGNATURE + ihdr(5, 5, bits, colour) + png_chunk(b"IDAT") + png_chunk(b"IEND")

    with pytest.raises(CorruptImage):
        probe_header(content, LIMIT)


def test_damaged_png_header_is_refused() -> None:
    """IHDR is checked by its CRC."""
    content = bytearray(png_bytes(gradient(8, 8)))
    content[19] ^= 1

    with pytest.raises(CorruptImage):
        probe_header(bytes(content), LIMIT)


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xCB])
def test_unreadable_jpeg_kinds_are_refused(marker: int) -> None:
    """Lossless and hierarchical JPEGs are refused from the header."""
    content = huge_jpeg(10, 10).replace(b"\xff\xc0", bytes((0xFF, marker)))

    with pytest.raises(CorruptImage):
        probe_header(content, LIMIT)


def test_second_frame_header_is_refused() -> None:
    """Two frame headers could make two readers disagree about the size."""
    content = insert_after_soi(huge_jpeg(10, 10), huge_jpeg(9999, 10)[2:15])

    with pytest.raises(CorruptImage):
        probe_header(content, LIMIT)


def test_stray_bytes_in_the_header_are_skipped() -> None:
    """Fill bytes and a little junk between segments do no harm."""
    content = insert_after_soi(jpeg_bytes(gradient(30, 50)), jpeg_segment(0xE3, b"x") + b"\0\0\xff\xff\xff")

    assert probe_header(content, LIMIT).width_px == 50


@pytest.mark.parametrize(("stray_bytes", "is_read"), [(60_000, True), (70_000, False)])
def test_stray_bytes_are_bounded(stray_bytes: int, is_read: bool) -> None:
    """More junk than 64 KiB in a header is not searched through, even if a whole picture follows."""
    content = insert_after_soi(jpeg_bytes(gradient(30, 50)), jpeg_segment(0xE3, b"x") + bytes(stray_bytes))

    try:
        found = probe_header(content, LIMIT).width_px == 50
    except CorruptImage:
        found = False

    assert found is is_read


@pytest.mark.parametrize(
    "filler",
    [b"\xff", b"\0", b"\xff\xd0", b"\xff\0", b"\xff\xe0\0\2"],
    ids=["fill", "zero", "restart", "escape", "empty"],
)
def test_endless_header_is_refused(filler: bytes) -> None:
    """Megabytes of bytes that mean nothing before the frame are refused, not searched through."""
    content = b"\xff\xd8\xff\xe0\0\2" + filler * (1 << 20)

    with pytest.raises(CorruptImage):
        probe_header(content, LIMIT)


@pytest.mark.parametrize(
    "broken",
    [b"", b"II", b"XX*\0", b"II*\0\xff\xff\xff\xff", b"II\0\0\x08\0\0\0", b"II*\0\x08\0\0\0\xff\xff"],
)
def test_broken_exif_is_upright(broken: bytes) -> None:
    """A broken EXIF block never fails a picture; it is shown as stored."""
    content = insert_after_soi(jpeg_bytes(gradient(30, 50)), jpeg_segment(0xE1, b"Exif\0\0" + broken))

    assert probe_header(content, LIMIT).orientation == 1


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff", PNG_SIGNATURE, PNG_SIGNATURE + ihdr(9, 9)]),
)
def test_random_bytes_give_a_header_or_a_refusal(content: bytes, start: bytes) -> None:
    """Whatever the bytes are, the answer is a header within the limit or one of the two refusals."""
    try:
        header = probe_header(start + content, LIMIT)
    except (CorruptImage, ResolutionTooBig):
        return

    assert 0 < header.width_px <= LIMIT
    assert 0 < header.height_px <= LIMIT


def test_estimate_grows_with_pixels_and_kind() -> None:
    """The memory estimate follows the pixels, and is never below what a cut-out itself needs."""
    small, large = Header(PictureFormat.JPEG, 10, 10), Header(PictureFormat.JPEG, 20, 20)
    progressive = Header(PictureFormat.JPEG, 10, 10, channels=4, is_progressive=True)

    assert picture_bytes(large) == 4 * picture_bytes(small)
    assert picture_bytes(progressive) >= picture_bytes(small) >= 100 * 8
    assert picture_bytes(large, OutputFormat.WEBP) > picture_bytes(large, OutputFormat.JPEG)
