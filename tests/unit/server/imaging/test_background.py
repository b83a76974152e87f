"""Backgrounds: where they lie, how they are scaled, and how they look behind a subject."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from alphacut_server.imaging.background import (
    Backdrop,
    Fit,
    Span,
    backdrop_bytes,
    find_spans,
    lay_out,
    put_behind,
)
from alphacut_server.imaging.box import PixelBox
from alphacut_server.imaging.codec import Picture
from alphacut_server.imaging.colour_names import Colour
from alphacut_server.imaging.compose import compose_cutout, lay_over
from alphacut_server.imaging.probe import Header, PictureFormat
from support.pictures import disc_alpha, gradient, noise, photo, photo_of_size

U8 = NDArray[np.uint8]

SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))


def empty(height: int, width: int) -> U8:
    """Return a canvas on which nothing is."""
    return np.zeros((height, width, 4), np.uint8)


def laid(picture: Picture, fit: Fit, height: int, width: int) -> U8:
    """Return a background alone on its canvas, RGBA."""
    canvas = empty(height, width)
    put_behind(canvas, lay_out(picture, fit, height, width), PixelBox(0, 0, width, height))
    return canvas


def centre_of(span: Span, size: int) -> float:
    """Return where on the canvas a background's middle comes to lie, px."""
    scale = span.scaled / span.length
    return span.at - span.skipped + (size / 2 - span.start) * scale


@pytest.mark.parametrize(
    ("size", "canvas", "span"),
    [
        (4, 10, Span(0, 4, 4, 0, 3, 4)),
        (5, 10, Span(0, 5, 5, 0, 2, 5)),
        (10, 10, Span(0, 10, 10, 0, 0, 10)),
        (14, 10, Span(2, 10, 10, 0, 0, 10)),
        (15, 10, Span(3, 10, 10, 0, 0, 10)),
    ],
    ids=["smaller", "smaller-odd", "equal", "larger", "larger-odd"],
)
def test_own_scale_is_centred_and_an_odd_pixel_rounds_down(size: int, canvas: int, span: Span) -> None:
    """Five on ten begins at two; of fifteen on ten the first three are cut off."""
    rows, columns = find_spans(Fit.NONE, (size, 10), (canvas, 10))

    assert rows == span
    assert columns == Span(0, 10, 10, 0, 0, 10)


@pytest.mark.parametrize("fit", Fit)
@given(size=SIZES, canvas=SIZES)
def test_a_background_stays_inside_itself_and_the_canvas(
    fit: Fit, size: tuple[int, int], canvas: tuple[int, int]
) -> None:
    """What is used exists, what is shown is scaled, and what is covered is on the canvas; all of it unless one may leave gaps."""
    spans = find_spans(fit, size, canvas)

    for span, length, room in zip(spans, size, canvas, strict=True):
        assert 0 <= span.start < span.start + span.length <= length
        assert 0 <= span.skipped < span.skipped + span.shown <= span.scaled
        assert 0 <= span.at < span.at + span.shown <= room
        if fit in (Fit.COVER, Fit.STRETCH):
            assert (span.at, span.shown) == (0, room)


@pytest.mark.parametrize("fit", Fit)
@given(size=SIZES, canvas=SIZES)
def test_a_background_s_middle_lies_in_the_middle(
    fit: Fit, size: tuple[int, int], canvas: tuple[int, int]
) -> None:
    """Within a pixel of the canvas, however much is cut off or left free."""
    spans = find_spans(fit, size, canvas)

    for span, length, room in zip(spans, size, canvas, strict=True):
        assert abs(centre_of(span, length) - room / 2) <= 1


@given(size=SIZES, canvas=SIZES)
def test_cover_and_contain_keep_the_background_s_shape(
    size: tuple[int, int], canvas: tuple[int, int]
) -> None:
    """Both directions have one scale, but for the rounding to whole pixels: the larger needed, the largest possible."""
    wanted = {
        Fit.COVER: max(canvas[0] / size[0], canvas[1] / size[1]),
        Fit.CONTAIN: min(canvas[0] / size[0], canvas[1] / size[1]),
    }

    for fit, scale in wanted.items():
        for span in find_spans(fit, size, canvas):
            assert abs(span.scaled - span.length * scale) <= 1


def test_a_long_strip_is_not_scaled_where_nobody_sees_it() -> None:
    """To cover a row of 4096 px with a column of 4096 px takes two of its pixels, not a picture of 4096 x 16 million."""
    rows, columns = find_spans(Fit.COVER, (4096, 1), (1, 4096))

    assert rows.length == 2
    assert rows.scaled * columns.scaled <= 2 * 4096 * 4096


def test_own_scale_leaves_the_rest_transparent() -> None:
    """A small background is in the middle, pixel by pixel, and nothing is around it."""
    picture = Picture(noise(4, 6), None)

    canvas = laid(picture, Fit.NONE, 10, 11)

    assert np.array_equal(canvas[3:7, 2:8, :3], picture.rgb)
    assert (canvas[3:7, 2:8, 3] == 255).all()
    canvas[3:7, 2:8] = 0
    assert not canvas.any()


def test_own_scale_is_cropped_by_the_canvas() -> None:
    """Of a large background the middle is seen; the rest of it can be freed."""
    picture = Picture(noise(30, 40), noise(30, 40, 1)[..., 0])

    backdrop = lay_out(picture, Fit.NONE, 10, 12)

    assert np.array_equal(backdrop.rgb, picture.rgb[10:20, 14:26])
    assert backdrop.alpha is not None
    assert picture.alpha is not None
    assert np.array_equal(backdrop.alpha, picture.alpha[10:20, 14:26])
    assert not np.shares_memory(backdrop.rgb, picture.rgb)
    assert not np.shares_memory(backdrop.alpha, picture.alpha)


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize(("height", "width"), [(200, 300), (700, 500), (400, 600), (100, 900)])
def test_a_scaled_photo_looks_like_pillow_s(fit: Fit, height: int, width: int) -> None:
    """Pillow resamples by exact boxes: smaller, larger, both at once, or not at all."""
    rgb = photo()
    rows, columns = find_spans(fit, (400, 600), (height, width))
    box = (
        columns.start + columns.skipped * columns.length / columns.scaled,
        rows.start + rows.skipped * rows.length / rows.scaled,
        columns.start + (columns.skipped + columns.shown) * columns.length / columns.scaled,
        rows.start + (rows.skipped + rows.shown) * rows.length / rows.scaled,
    )
    reference = np.asarray(
        Image.fromarray(rgb).resize((columns.shown, rows.shown), Image.Resampling.BILINEAR, box=box)
    )

    backdrop = lay_out(Picture(rgb, None), fit, height, width)

    assert backdrop.box == PixelBox(columns.at, rows.at, columns.shown, rows.shown)
    assert np.abs(backdrop.rgb.astype(int) - reference).mean() < 3


def test_scaling_keeps_every_side_where_it_was() -> None:
    """A gradient stretched is a gradient: nothing is mirrored, turned or shifted."""
    stretched = lay_out(Picture(gradient(20, 30), None), Fit.STRETCH, 200, 90).rgb

    assert np.abs(stretched.astype(int) - gradient(200, 90)).max() <= 10


def test_hidden_colours_do_not_bleed_into_edges() -> None:
    """A red disc on transparent green, scaled, has a red edge, and its opacity is scaled like a mask."""
    alpha = disc_alpha(60, 60, softness_px=0)
    rgb = np.zeros((60, 60, 3), np.uint8)
    rgb[alpha > 0], rgb[alpha == 0] = (255, 0, 0), (0, 255, 0)

    for size in (23, 150):
        backdrop = lay_out(Picture(rgb, alpha), Fit.STRETCH, size, size)

        assert backdrop.alpha is not None
        soft = (backdrop.alpha > 0) & (backdrop.alpha < 255)
        assert soft.any()
        assert (backdrop.rgb[backdrop.alpha > 0] == (255, 0, 0)).all()
        assert not backdrop.rgb[backdrop.alpha == 0].any()
        assert abs(backdrop.alpha.mean() - alpha.mean()) < 2


@settings(max_examples=30, deadline=None)
@given(SIZES, SIZES, st.sampled_from(Fit), st.integers(0, 9))
def test_scaled_colours_stay_in_the_background_s_range(
    size: tuple[int, int], canvas: tuple[int, int], fit: Fit, seed: int
) -> None:
    """Nothing overshoots, with transparency or without; the arrays have the size of their box."""
    rgb = noise(*size, seed=seed) // 2 + 60
    alpha = noise(*size, 1, seed=seed + 1)[..., 0] // 2 + 100

    for picture in (Picture(rgb, None), Picture(rgb, alpha)):
        backdrop = lay_out(picture, fit, *canvas)

        assert backdrop.rgb.shape == (backdrop.box.height, backdrop.box.width, 3)
        assert rgb.min() - 1 <= backdrop.rgb.min() <= backdrop.rgb.max() <= rgb.max() + 1
        if picture.alpha is not None:
            assert backdrop.alpha is not None
            assert backdrop.alpha.shape == backdrop.rgb.shape[:2]
            assert alpha.min() <= backdrop.alpha.min() <= backdrop.alpha.max() <= alpha.max()


@pytest.mark.parametrize("alpha", [255, 254, 128, 0])
@pytest.mark.parametrize(("height", "width"), [(70, 90), (1, 20_000), (300, 100)])
def test_a_colour_behind_is_an_even_picture_behind(alpha: int, height: int, width: int) -> None:
    """Whatever bands the work is done in."""
    cutout = compose_cutout(noise(height, width), noise(height, width, 1, seed=1)[..., 0])
    even = np.empty((height, width, 3), np.uint8)
    even[...] = (10, 200, 90)
    expected = cutout.copy()
    lay_over(expected, even, np.full((height, width), alpha, np.uint8))

    put_behind(cutout, Colour(10, 200, 90, alpha), PixelBox(0, 0, width, height))

    assert np.array_equal(cutout, expected)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 40)] * 2),
    st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 40)] * 2),
    st.booleans(),
)
def test_a_window_shows_what_the_whole_canvas_shows_there(
    place: tuple[int, ...], frame: tuple[int, ...], has_alpha: bool
) -> None:
    """Laying a background and cropping may change places, wherever both lie."""
    box, window = PixelBox(*place), PixelBox(*frame)
    alpha = noise(box.height, box.width, 1, seed=2)[..., 0] if has_alpha else None
    backdrop = Backdrop(noise(box.height, box.width, seed=1), alpha, box)
    whole = compose_cutout(noise(75, 75, seed=3), noise(75, 75, 1, seed=4)[..., 0])
    part = whole[window.slices].copy()

    put_behind(whole, backdrop, PixelBox(0, 0, 75, 75))
    put_behind(part, backdrop, window)

    assert np.array_equal(part, whole[window.slices])


def test_a_photo_behind_a_photo() -> None:
    """The subject's solid part is untouched, what is around it is the background, and all is opaque."""
    rgb, alpha = photo(), disc_alpha(400, 600)
    behind = photo_of_size(400, 600, "rocket.jpg")
    cutout = compose_cutout(rgb, alpha)

    put_behind(cutout, lay_out(Picture(behind, None), Fit.NONE, 400, 600), PixelBox(0, 0, 600, 400))

    assert (cutout[..., 3] == 255).all()
    assert np.array_equal(cutout[alpha == 255][:, :3], rgb[alpha == 255])
    assert np.array_equal(cutout[alpha == 0][:, :3], behind[alpha == 0])


def test_the_estimate_grows_with_what_is_made() -> None:
    """A background at its own scale needs its own pixels; one that is blown up needs the canvas's, a PNG's more than a JPEG's."""
    jpeg, png = Header(PictureFormat.JPEG, 100, 80), Header(PictureFormat.PNG, 100, 80, channels=4)

    assert 100 * 80 * 3 <= backdrop_bytes(jpeg, Fit.NONE, 1000, 1000) <= 100 * 80 * 8
    assert backdrop_bytes(jpeg, Fit.COVER, 1000, 1000) >= 1000 * 1000 * 6
    for fit in Fit:
        assert backdrop_bytes(png, fit, 1000, 1000) > backdrop_bytes(jpeg, fit, 1000, 1000)
