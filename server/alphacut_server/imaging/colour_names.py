"""Colours as callers write them: #rgb, #rrggbb, #rrggbbaa, or a name that CSS knows."""

import re
from dataclasses import dataclass

from PIL import ImageColor

# CSS has a colour without colour, which is no entry of the table of names.
_TRANSPARENT = "transparent"
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class Colour:
    """An sRGB colour with straight alpha; every channel in 0 to 255, 255 is opaque."""

    red: int
    green: int
    blue: int
    alpha: int = 255


WHITE = Colour(255, 255, 255)


def parse_colour(text: str) -> Colour:
    """Read a colour; capitals do not matter, spaces do. Raises ValueError for anything else than the four ways above.

    Pillow would take more (`hsl()`, `rgb(10%, ...)`, four hexadecimal digits); what is documented is what is taken.
    """
    wanted = text.lower()
    if wanted == _TRANSPARENT:
        return Colour(0, 0, 0, 0)
    if wanted not in ImageColor.colormap and not _HEX.fullmatch(wanted):
        raise ValueError(f"no colour: {text[:32]!r}")
    return Colour(*ImageColor.getrgb(wanted))
