"""Which way is up."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphacut_server.imaging.exif import is_transposed, read_orientation, turn_upright
from support.pictures import exif_block, noise, stored_as


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_in_both_byte_orders(orientation: int, big_endian: bool) -> None:
    """The tag is read from little and big endian blocks."""
    assert read_orientation(exif_block(orientation, big_endian=big_endian)) == orientation


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_impossible_orientation_is_upright(value: int) -> None:
    """A value outside 1 to 8 counts as none."""
    assert read_orientation(exif_block(value)) == 1


def test_long_orientation_is_read() -> None:
    """Some writers store the tag as a LONG."""
    block = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0x0112, 4, 1, 6) + bytes(4)

    assert read_orientation(block) == 6


def test_block_without_the_tag_is_upright() -> None:
    """Other tags are passed over."""
    block = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0x010F, 2, 1, 6) + bytes(4)

    assert read_orientation(block) == 1


@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\0", b"MM\0*", b"MM\0*\0\0\0\x08"]))
def test_any_block_gives_an_orientation(content: bytes, start: bytes) -> None:
    """No block raises; the answer is one of the eight."""
    assert 1 <= read_orientation(start + content) <= 8


@pytest.mark.parametrize("channels", [0, 3, 4])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_undoes_what_the_camera_did(orientation: int, channels: int) -> None:
    """Grey, RGB and RGBA arrays come out upright and contiguous, and the input is not written."""
    upright = noise(7, 12, channels or 1)
    upright = upright if channels else upright[..., 0]
    stored = stored_as(upright, orientation)
    before = stored.copy()

    turned = turn_upright(stored, orientation)

    assert np.array_equal(turned, upright)
    assert turned.flags.c_contiguous
    assert np.array_equal(stored, before)
    assert is_transposed(orientation) == (stored.shape[:2] != upright.shape[:2])
