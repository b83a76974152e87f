"""Options are right or refused where they are made, whether given as names, enums or keywords."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from alphacut import (
    Background,
    BackgroundFit,
    ImageFormat,
    InvalidOption,
    Mode,
    Options,
    OptionWords,
    Priority,
    Quality,
    Reason,
    Shadow,
    ShadowType,
)
from alphacut.options import choose


def test_names_become_enums() -> None:
    """A name means its enum, in every field that has one."""
    options = Options(mode="fg-mask", quality="best", format="webp", priority="bulk")

    assert options == Options(
        mode=Mode.FG_MASK, quality=Quality.BEST, format=ImageFormat.WEBP, priority=Priority.BULK
    )
    assert [type(each) for each in (options.mode, options.quality, options.format, options.priority)] == [
        Mode,
        Quality,
        ImageFormat,
        Priority,
    ]


@pytest.mark.parametrize(
    ("name", "value", "listed"),
    [
        ("mode", "cutout", "fg-image, fg-mask, fg-image-shadow"),
        ("quality", "perfect", "fast, balanced, best"),
        ("format", "gif", "png, webp, jpeg"),
        ("priority", "now", "interactive, bulk"),
    ],
)
def test_unknown_name_is_refused_with_what_there_is(name: str, value: str, listed: str) -> None:
    """The error names the field, the value and the right values, in words and as a violation."""
    words: dict[str, Any] = {name: value}

    with pytest.raises(InvalidOption, match=f"{name} must be one of {listed}, not '{value}'") as caught:
        Options(**words)

    assert caught.value.reason is Reason.INVALID_OPTION
    assert [each.field for each in caught.value.violations] == [name]


@pytest.mark.parametrize("margin", [-0.01, 1.01, float("nan"), float("inf"), True])
def test_crop_margin_outside_its_range_is_refused(margin: float) -> None:
    """Only a share in [0, 1] is a margin; True is not taken for 1."""
    with pytest.raises(InvalidOption, match="crop_margin") as caught:
        Options(crop_margin=margin)

    assert caught.value.metadata == {"field": "crop_margin"}


@pytest.mark.parametrize("margin", [None, 0, 0.5, 1])
def test_crop_margin_may_be_any_share_or_none(margin: float | None) -> None:
    """Both ends belong to the range."""
    assert Options(crop_margin=margin).crop_margin == margin


@pytest.mark.parametrize("words", [{}, {"image": b"x", "color": "red"}], ids=["neither", "both"])
def test_background_is_a_picture_or_a_colour(words: dict[str, Any]) -> None:
    """Nothing and two things at once are refused."""
    with pytest.raises(InvalidOption, match="exactly one of image and color"):
        Background(**words)


def test_background_fit_is_parsed() -> None:
    """A fit may be given by name; an unknown one is refused with the right ones."""
    assert Background(image=b"x", fit="cover").fit is BackgroundFit.COVER
    assert Background(image=b"x").fit is BackgroundFit.NONE
    with pytest.raises(InvalidOption, match="none, cover, contain, stretch"):
        Background(image=b"x", fit="fill")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "hard"),
        ("direction_deg", 360.0),
        ("direction_deg", -0.1),
        ("direction_deg", float("nan")),
        ("elevation_deg", 0.0),
        ("elevation_deg", 90.5),
        ("elevation_deg", float("nan")),
        ("softness", 1.01),
        ("opacity", -0.01),
        ("opacity", float("inf")),
    ],
)
def test_shadow_out_of_range_is_refused(name: str, value: Any) -> None:
    """Under the name that the server would give it."""
    wrong: dict[str, Any] = {name: value}

    with pytest.raises(InvalidOption, match=f"shadow.{name} must be") as caught:
        Shadow(**wrong)

    assert caught.value.metadata == {"field": f"shadow.{name}"}


def test_shadow_keeps_what_is_said() -> None:
    """Both closed ends belong to the ranges, and what is not said stays open."""
    shadow = Shadow(type="cast", direction_deg=0, elevation_deg=90, softness=0, opacity=1)

    assert shadow.type is ShadowType.CAST
    assert (shadow.direction_deg, shadow.elevation_deg, shadow.softness, shadow.opacity) == (0, 90, 0, 1)
    assert (Shadow().type, Shadow().opacity, Shadow().color) == (ShadowType.AUTO, None, None)


def test_background_of_any_kind_can_be_held_and_shown() -> None:
    """Options with an array or megabytes behind them compare, and print as a line."""
    pixels = Background(image=np.zeros((200, 200, 3), np.uint8))
    content = Background(image=bytes(1_000_000))

    assert Options(background=pixels) == Options(background=pixels)
    assert Options(background=pixels) != Options(background=content)
    assert len(repr(Options(background=content))) < 500


def test_keywords_win_over_options() -> None:
    """What is said at the call replaces what was kept, and only that."""
    kept = Options(mode="fg-mask", quality="best", crop_margin=0.1)

    chosen = choose(kept, {"mode": "fg-image", "crop_margin": None})

    assert chosen == Options(mode="fg-image", quality="best")
    assert choose(None, {}) == Options()


def test_every_option_is_a_keyword_of_the_same_type() -> None:
    """The keywords of a call are the fields of Options, no more and no fewer, with the same types."""
    of_options = {each.name: each.type for each in fields(Options)}

    assert OptionWords.__annotations__ == of_options
    assert OptionWords.__required_keys__ == frozenset()


@pytest.mark.parametrize(
    ("name", "suffix"), [("png", ".png"), ("webp", ".webp"), ("jpeg", ".jpg"), ("jpg", ".jpg")]
)
def test_format_knows_its_ending(name: str, suffix: str) -> None:
    """Files are named as people name them, and jpg is a JPEG."""
    assert ImageFormat(name).suffix == suffix
