"""The soft contact shadow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alphacut_server.imaging.box import subject_box
from alphacut_server.imaging.compose import compose_cutout
from alphacut_server.imaging.shadow import compose_shadow
from support.pictures import disc_alpha, noise, photo

U8 = NDArray[np.uint8]


def standing_block(height: int = 300, width: int = 400) -> U8:
    """Make the alpha of an opaque block that stands in the middle of the canvas."""
    alpha = np.zeros((height, width), np.uint8)
    alpha[height // 4 : height * 3 // 4, width // 3 : width * 2 // 3] = 255
    return alpha


def added(alpha: U8) -> NDArray[np.int64]:
    """How much opacity the shadow adds, per pixel."""
    shadowed = compose_shadow(noise(*alpha.shape), alpha)[..., 3].astype(np.int64)
    return np.asarray(shadowed - alpha, np.int64)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(*[st.integers(0, 89)] * 4),
    st.sampled_from([1, 90, 254, 255]),
)
def test_shadow_only_adds(size: tuple[int, int], corners: tuple[int, int, int, int], value: int) -> None:
    """For any subject: alpha never falls, opaque pixels are untouched, RGB is zero where alpha is, size stays."""
    alpha = np.zeros(size, np.uint8)
    top, bottom = sorted(corner % size[0] for corner in corners[:2])
    left, right = sorted(corner % size[1] for corner in corners[2:])
    alpha[top : bottom + 1, left : right + 1] = value
    rgb = noise(*size)

    result = compose_shadow(rgb, alpha)

    assert result.shape == (*size, 4)
    assert (result[..., 3] >= alpha).all()
    assert np.array_equal(result[alpha == 255][:, :3], rgb[alpha == 255])
    assert not result[result[..., 3] == 0].any()


def test_shadow_lies_at_the_foot() -> None:
    """The shadow is strongest right under the subject, and there is none over its upper half nor at the canvas's edge."""
    alpha = standing_block()

    opacity = added(alpha)

    assert opacity[226, 200] > 60
    assert opacity[226, 200] > opacity[232, 200] > opacity[245, 200]
    assert not opacity[:150].any()
    assert not opacity[-20:].any()
    assert not opacity[:, 0].any()


def test_shadow_is_soft() -> None:
    """Opacity changes by small steps everywhere outside the subject."""
    opacity = added(standing_block(600, 800))[450:]

    assert np.abs(np.diff(opacity, axis=0)).max() < 25
    assert np.abs(np.diff(opacity, axis=1)).max() < 25


def test_shadow_is_black() -> None:
    """Where there was no subject, what is added has no colour."""
    alpha = standing_block()

    result = compose_shadow(noise(300, 400), alpha)

    assert not result[alpha == 0][:, :3].any()
    assert result[alpha == 0][:, 3].any()


def test_more_opaque_subject_throws_more_shadow() -> None:
    """Shadow grows with the subject's opacity, pixel by pixel (one level for rounding)."""
    block = standing_block()

    faint, middle, solid = (added((block // 255 * value).astype(np.uint8)) for value in (60, 150, 255))

    outside = block == 0
    assert (faint[outside] <= middle[outside] + 1).all()
    assert (middle[outside] <= solid[outside] + 1).all()
    assert faint[outside].sum() < middle[outside].sum() < solid[outside].sum()


def test_soft_edge_over_shadow_is_straight_alpha() -> None:
    """A half-transparent pixel over shadow composites on white as subject over shadow over white."""
    alpha = standing_block()
    alpha[222:226, 140:260] = 100
    rgb = np.full((300, 400, 3), 200, np.uint8)

    result = compose_shadow(rgb, alpha).astype(float)

    out = result[224, 200, 3] / 255
    shadow = 1 - (1 - out) / (1 - 100 / 255)
    expected = 200 * 100 / 255 + (1 - 100 / 255) * (1 - shadow) * 255
    assert out > 100 / 255 + 0.1
    assert result[224, 200, 0] * out + 255 * (1 - out) == pytest.approx(expected, abs=1.0)


def test_empty_alpha_has_no_shadow() -> None:
    """Without a subject nothing is drawn."""
    assert not compose_shadow(photo(), np.zeros((400, 600), np.uint8)).any()


def test_shadow_is_deterministic() -> None:
    """The same input gives the same bytes."""
    rgb, alpha = photo(), disc_alpha(400, 600)

    assert np.array_equal(compose_shadow(rgb, alpha), compose_shadow(rgb, alpha))


def test_subject_at_the_lower_edge_is_kept() -> None:
    """A subject cut off by the canvas is not harmed, and the canvas does not grow."""
    alpha = np.zeros((200, 300), np.uint8)
    alpha[50:, 100:200] = 255
    rgb = noise(200, 300)

    result = compose_shadow(rgb, alpha)

    assert result.shape == (200, 300, 4)
    assert np.array_equal(result[50:, 100:200], compose_cutout(rgb, alpha)[50:, 100:200])


def test_shadow_follows_the_subject() -> None:
    """Moving the subject moves the shadow with it."""
    alpha = standing_block()
    moved = np.roll(alpha, 40, axis=1)

    first, second = (
        subject_box((added(alpha) > 20).astype(np.uint8)),
        subject_box((added(moved) > 20).astype(np.uint8)),
    )

    assert first is not None
    assert second is not None
    assert abs(second.x - first.x - 40) <= 2
    assert first.y == second.y


def test_sizes_must_agree() -> None:
    """A picture and an alpha of different sizes are a bug."""
    with pytest.raises(ValueError, match="alpha"):
        compose_shadow(noise(4, 4), np.zeros((4, 5), np.uint8))
