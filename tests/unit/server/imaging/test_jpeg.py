"""The outside of a JPEG."""

import io

import numpy as np
import pytest
from PIL import Image

from alphacut_server.imaging.jpeg import find_exif, find_icc, has_more_scans, read_frame, read_segments, strip
from support.pictures import exif_block, insert_after_soi, jpeg_bytes, jpeg_segment, photo_of_size


def test_segments_reach_to_the_first_scan() -> None:
    """The list ends with the first scan header, wherever 0xDA stands before it."""
    content = insert_after_soi(jpeg_bytes(), jpeg_segment(0xE5, b"\xff\xda\xff\xd9"))

    segments = read_segments(content)

    assert [segment.marker for segment in segments].count(0xDA) == 1
    assert segments[-1].marker == 0xDA
    assert content[segments[0].start : segments[0].end] == b"\xff\xda\xff\xd9"


def test_profile_is_put_together_in_order() -> None:
    """Numbered pieces are joined by number, not by place."""
    pieces = (jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes((n, 3)) + bytes([n]) * 4) for n in (2, 3, 1))
    content = insert_after_soi(jpeg_bytes(), b"".join(pieces))

    profile = find_icc(content, read_segments(content))

    assert profile == b"\x01" * 4 + b"\x02" * 4 + b"\x03" * 4


def test_first_exif_counts() -> None:
    """Of several EXIF segments the first is taken, and XMP in the same marker is passed over."""
    extra = jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")
    extra += b"".join(jpeg_segment(0xE1, b"Exif\0\0" + exif_block(n)) for n in (5, 6))
    content = insert_after_soi(jpeg_bytes(), extra)

    assert find_exif(content, read_segments(content)) == exif_block(5)


@pytest.mark.parametrize("progressive", [False, True])
def test_stripped_copy_has_the_same_pixels(progressive: bool) -> None:
    """Without its metadata, and stray bytes among it, the JPEG decodes the same."""
    extra = jpeg_segment(0xFE, b"note") + b"\0\0" + jpeg_segment(0xE1, b"Exif\0\0" + exif_block(5))
    plain = jpeg_bytes(photo_of_size(60, 80), progressive=progressive)
    content = insert_after_soi(plain, extra)

    stripped = strip(content, read_segments(content))

    assert len(stripped) <= len(plain)
    before, after = (np.asarray(Image.open(io.BytesIO(jpeg))) for jpeg in (plain, stripped))
    assert np.array_equal(before, after)


def test_frame_tells_progressive_and_components() -> None:
    """Size, components and kind come from the frame header."""
    content = jpeg_bytes(photo_of_size(60, 80), progressive=True)

    frame = read_frame(content, read_segments(content))

    assert (frame.height_px, frame.width_px, frame.components, frame.is_progressive) == (60, 80, 3, True)


@pytest.mark.parametrize(("limit", "expected"), [(9, True), (10, False), (11, False)])
def test_scans_are_counted_to_the_limit(limit: int, expected: bool) -> None:
    """The usual progressive script has ten scans; look-alikes within segments and behind the end do not count."""
    content = jpeg_bytes(photo_of_size(60, 80), progressive=True)
    at = content.rindex(b"\xff\xda")
    content = content[:at] + jpeg_segment(0xFE, b"\xff\xda" * 9) + content[at:] + b"\xff\xda" * 9

    assert has_more_scans(content, read_segments(content), limit) is expected
