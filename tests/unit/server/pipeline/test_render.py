"""Alpha to the answer's pixels: layers, crop, and what a format cannot hold."""

import numpy as np
import pytest
from numpy.typing import NDArray

from alphacut_server.imaging.background import Background, Fit, lay_out, put_behind
from alphacut_server.imaging.box import PixelBox, crop_window, subject_box
from alphacut_server.imaging.codec import Picture
from alphacut_server.imaging.colour_names import WHITE, Colour
from alphacut_server.imaging.compose import compose_cutout
from alphacut_server.imaging.encode import OutputFormat
from alphacut_server.imaging.foreground import free_colours
from alphacut_server.imaging.shadow import compose_shadow
from alphacut_server.imaging.shadow_options import ShadowOptions, ShadowType
from alphacut_server.pipeline.render import render
from alphacut_server.pipeline.types import AS_IT_IS, Mode, Output
from support.pictures import disc_alpha, photo, photo_of_size

U8 = NDArray[np.uint8]

RGB, ALPHA = photo(), disc_alpha(400, 600, radius=0.3)
BOX = subject_box(ALPHA)
CANVAS = PixelBox(0, 0, 600, 400)
BEHIND = lay_out(Picture(photo_of_size(300, 700, "rocket.jpg"), None), Fit.NONE, 400, 600)
COLOURED_MODES = (Mode.FG_IMAGE, Mode.FG_IMAGE_SHADOW)


def rendered(mode: Mode, output: Output = AS_IT_IS, background: Background | None = None) -> U8:
    """Render the photo."""
    return render(mode, output, RGB, ALPHA, box=BOX, background=background)


def test_without_options_a_mode_is_its_picture() -> None:
    """The mask is alpha, the others are what imaging makes of it."""
    assert np.array_equal(rendered(Mode.FG_MASK), ALPHA)
    assert np.array_equal(rendered(Mode.FG_IMAGE), compose_cutout(RGB, ALPHA))
    assert np.array_equal(rendered(Mode.FG_IMAGE_SHADOW), compose_shadow(RGB, ALPHA))


@pytest.mark.parametrize("mode", COLOURED_MODES)
@pytest.mark.parametrize(
    "background", [BEHIND, Colour(10, 90, 200), Colour(10, 90, 200, 77)], ids=lambda one: type(one).__name__
)
def test_the_subject_lies_on_its_shadow_and_that_on_the_background(
    mode: Mode, background: Background
) -> None:
    """The background goes behind the finished cut-out, so it looks as if the caller had laid that over it."""
    expected = compose_shadow(RGB, ALPHA) if mode is Mode.FG_IMAGE_SHADOW else compose_cutout(RGB, ALPHA)
    put_behind(expected, background, CANVAS)

    pixels = rendered(mode, background=background)

    assert np.array_equal(pixels, expected)
    assert np.array_equal(pixels[ALPHA == 255][:, :3], RGB[ALPHA == 255])


def test_a_shadow_darkens_the_background() -> None:
    """Below the feet; the same picture without a shadow is lighter there and nowhere darker."""
    plain = rendered(Mode.FG_IMAGE, background=Colour(200, 200, 200)).astype(int)
    shadowed = rendered(Mode.FG_IMAGE_SHADOW, background=Colour(200, 200, 200)).astype(int)

    assert (shadowed[..., 3] == 255).all()
    assert (shadowed - plain).max() <= 1
    assert (plain - shadowed).max() > 40


def test_a_shadow_falls_as_the_options_say() -> None:
    """And the modes without one do not look at them."""
    float_shadow = ShadowOptions(ShadowType.FLOAT, colour=Colour(0, 0, 90))

    pixels = {
        mode: render(mode, AS_IT_IS, RGB, ALPHA, box=BOX, background=None, shadow=float_shadow)
        for mode in Mode
    }

    assert np.array_equal(pixels[Mode.FG_IMAGE_SHADOW], compose_shadow(RGB, ALPHA, float_shadow))
    assert not np.array_equal(pixels[Mode.FG_IMAGE_SHADOW], rendered(Mode.FG_IMAGE_SHADOW))
    assert np.array_equal(pixels[Mode.FG_IMAGE], rendered(Mode.FG_IMAGE))
    assert np.array_equal(pixels[Mode.FG_MASK], ALPHA)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("margin", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("output_format", OutputFormat)
def test_a_crop_is_the_same_part_of_the_whole_canvas(
    mode: Mode, margin: float, output_format: OutputFormat
) -> None:
    """Neither shadow nor background moves with it: what is cut off is all that is missing."""
    whole = rendered(mode, Output(output_format), BEHIND)
    window = crop_window(BOX, margin, 400, 600)

    part = rendered(mode, Output(output_format, margin), BEHIND)

    assert np.array_equal(part, whole[window.slices])


def test_a_crop_without_margin_touches_the_subject_on_every_side() -> None:
    """And keeps all of it."""
    part = rendered(Mode.FG_MASK, Output(crop_margin=0.0))

    assert part.any(axis=1).all()
    assert part.any(axis=0).all()
    assert np.count_nonzero(part) == np.count_nonzero(ALPHA)


def test_without_a_subject_nothing_is_cropped() -> None:
    """The whole canvas, transparent or the background alone."""
    nothing = np.zeros_like(ALPHA)

    pixels = render(Mode.FG_IMAGE, Output(crop_margin=0.0), RGB, nothing, box=None, background=BEHIND)

    expected = np.zeros((400, 600, 4), np.uint8)
    put_behind(expected, BEHIND, CANVAS)
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("mode", COLOURED_MODES)
@pytest.mark.parametrize(
    "background",
    [None, BEHIND, Colour(10, 90, 200, 77), Colour(10, 90, 200)],
    ids=lambda one: type(one).__name__,
)
def test_what_a_jpeg_cannot_show_lies_over_white(mode: Mode, background: Background | None) -> None:
    """Where the background does not reach, or is transparent itself."""
    expected = rendered(mode, background=background)
    put_behind(expected, WHITE, CANVAS)

    pixels = rendered(mode, Output(OutputFormat.JPEG), background)

    assert np.array_equal(pixels, expected)
    assert (pixels[..., 3] == 255).all()


def test_a_mask_stays_a_mask_in_every_format() -> None:
    """White under a mask would make no sense."""
    for output_format in OutputFormat:
        assert np.array_equal(rendered(Mode.FG_MASK, Output(output_format)), ALPHA)


@pytest.mark.parametrize("mode", Mode)
def test_freed_colours_are_the_picture_s_with_only_the_soft_edge_changed(mode: Mode) -> None:
    """As if the picture had been freed before: opaque pixels, alpha and masks stay as they are."""
    plain = rendered(mode)
    pixels = render(mode, AS_IT_IS, RGB, ALPHA, box=BOX, background=None, frees_colours=True)

    freed = render(mode, AS_IT_IS, free_colours(RGB, ALPHA), ALPHA, box=BOX, background=None)
    assert np.array_equal(pixels, freed)
    assert np.array_equal(pixels[ALPHA == 255], plain[ALPHA == 255])
    assert np.array_equal(pixels, plain) is (mode is Mode.FG_MASK)
