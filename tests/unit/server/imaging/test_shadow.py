"""The subject over its shadow."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alphacut_server.imaging.arrays import U8Alpha
from alphacut_server.imaging.box import subject_box
from alphacut_server.imaging.colour_names import Colour
from alphacut_server.imaging.compose import compose_cutout
from alphacut_server.imaging.shadow import compose_shadow
from alphacut_server.imaging.shadow_options import DEFAULT_SHADOW, ShadowOptions, ShadowType
from support.pictures import disc_alpha, noise, photo

Opacity = NDArray[np.int64]
Box = tuple[int, int, int, int]


def standing_block(height: int = 300, width: int = 400) -> U8Alpha:
    """Make the alpha of an opaque block that stands in the middle of the canvas."""
    alpha = np.zeros((height, width), np.uint8)
    alpha[height // 4 : height * 3 // 4, width // 3 : width * 2 // 3] = 255
    return alpha


def blocks(size: tuple[int, int], boxes: list[Box], value: int) -> U8Alpha:
    """Make an alpha of boxes, given by corners in any order that may lie beyond the canvas."""
    alpha = np.zeros(size, np.uint8)
    for first_row, last_row, first_column, last_column in boxes:
        top, bottom = sorted(row % size[0] for row in (first_row, last_row))
        left, right = sorted(column % size[1] for column in (first_column, last_column))
        alpha[top : bottom + 1, left : right + 1] = value
    return alpha


def added(alpha: U8Alpha, **chosen: Any) -> Opacity:
    """How much opacity the shadow adds, per pixel."""
    options = replace(DEFAULT_SHADOW, **chosen)
    shadowed = compose_shadow(noise(*alpha.shape), alpha, options)[..., 3].astype(np.int64)
    return np.asarray(shadowed - alpha, np.int64)


ALPHAS = st.builds(
    blocks,
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.lists(st.tuples(*[st.integers(0, 89)] * 4), max_size=3),
    st.sampled_from([1, 90, 254, 255]),
)
SHARES = st.floats(0, 1) | st.sampled_from([0.0, 1.0])
OPTIONS = st.builds(
    ShadowOptions,
    st.sampled_from(ShadowType),
    st.none() | st.floats(0, 360, exclude_max=True) | st.sampled_from([0.0, 90.0, 180.0, 270.0]),
    st.floats(0, 90, exclude_min=True) | st.sampled_from([1e-30, 90.0]),
    SHARES,
    SHARES,
    st.builds(Colour, *[st.integers(0, 255)] * 3),
)


@settings(max_examples=150, deadline=None)
@given(ALPHAS, OPTIONS)
def test_shadow_only_adds(alpha: U8Alpha, options: ShadowOptions) -> None:
    """Any subject, any options: alpha never falls, opaque pixels stay, RGB is zero where alpha is, and so does the size."""
    rgb = noise(*alpha.shape)

    result = compose_shadow(rgb, alpha, options)

    assert result.shape == (*alpha.shape, 4)
    assert (result[..., 3] >= alpha).all()
    assert np.array_equal(result[alpha == 255][:, :3], rgb[alpha == 255])
    assert not result[result[..., 3] == 0].any()
    assert np.array_equal(result, compose_shadow(rgb, alpha, options))


@settings(max_examples=60, deadline=None)
@given(ALPHAS, OPTIONS, SHARES)
def test_shadow_grows_with_opacity(alpha: U8Alpha, options: ShadowOptions, opacity: float) -> None:
    """Pixel by pixel; at 0 there is none."""
    rgb = np.zeros((*alpha.shape, 3), np.uint8)
    low, high = sorted((opacity, options.opacity))

    faint, strong = (compose_shadow(rgb, alpha, replace(options, opacity=each)) for each in (low, high))

    assert (faint[..., 3] <= strong[..., 3]).all()
    assert np.array_equal(
        compose_shadow(rgb, alpha, replace(options, opacity=0.0)), compose_cutout(rgb, alpha)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(40, 200), st.integers(40, 200), st.integers(4, 36), st.integers(2, 100))
def test_nothing_falls_above_the_subject(height: int, width: int, row: int, tall: int) -> None:
    """On a floor, with the default light: the shadow lies beside and below it."""
    alpha = np.zeros((height, width), np.uint8)
    alpha[row : min(row + tall, height - 4), width // 3 : width * 2 // 3] = 255

    assert not added(alpha)[:row].any()


@pytest.mark.parametrize("kind", ShadowType)
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3), (2000, 5)], ids=str)
def test_tiny_and_thin_pictures_are_cut(kind: ShadowType, shape: tuple[int, int]) -> None:
    """Filled to the border they have no room for a shadow."""
    alpha = np.full(shape, 255, np.uint8)

    assert not added(alpha, type=kind).any()


@pytest.mark.parametrize("kind", ShadowType)
def test_every_kind_shows(kind: ShadowType) -> None:
    """Each darkens something below the middle of a standing block, and each in its own way."""
    alpha = standing_block()

    opacity = added(alpha, type=kind)

    assert opacity[150:].max() > 30
    others = [added(alpha, type=other) for other in ShadowType if other is not kind]
    assert not any(np.array_equal(opacity, other) for other in others)


def centre_of(opacity: Opacity) -> float:
    """Return the mean column of what was added."""
    return float(opacity.sum(axis=0) @ np.arange(opacity.shape[1]) / opacity.sum())


def test_direction_is_where_the_shadow_points() -> None:
    """Right and left as in a mirror; behind lies higher in the picture than in front."""
    alpha = standing_block(301, 401)
    alpha[:, :] = 0
    alpha[75:225, 150:251] = 255
    right, left, behind, front = (
        added(alpha, type=ShadowType.CAST, direction_deg=degrees, elevation_deg=30.0)
        for degrees in (90.0, 270.0, 0.0, 180.0)
    )

    assert centre_of(right) > 215
    assert centre_of(left) < 185
    assert np.abs(right - left[:, ::-1]).max() <= 2
    assert front[230:].sum() > 2 * behind[230:].sum()


def test_a_lower_light_throws_farther() -> None:
    """The reach to the right grows as the light sinks; overhead there is next to none."""
    alpha = standing_block(300, 900)
    reach = [
        int(np.flatnonzero((added(alpha, type=ShadowType.CAST, elevation_deg=each) > 6).any(axis=0))[-1])
        for each in (90.0, 60.0, 45.0, 30.0)
    ]

    assert reach == sorted(reach)
    assert reach[0] < 640
    assert reach[-1] > reach[0] + 60


@pytest.mark.parametrize("kind", [ShadowType.CAST, ShadowType.CONTACT, ShadowType.DROP, ShadowType.FLOAT])
def test_softness_softens(kind: ShadowType) -> None:
    """The steepest step from pixel to pixel falls."""
    hard, soft = (added(standing_block(), type=kind, softness=each)[228:] for each in (0.0, 1.0))

    assert np.abs(np.diff(soft, axis=1)).max() < np.abs(np.diff(hard, axis=1)).max()


def test_colour_is_that_of_the_shadow_alone() -> None:
    """What is added has it; a half-transparent pixel mixes it with the subject's by their weights."""
    alpha = standing_block()
    alpha[222:226, 140:260] = 100
    rgb = np.full((300, 400, 3), 200, np.uint8)

    result = compose_shadow(rgb, alpha, ShadowOptions(colour=Colour(10, 60, 250)))

    assert (result[(alpha == 0) & (result[..., 3] > 0)][:, :3] == (10, 60, 250)).all()
    total = int(result[224, 200, 3])
    mixed = (np.array([200, 200, 200]) * 100 + np.array([10, 60, 250]) * (total - 100)) / total
    assert total > 110
    assert np.abs(result[224, 200, :3] - mixed).max() <= 0.501


def test_a_subject_that_the_lower_edge_cuts_off_gets_a_drop_shadow() -> None:
    """No floor is seen: a soft copy goes all around, also beside the subject's upper half."""
    alpha = np.zeros((300, 400), np.uint8)
    alpha[60:, 120:280] = 255

    automatic = added(alpha)

    assert np.array_equal(automatic, added(alpha, type=ShadowType.DROP))
    assert automatic[100:150, 284].min() > 10
    assert not np.array_equal(automatic, added(alpha, type=ShadowType.CAST))


def test_two_feet_on_the_last_row_are_not_cut_off() -> None:
    """Something that stands at the lower edge on a tenth of its width still stands."""
    alpha = np.zeros((300, 400), np.uint8)
    alpha[60:270, 100:300] = 255
    alpha[270:, 110:120] = alpha[270:, 280:290] = 255

    assert not np.array_equal(added(alpha), added(alpha, type=ShadowType.DROP))
    assert not added(alpha)[:60].any()


def test_two_subjects_at_different_depths_each_have_a_shadow() -> None:
    """At the foot of either, the one behind included."""
    alpha = np.zeros((300, 500), np.uint8)
    alpha[60:220, 80:160] = 255
    alpha[90:260, 300:400] = 255

    opacity = added(alpha)

    assert opacity[222, 100:140].min() > 40
    assert opacity[262, 320:380].min() > 40
    assert opacity[262, 100:140].max() < opacity[222, 100:140].min() / 2


def test_specks_of_the_matte_throw_no_shadow() -> None:
    """A stray island high up changes nothing around it."""
    alpha = standing_block()
    alpha[20:24, 20:24] = 255

    assert not added(alpha)[:60, :60].any()


def test_shadow_fades_before_a_border_that_the_subject_keeps_away_from() -> None:
    """A long shadow that the canvas is too small for ends softly: its last column is clear."""
    opacity = added(standing_block(300, 400), type=ShadowType.CAST, direction_deg=90.0, elevation_deg=15.0)

    assert opacity[:, 300:360].max() > 20
    assert opacity[:, -1].max() <= 1


def test_a_picture_and_its_enlargement_have_the_same_shadow() -> None:
    """Sizes are shares of the subject's."""
    small = added(standing_block(240, 320))
    large = added(standing_block(720, 960))

    assert np.abs(large[1::3, 1::3] - small)[185:].max() < 20
    assert abs(large.mean() - small.mean()) < 0.3


def test_shadow_lies_at_the_foot() -> None:
    """The shadow is strongest right under the subject, and there is none above it nor at the canvas's edge."""
    alpha = standing_block()

    opacity = added(alpha)

    assert opacity[226, 200] > 60
    assert opacity[226, 200] > opacity[232, 200] > opacity[245, 200]
    assert not opacity[:75].any()
    assert not opacity[-20:].any()
    assert not opacity[:, 0].any()


def test_shadow_is_soft() -> None:
    """Opacity changes by small steps everywhere outside the subject."""
    opacity = added(standing_block(600, 800))[450:]

    assert np.abs(np.diff(opacity, axis=0)).max() < 32
    assert np.abs(np.diff(opacity, axis=1)).max() < 32


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


@pytest.mark.parametrize("kind", ShadowType)
def test_empty_alpha_has_no_shadow(kind: ShadowType) -> None:
    """Without a subject nothing is drawn."""
    options = ShadowOptions(kind, colour=Colour(255, 0, 0))

    assert not compose_shadow(photo(), np.zeros((400, 600), np.uint8), options).any()


def test_shadow_is_deterministic() -> None:
    """The same input gives the same bytes."""
    rgb, alpha = photo(), disc_alpha(400, 600)

    assert np.array_equal(compose_shadow(rgb, alpha), compose_shadow(rgb, alpha))


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
