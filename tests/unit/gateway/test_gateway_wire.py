"""From a form to a message, where a whole gateway adds nothing."""

import pytest

from alphacut.options import BackgroundFit, ImageFormat, Mode, Quality
from alphacut.v1 import image_pb2, options_pb2
from alphacut_gateway.forms import Form
from alphacut_gateway.parameters import Options
from alphacut_gateway.wire import FITS, FORMATS, MODES, QUALITIES, last_segment, to_submission


def test_every_choice_has_its_value_on_the_wire() -> None:
    """And every value but `unspecified` a choice."""
    assert set(MODES) == set(Mode)
    assert set(MODES.values()) == set(options_pb2.Mode.values()) - {0}
    assert set(QUALITIES) == set(Quality)
    assert set(QUALITIES.values()) == set(options_pb2.Quality.values()) - {0}
    assert set(FITS) == set(BackgroundFit)
    assert set(FITS.values()) == set(options_pb2.BackgroundFit.values()) - {0}
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
