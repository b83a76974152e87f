"""What a caller may say about a shadow."""

import math
from dataclasses import dataclass
from enum import Enum

from alphacut_server.imaging.colour_names import Colour

BLACK = Colour(0, 0, 0)


class ShadowType(Enum):
    """Kinds of shadow."""

    AUTO = "auto"
    """Contact, pool and cast for a subject on a floor, a drop shadow for one that the lower edge cuts off."""
    CONTACT = "contact"
    """Darkening where the subject touches the floor, and a pool around it; no direction."""
    CAST = "cast"
    """Thrown over the floor by a light, with the darkening of the contact."""
    DROP = "drop"
    """A soft copy behind the subject."""
    FLOAT = "float"
    """An ellipse on the floor below a subject that hovers; no direction."""


@dataclass(frozen=True, slots=True)
class Range:
    """The values an option may have, and the words for it. NaN and infinities lie in none."""

    least: float
    most: float
    has_least: bool = True
    has_most: bool = True

    def holds(self, value: float) -> bool:
        """Tell whether the value is allowed."""
        return (
            math.isfinite(value)
            and (value >= self.least if self.has_least else value > self.least)
            and (value <= self.most if self.has_most else value < self.most)
        )

    def __str__(self) -> str:
        low = "at least" if self.has_least else "more than"
        high = "at most" if self.has_most else "less than"
        return f"{low} {self.least:g} and {high} {self.most:g}"


DIRECTION_DEG = Range(0, 360, has_most=False)
ELEVATION_DEG = Range(0, 90, has_least=False)
SHARE = Range(0, 1)


@dataclass(frozen=True, slots=True)
class ShadowOptions:
    """How a shadow falls. Raises ValueError for what is out of range: whoever takes options from a caller checks them."""

    type: ShadowType = ShadowType.AUTO
    direction_deg: float | None = None
    """Where the shadow points, clockwise from up, [0, 360): 0 behind the subject, 90 to the right, 180 towards the viewer.
    None is 45 on a floor and 180 for a drop shadow."""
    elevation_deg: float = 58.0
    """Height of the light above the horizon, (0, 90]: the lower, the longer the shadow. Below 10 counts as 10."""
    softness: float = 0.5
    """0 hard to 1 soft."""
    opacity: float = 1.0
    """0 invisible to 1, the whole of a shadow that is never quite black."""
    colour: Colour = BLACK
    """Opaque."""

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        direction_deg = 0.0 if self.direction_deg is None else self.direction_deg
        for name, value, allowed in (
            ("direction_deg", direction_deg, DIRECTION_DEG),
            ("elevation_deg", self.elevation_deg, ELEVATION_DEG),
            ("softness", self.softness, SHARE),
            ("opacity", self.opacity, SHARE),
        ):
            if not allowed.holds(value):
                raise ValueError(f"{name}: wanted {allowed}, got {value}")
        if self.colour.alpha != 255:
            raise ValueError(f"colour: wanted an opaque one, got {self.colour}")


DEFAULT_SHADOW = ShadowOptions()
# Lower lights throw shadows of many times the subject's height, which no canvas holds.
_LEAST_ELEVATION_DEG = 10.0
# How much of a length on the floor is seen when it runs away from the viewer: a camera a little above the floor.
_FORESHORTENING = 0.30
# A shadow exactly sideways would be a line.
_LEAST_RISE = 0.04
# To the right and behind, and straight down: where light comes from in most product photos.
_FLOOR_DIRECTION_DEG, _WALL_DIRECTION_DEG = 45.0, 180.0


@dataclass(frozen=True, slots=True)
class Throw:
    """Where the shadow of a point falls, for a unit of the point's height over the floor, in the picture."""

    across: float
    """To the right."""
    up: float
    """Upwards: on a floor that is behind the subject, and never quite 0."""


def throw_on_floor(options: ShadowOptions) -> Throw:
    """Return the throw over a floor: as long as the cotangent of the elevation, seen from a camera a little above it."""
    across, up = _throw(options, _FLOOR_DIRECTION_DEG)
    up *= _FORESHORTENING
    # Exactly sideways counts as behind, though the cosine of 270 degrees comes out below 0.
    return Throw(across, min(up, -_LEAST_RISE) if up < -1e-9 else max(up, _LEAST_RISE))


def throw_on_wall(options: ShadowOptions) -> Throw:
    """Return the throw on a wall behind the subject, which is seen without foreshortening."""
    return Throw(*_throw(options, _WALL_DIRECTION_DEG))


def _throw(options: ShadowOptions, default_direction_deg: float) -> tuple[float, float]:
    direction = math.radians(
        default_direction_deg if options.direction_deg is None else options.direction_deg
    )
    length = 1 / math.tan(math.radians(max(options.elevation_deg, _LEAST_ELEVATION_DEG)))
    return length * math.sin(direction), length * math.cos(direction)
