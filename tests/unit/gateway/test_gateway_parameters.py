"""What a query may say."""

import pytest

from alphacut.options import BackgroundFit, ImageFormat, Mode, Quality, ShadowType
from alphacut_gateway.parameters import Options, ParametersInvalid, ResponseKind, parse


def test_nothing_asked_for_is_the_documented_default() -> None:
    """The foreground over transparency, and every extension off."""
    options = parse({})

    assert options == Options()
    assert options.mode is Mode.FG_IMAGE
    assert (options.response, options.format, options.quality, options.bg_color) == (None, None, None, None)
    assert not options.crop
    assert options.model == ""


def test_every_parameter_is_read() -> None:
    """Names are those of the query, with hyphens."""
    options = parse(
        {
            "mode": "fg-image-shadow",
            "representation": "base64",
            "response": "binary",
            "format": "webp",
            "bg-color": "White",
            "bg-fit": "cover",
            "shadow-type": "cast",
            "shadow-direction": "225.5",
            "shadow-elevation": "30",
            "shadow-softness": "0",
            "shadow-opacity": "0.8",
            "shadow-color": "00f",
            "crop": "true",
            "crop-margin": "0.05",
            "quality": "best",
            "model": "isnet",
        }
    )

    assert options.mode is Mode.FG_IMAGE_SHADOW
    assert options.response is ResponseKind.BINARY
    assert options.format is ImageFormat.WEBP
    assert (options.bg_color, options.bg_fit) == ("white", BackgroundFit.COVER)
    assert (options.shadow_type, options.shadow_direction) == (ShadowType.CAST, 225.5)
    assert (options.shadow_elevation, options.shadow_softness, options.shadow_opacity) == (30.0, 0.0, 0.8)
    assert options.shadow_color == "#00f"
    assert (options.crop, options.crop_margin) == (True, 0.05)
    assert (options.quality, options.model) == (Quality.BEST, "isnet")


def test_unknown_parameters_are_ignored() -> None:
    """Callers bring their own: keys, versions, cache busters, and the names of the fields themselves."""
    assert parse({"api_key": "k", "_": "1717", "bg_color": "red", "crop_margin": "9"}) == Options()


@pytest.mark.parametrize(
    ("written", "color"),
    [
        ("fff", "#fff"),
        ("#fff", "#fff"),
        ("Ff8000", "#Ff8000"),
        ("#ff800080", "#ff800080"),
        ("rebeccapurple", "rebeccapurple"),
        ("RED", "red"),
    ],
)
def test_colour_may_leave_out_what_a_query_loses(written: str, color: str) -> None:
    """A bare # would begin the fragment, so digits do without it."""
    assert parse({"bg-color": written}).bg_color == color


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("mode", "fg"),
        ("mode", ""),
        ("mode", "FG-IMAGE"),
        ("representation", "url"),
        ("representation", ""),
        ("response", "xml"),
        ("format", "gif"),
        ("format", "PNG"),
        ("bg-color", ""),
        ("bg-color", "#"),
        ("bg-color", "##fff"),
        ("bg-color", "ffff"),
        ("bg-color", "fff\n"),
        ("bg-color", "no-colour"),
        ("bg-fit", "tile"),
        ("shadow-type", "hard"),
        ("shadow-type", "AUTO"),
        ("shadow-direction", "360"),
        ("shadow-direction", "-1"),
        ("shadow-direction", "nan"),
        ("shadow-elevation", "0"),
        ("shadow-elevation", "90.5"),
        ("shadow-elevation", "inf"),
        ("shadow-softness", "1.01"),
        ("shadow-softness", ""),
        ("shadow-opacity", "-0.01"),
        ("shadow-opacity", "1_0"),
        ("shadow-color", "no-colour"),
        ("shadow-color", "00000080"),
        ("shadow-color", "Transparent"),
        ("crop", "1"),
        ("crop", "True"),
        ("crop", ""),
        ("crop-margin", "1.01"),
        ("crop-margin", "-0.1"),
        ("crop-margin", "nan"),
        ("crop-margin", "inf"),
        ("crop-margin", "1e999"),
        ("crop-margin", "0_1"),
        ("crop-margin", " 0"),
        ("crop-margin", "٠"),
        ("crop-margin", ""),
        ("quality", "superb"),
        ("model", ""),
        ("model", "m" * 65),
    ],
)
def test_value_out_of_range_is_refused_by_name(parameter: str, value: str) -> None:
    """With a sentence for the caller and a word for its program."""
    with pytest.raises(ParametersInvalid) as refused:
        parse({parameter: value})

    (violation,) = refused.value.violations
    assert violation.parameter == parameter
    assert violation.message
    assert violation.kind.replace("_", "").isalpha()


def test_all_that_is_wrong_is_told_at_once() -> None:
    """One round trip is enough to mend a call."""
    with pytest.raises(ParametersInvalid) as refused:
        parse({"mode": "fg", "crop": "perhaps", "quality": "best"})

    assert {each.parameter for each in refused.value.violations} == {"mode", "crop"}
