"""From matte to alpha."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from alphacut_server.imaging.matte import combine_alpha, upscale_matte
from support.pictures import disc_alpha, noise

U8 = NDArray[np.uint8]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90))
def test_alpha_has_the_picture_size(height: int, width: int) -> None:
    """Whatever the picture's size, alpha has it, and a solid matte is solid everywhere."""
    alpha = upscale_matte(np.full((32, 32), 255, np.uint8), height, width)

    assert alpha.shape == (height, width)
    assert alpha.dtype == np.uint8
    assert alpha.flags.c_contiguous
    assert alpha.min() == 255


def test_hazy_matte_reaches_both_ends() -> None:
    """A matte that stays between 12 and 249, as sigmoids do, becomes fully empty outside and fully solid inside."""
    matte = (12 + disc_alpha(320, 320).astype(np.uint16) * 237 // 255).astype(np.uint8)

    alpha = upscale_matte(matte, 600, 800)

    assert alpha[0, 0] == 0
    assert alpha[300, 400] == 255
    assert 0.3 < (alpha == 255).mean() < 0.4


@pytest.mark.parametrize("level", range(0, 17))
def test_empty_scene_stays_empty(level: int) -> None:
    """A matte that knows nothing but haze is empty: it is never stretched to its own range."""
    matte = noise(64, 64)[..., 0] % (level + 1)

    assert not upscale_matte(matte, 100, 100).any()


def test_uncertain_matte_stays_uncertain() -> None:
    """A matte of middle values is not pushed to either end."""
    alpha = upscale_matte(np.full((64, 64), 128, np.uint8), 100, 100)

    assert 115 <= alpha.min() <= alpha.max() <= 140


def test_levels_are_monotone_and_gentle() -> None:
    """More matte never gives less alpha, and one level of matte makes at most two of alpha."""
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)

    alpha = upscale_matte(ramp, 16, 16).ravel().astype(int)

    steps = np.diff(alpha)
    assert alpha[0] == 0
    assert alpha[-1] == 255
    assert 0 <= steps.min() <= steps.max() <= 2


def test_upscaling_never_overshoots() -> None:
    """At a hard edge no value lies outside its two sides, and the ramp between them is monotone."""
    matte = np.zeros((8, 8), np.uint8)
    matte[:, 4:] = 200

    alpha = upscale_matte(matte, 64, 64).astype(int)

    assert np.diff(alpha, axis=1).min() >= 0
    assert alpha.max() == upscale_matte(np.full((8, 8), 200, np.uint8), 8, 8)[0, 0]


def test_shrinking_averages() -> None:
    """A picture smaller than the matte gets averages, not samples."""
    matte = np.zeros((64, 64), np.uint8)
    matte[:, ::2] = 255

    alpha = upscale_matte(matte, 8, 128)

    assert 110 < alpha.mean() < 140


def test_matte_is_not_modified() -> None:
    """The matte may be shared between calls."""
    matte = noise(32, 32)[..., 0]
    before = matte.copy()

    upscale_matte(matte, 32, 32)

    assert np.array_equal(matte, before)


def test_product_is_rounded_for_every_pair() -> None:
    """All 65,536 products are the nearest integer of a * b / 255."""
    ours = np.arange(256, dtype=np.uint8)[:, None].repeat(256, axis=1)
    theirs = np.ascontiguousarray(ours.T)

    product = combine_alpha(ours, theirs)

    exact = (ours.astype(np.int64) * theirs * 2 + 255) // 510
    assert np.array_equal(product, exact)


@given(hnp.arrays(np.uint8, (5, 7)), hnp.arrays(np.uint8, (5, 7)))
def test_transparent_input_stays_transparent(alpha: U8, source: U8) -> None:
    """Nothing becomes more opaque than it came in, and what was gone stays gone."""
    combined = combine_alpha(alpha, source)

    assert (combined <= np.minimum(alpha, source)).all()
    assert not combined[source == 0].any()
    assert np.array_equal(combined[source == 255], alpha[source == 255])


def test_no_source_alpha_changes_nothing() -> None:
    """Without transparency in the file alpha is passed on as it is."""
    alpha = disc_alpha(20, 20)

    assert combine_alpha(alpha, None) is alpha


def test_sizes_must_agree() -> None:
    """Two alphas of different sizes are a bug."""
    with pytest.raises(ValueError, match="source_alpha"):
        combine_alpha(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8))
