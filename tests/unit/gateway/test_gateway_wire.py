"""From a form to a message, where a whole gateway adds nothing."""

import pytest

from alphacut.options import BackgroundFit, ImageFormat, Mode, Quality, ShadowType
from alphacut.v1 import image_pb2, options_pb2
from alphacut_gateway.forms import Form
from alphacut_gateway.parameters import Options, parse
from alphacut_gateway.wire import FITS, FORMATS, MODES, QUALITIES, SHADOW_TYPES, last_segment, to_submission


def test_every_choice_has_its_value_on_the_wire() -> None:
    """And every value but `unspecified` a choice."""
    assert set(MODES) == set(Mode)
    assert set(MODES.values()) == set(options_pb2.Mode.values()) - {0}
    assert set(QUALITIES) == set(Quality)
    assert set(QUALITIES.values()) == set(options_pb2.Quality.values()) - {0}
    assert set(FITS) == set(BackgroundFit)
    assert set(FITS.values()) == set(options_pb2.BackgroundFit.values()) - {0}
    assert set(SHADOW_TYPES) == set(ShadowType)
    assert set(SHADOW_TYPES.values()) == set(options_pb2.ShadowType.values()) - {0}
    assert set(FORMATS) == set(ImageFormat)
    assert set(FORMATS.values()) == set(image_pb2.ImageFormat.values()) - {0}


@pytest.mark.parametrize(
    ("url", "segment"),
    [
        ("http://shop.example/a/b.jpg", "b.jpg"),
        ("http://shop.example/b.jpg?x=/c.jpg#/d.jpg", "b.jpg"),
        ("http://shop.example/%D1%84.png", "ф.png"),
        ("http://shop.example/a/", ""),
        ("http://shop.example", ""),
        ("no url at all", "no url at all"),
        ("http://[broken", ""),
    ],
)
def test_last_segment_of_a_url(url: str, segment: str) -> None:
    """Any text may be sent as one."""
    assert last_segment(url) == segment


def test_half_a_character_in_a_url_can_be_sent() -> None:
    """A message's texts are UTF-8; such a URL leads nowhere either way."""
    submission = to_submission(Form({}, {"url": "http://shop.example/\ud83d"}), Options(), None)

    assert submission.request.image.url == "http://shop.example/?"


def test_a_shadow_is_sent_as_it_is_asked_for() -> None:
    """Nothing asked for, nothing sent; 0 is something."""
    form = Form({}, {"url": "http://shop.example/a.jpg"})

    silent = to_submission(form, Options(), None).request
    asked = to_submission(
        form,
        parse(
            {
                "shadow-type": "drop",
                "shadow-direction": "0",
                "shadow-elevation": "12.5",
                "shadow-softness": "0",
                "shadow-opacity": "0",
                "shadow-color": "navy",
            }
        ),
        None,
    ).request

    assert not silent.HasField("shadow")
    assert asked.shadow == options_pb2.Shadow(
        type=options_pb2.SHADOW_TYPE_DROP,
        direction_deg=0,
        elevation_deg=12.5,
        softness=0,
        opacity=0,
        color="navy",
    )


def test_what_a_message_would_round_out_of_its_range_stays_in_it() -> None:
    """Both are allowed in a query, and mean next to no elevation, and next to a full turn."""
    options = parse({"shadow-direction": "359.99999999", "shadow-elevation": "5e-324"})

    shadow = to_submission(Form({}, {"url": "http://shop.example/a.jpg"}), options, None).request.shadow

    assert shadow.direction_deg == 0
    assert 0 < shadow.elevation_deg < 1e-20
