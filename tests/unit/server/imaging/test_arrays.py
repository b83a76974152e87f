"""The checks at the room's border."""

import numpy as np
import pytest

from alphacut_server.imaging.arrays import check_alpha, check_image


def test_right_arrays_pass_through() -> None:
    """What fits comes back as it is."""
    image, alpha = np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint8)

    assert check_image(image) is image
    assert check_alpha(alpha) is alpha


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (1, 2, 3, 3)])
def test_other_shapes_are_no_image(shape: tuple[int, ...]) -> None:
    """An image has three channels."""
    with pytest.raises(ValueError, match=r"image: wanted \(H, W, 3\)"):
        check_image(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 1)])
def test_other_shapes_are_no_alpha(shape: tuple[int, ...]) -> None:
    """Alpha has no channel axis."""
    with pytest.raises(ValueError, match=r"alpha: wanted \(H, W\)"):
        check_alpha(np.zeros(shape, np.uint8))


def test_other_types_are_refused() -> None:
    """Only uint8 travels between stages."""
    wrong = np.zeros((2, 3), np.float32)

    with pytest.raises(ValueError, match="float32"):
        check_alpha(wrong)  # type: ignore[arg-type]  # the wrong type is the point of the test
