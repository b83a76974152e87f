"""What may be said about a shadow."""

import math
from typing import Any

import pytest

from alphacut_server.imaging.colour_names import Colour
from alphacut_server.imaging.shadow_options import (
    DIRECTION_DEG,
    ELEVATION_DEG,
    SHARE,
    Range,
    ShadowOptions,
    throw_on_floor,
    throw_on_wall,
)


@pytest.mark.parametrize(
    ("allowed", "right", "wrong"),
    [
        (DIRECTION_DEG, (0.0, 359.99), (-0.01, 360.0)),
        (ELEVATION_DEG, (1e-30, 90.0), (0.0, -1.0, 90.01)),
        (SHARE, (0.0, 1.0), (-0.01, 1.01)),
    ],
    ids=["direction", "elevation", "share"],
)
def test_a_range_holds_what_it_says(
    allowed: Range, right: tuple[float, ...], wrong: tuple[float, ...]
) -> None:
    """Its open ends are outside, and so is what is no number."""
    assert all(allowed.holds(value) for value in right)
    assert not any(allowed.holds(value) for value in (*wrong, math.nan, math.inf, -math.inf))


def test_a_range_tells_its_ends() -> None:
    """In words that tell open ends from closed ones."""
    assert str(ELEVATION_DEG) == "more than 0 and at most 90"
    assert str(DIRECTION_DEG) == "at least 0 and less than 360"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("direction_deg", 360.0),
        ("elevation_deg", 0.0),
        ("softness", 1.5),
        ("opacity", math.nan),
        ("colour", Colour(0, 0, 0, 254)),
    ],
)
def test_wrong_options_cannot_be_made(name: str, value: Any) -> None:
    """Told with the field's name."""
    wrong: dict[str, Any] = {name: value}

    with pytest.raises(ValueError, match=f"^{name}: "):
        ShadowOptions(**wrong)


def test_a_throw_has_the_light_s_length() -> None:
    """On a wall the cotangent of the elevation, straight down when nothing else is said."""
    default = throw_on_wall(ShadowOptions(elevation_deg=45.0))
    right = throw_on_wall(ShadowOptions(direction_deg=90.0, elevation_deg=30.0))

    assert default.across == pytest.approx(0)
    assert default.up == pytest.approx(-1)
    assert right.across == pytest.approx(math.sqrt(3))
    assert right.up == pytest.approx(0)


def test_a_floor_is_seen_foreshortened() -> None:
    """Lengths to the side keep, lengths away from the viewer shrink, and none is quite sideways."""
    behind = throw_on_floor(ShadowOptions(direction_deg=0.0, elevation_deg=45.0))
    right = throw_on_floor(ShadowOptions(direction_deg=90.0, elevation_deg=45.0))

    assert 0 < behind.up < 0.5
    assert right.across == pytest.approx(1)
    assert 0 < abs(right.up) < 0.1


def test_a_light_at_the_horizon_throws_no_endless_shadow() -> None:
    """Below 10 degrees nothing grows any longer."""
    assert throw_on_floor(ShadowOptions(elevation_deg=1e-30)) == throw_on_floor(
        ShadowOptions(elevation_deg=10.0)
    )
