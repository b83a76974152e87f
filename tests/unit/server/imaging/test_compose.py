"""The plain cut-out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphacut_server.imaging.compose import compose_cutout
from support.pictures import disc_alpha, noise, photo


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 150), st.integers(1, 20), st.integers(0, 9), st.sampled_from([0, 64, 192]))
def test_cutout_keeps_colours_and_empties_the_rest(height: int, width: int, seed: int, floor: int) -> None:
    """Alpha is taken over, colour is the input's where alpha is above 0 and zero elsewhere; inputs are not written."""
    rgb, alpha = noise(height, width, seed=seed), noise(height, width, 1, seed=seed + 1)[..., 0]
    alpha[alpha <= floor] = 0
    rgb_before, alpha_before = rgb.copy(), alpha.copy()

    cutout = compose_cutout(rgb, alpha)

    assert np.array_equal(cutout[..., 3], alpha)
    assert np.array_equal(cutout[alpha > 0][:, :3], rgb[alpha > 0])
    assert not cutout[alpha == 0].any()
    assert np.array_equal(rgb, rgb_before)
    assert np.array_equal(alpha, alpha_before)


def test_photo_is_cut_out() -> None:
    """A real photo: opaque pixels are byte-identical, the outside is empty, the array is ready for encoding."""
    rgb, alpha = photo(), disc_alpha(400, 600)

    cutout = compose_cutout(rgb, alpha)

    assert np.array_equal(cutout[alpha == 255][:, :3], rgb[alpha == 255])
    assert not cutout[0].any()
    assert cutout.flags.c_contiguous


def test_sizes_must_agree() -> None:
    """A picture and an alpha of different sizes are a bug."""
    with pytest.raises(ValueError, match="alpha"):
        compose_cutout(noise(4, 4), np.zeros((4, 5), np.uint8))
