"""The network's input."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphacut_server.imaging.tensor import to_tensor
from support.pictures import gradient, photo, photo_of_size


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 120), st.integers(1, 120), st.sampled_from([1, 16, 64]))
def test_tensor_has_the_side_for_any_picture(height: int, width: int, side: int) -> None:
    """Whatever the picture's size, the tensor is square, uint8 and contiguous, and stays within its colours' range."""
    rgb = np.full((height, width, 3), (10, 130, 250), np.uint8)

    tensor = to_tensor(rgb, side)

    assert tensor.shape == (side, side, 3)
    assert tensor.dtype == np.uint8
    assert tensor.flags.c_contiguous
    assert np.abs(tensor.astype(int) - (10, 130, 250)).max() <= 1


def test_shrinking_averages_areas() -> None:
    """A picture larger than the side both ways is averaged: each value is the mean of its block."""
    rgb = photo()[:320, :480]

    tensor = to_tensor(rgb, 160)

    blocks = rgb.reshape(160, 2, 160, 3, 3).mean(axis=(1, 3))
    assert np.abs(tensor - blocks).max() <= 1


def test_growing_is_lanczos() -> None:
    """A picture smaller than the side both ways is interpolated by Lanczos."""
    rgb = photo_of_size(40, 50)

    tensor = to_tensor(rgb, 96)

    assert np.array_equal(tensor, cv2.resize(rgb, (96, 96), interpolation=cv2.INTER_LANCZOS4))


def test_long_thin_picture_is_averaged_along_its_length() -> None:
    """A fine pattern along the axis that shrinks averages out even though the other axis grows."""
    rgb = np.zeros((8, 2000, 3), np.uint8)
    rgb[:, ::2] = 255

    tensor = to_tensor(rgb, 40)

    assert np.abs(tensor.astype(int) - 128).max() <= 1


def test_picture_is_stretched_not_cropped() -> None:
    """All four corners of the picture are in the tensor's corners."""
    tensor = to_tensor(gradient(100, 300), 50)

    assert tensor[0, [0, -1], 0].tolist() == pytest.approx([0, 255], abs=5)
    assert tensor[[0, -1], 0, 1].tolist() == pytest.approx([0, 255], abs=5)


def test_tensor_owns_its_memory() -> None:
    """A picture that has the side already is copied, so that the caller may drop or change it."""
    rgb = photo_of_size(32, 32)

    tensor = to_tensor(rgb, 32)

    assert np.array_equal(tensor, rgb)
    assert not np.shares_memory(tensor, rgb)


def test_wrong_array_is_a_bug() -> None:
    """A picture without three channels is refused as a bug."""
    with pytest.raises(ValueError, match="image"):
        to_tensor(np.zeros((4, 4), np.uint8), 32)
