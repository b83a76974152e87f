"""The plain cut-out, and what it looks like over something."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alphacut_server.imaging.compose import compose_cutout, lay_over
from support.pictures import disc_alpha, noise, photo

U8 = NDArray[np.uint8]


def over(cutout: U8, rgb: U8, alpha: U8) -> NDArray[np.float64]:
    """Compose straight alpha in float64: (H, W, 4), 0 to 255."""
    above, below = cutout[..., 3:] / 255, alpha[..., None] / 255
    rest = below * (1 - above)
    result = above + rest
    colours = np.divide(
        cutout[..., :3] * above + rgb * rest, result, out=np.zeros(rgb.shape), where=result > 0
    )
    return np.concatenate([colours, result * 255], axis=2)


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


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 60),
    st.integers(0, 99),
    st.sampled_from([0, 100, 250]),
    st.sampled_from([None, 0, 100, 250]),
)
def test_over_is_as_exact_as_8_bits_can_be(
    height: int, width: int, seed: int, floor: int, below_floor: int | None
) -> None:
    """Within 0.501 levels of float64 in every channel; RGB is zero where the result is transparent."""
    alpha = noise(height, width, 1, seed=seed)[..., 0]
    alpha[alpha < floor] = 0
    alpha[alpha > 255 - floor // 2] = 255
    cutout = compose_cutout(noise(height, width, seed=seed + 1), alpha)
    rgb, below = noise(height, width, seed=seed + 2), None
    if below_floor is not None:
        below = noise(height, width, 1, seed=seed + 3)[..., 0].copy()
        below[below < below_floor] = 0
    opaque = np.full((height, width), 255, np.uint8)
    exact = over(cutout, rgb, opaque if below is None else below)
    result, rgb_before = cutout.copy(), rgb.copy()

    lay_over(result, rgb, below)

    assert np.abs(result - exact).max() <= 0.501
    assert not result[result[..., 3] == 0].any()
    assert np.array_equal(result[alpha == 255], cutout[alpha == 255])
    assert np.array_equal(rgb, rgb_before)


@pytest.mark.parametrize("below", [None, 0, 1, 128, 254, 255])
def test_over_is_exact_for_every_colour_and_opacity(below: int | None) -> None:
    """All 256 colours at all 256 opacities, over black, grey and white."""
    colours, alpha = (channel.astype(np.uint8) for channel in np.meshgrid(np.arange(256), np.arange(256)))
    cutout = compose_cutout(np.dstack([colours] * 3), alpha)
    opacity = np.full((256, 256), 255 if below is None else below, np.uint8)
    for value in (0, 127, 255):
        rgb = np.full((256, 256, 3), value, np.uint8)
        result = cutout.copy()

        lay_over(result, rgb, None if below is None else opacity)

        assert np.abs(result - over(cutout, rgb, opacity)).max() <= 0.501
        assert np.array_equal(result[255], cutout[255])


def test_nothing_over_nothing_is_nothing() -> None:
    """A transparent picture below changes nothing, whatever colours it hides."""
    cutout = compose_cutout(noise(20, 30), disc_alpha(20, 30))
    result = cutout.copy()

    lay_over(result, noise(20, 30, seed=1), np.zeros((20, 30), np.uint8))

    assert np.array_equal(result, cutout)


def test_a_part_of_a_canvas_is_laid_over_a_part_of_a_picture() -> None:
    """Views of larger arrays give what their copies give, and the rest stays."""
    canvas = compose_cutout(noise(40, 50), disc_alpha(40, 50))
    before, rgb, below = canvas.copy(), noise(60, 70, seed=1), noise(60, 70, 1, seed=2)[..., 0]
    here, there = (slice(3, 33), slice(5, 45)), (slice(20, 50), slice(11, 51))
    alone = canvas[here].copy()
    lay_over(alone, rgb[there].copy(), below[there].copy())

    lay_over(canvas[here], rgb[there], below[there])

    assert np.array_equal(canvas[here], alone)
    before[here] = alone
    assert np.array_equal(canvas, before)
