"""How colours are written."""

import re

import pytest
from PIL import ImageColor

from alphacut_gateway.colours import DIGITS, NAMES, normalise_colour
from alphacut_server.imaging.colour_names import parse_colour


def test_names_are_those_of_css() -> None:
    """All of them, as another program lists them."""
    assert {*ImageColor.colormap, "transparent"} == NAMES


@pytest.mark.parametrize("written", [*sorted(NAMES), "fff", "FFF", "a0b1c2", "#a0b1c2d3"])
def test_server_takes_every_colour_that_is_let_through(written: str) -> None:
    """What is refused is refused here, by the parameter's name."""
    parse_colour(normalise_colour(written))


def test_no_name_passes_for_digits() -> None:
    """Or it would be sent as a number."""
    assert [name for name in NAMES if re.fullmatch(DIGITS, name)] == []


def test_normalised_colour_stays_as_it_is() -> None:
    """Doing it twice changes nothing."""
    for written in ("fff", "#ABCDEF", "Navy"):
        once = normalise_colour(written)
        assert normalise_colour(once) == once
