"""Colours as callers write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from alphacut_server.imaging.colour_names import WHITE, Colour, parse_colour


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#fff", WHITE),
        ("#0f8", Colour(0, 255, 136)),
        ("#102030", Colour(16, 32, 48)),
        ("#10203040", Colour(16, 32, 48, 64)),
        ("#ABCDEF", Colour(171, 205, 239)),
        ("white", WHITE),
        ("RebeccaPurple", Colour(102, 51, 153)),
        ("transparent", Colour(0, 0, 0, 0)),
    ],
)
def test_a_colour_is_read(text: str, colour: Colour) -> None:
    """Three, six or eight hexadecimal digits, or a name, in capitals or not."""
    assert parse_colour(text) == colour


def test_every_name_of_css_is_known() -> None:
    """CSS Color 4 has 148 names, two spellings of the greys counted."""
    assert len(ImageColor.colormap) == 148
    assert all(parse_colour(name).alpha == 255 for name in ImageColor.colormap)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#",
        "#12",
        "#1234",
        "#12345",
        "#1234567",
        "#123456789",
        "#ggg",
        "123456",
        " white",
        "white ",
        "#fff\n",
        "rgb(1, 2, 3)",
        "hsl(0, 100%, 50%)",
        "no-such-colour",
        "#१२३",
        "currentcolor",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Also what Pillow would take."""
    with pytest.raises(ValueError, match="no colour"):
        parse_colour(text)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    """It is a colour, or it is refused."""
    try:
        colour = parse_colour(text)
    except ValueError:
        return

    channels = (colour.red, colour.green, colour.blue, colour.alpha)
    assert all(0 <= channel <= 255 for channel in channels)
