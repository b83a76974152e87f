"""JSON or bytes, and which format."""

import pytest

from alphacut.options import ImageFormat
from alphacut_gateway.negotiation import Delivery, negotiate
from alphacut_gateway.parameters import Options, ResponseKind

JSON = Delivery(is_binary=False, format=None)


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/json",
        "application/json, text/plain, */*",
        "image/png, */*",
        "image/avif,image/webp,image/apng,image/*,*/*;q=0.8",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
        "text/html",
        "image/gif",
        "image/png;q=0",
        "image/png;q=0.5, application/json",
        "application/json, image/png",
        "application/*, image/png",
        ";;,,=;q",
    ],
)
def test_who_does_not_ask_for_a_picture_alone_gets_json(accept: str | None) -> None:
    """Above all whoever takes everything, as every HTTP library does by default."""
    assert negotiate(Options(), accept) == JSON


@pytest.mark.parametrize(
    ("accept", "image_format"),
    [
        ("image/png", ImageFormat.PNG),
        ("IMAGE/PNG", ImageFormat.PNG),
        ("image/webp", ImageFormat.WEBP),
        ("image/jpeg", ImageFormat.JPEG),
        ("image/*", ImageFormat.PNG),
        ("image/png;q=0.2, image/webp;q=0.7", ImageFormat.WEBP),
        ("image/*;q=0.2, image/jpeg", ImageFormat.JPEG),
        ("image/png;q=0, image/*", ImageFormat.WEBP),
        ("image/png, application/json;q=0.5", ImageFormat.PNG),
        ("image/png, */*;q=0", ImageFormat.PNG),
        ("image/webp , text/html", ImageFormat.WEBP),
        ("image/webp;q=nonsense", ImageFormat.WEBP),
        ("image/png;q=0.9001, image/webp;q=0.2", ImageFormat.PNG),
    ],
)
def test_who_asks_for_a_picture_gets_it_in_the_format_preferred(
    accept: str, image_format: ImageFormat
) -> None:
    """By RFC 9110's weights."""
    assert negotiate(Options(), accept) == Delivery(is_binary=True, format=image_format)


def test_parameters_win_over_the_header() -> None:
    """Either way, and for the format as well."""
    json_asked = negotiate(Options(response=ResponseKind.JSON), "image/png")
    bytes_asked = negotiate(Options(response=ResponseKind.BINARY), "*/*")
    other_format = negotiate(Options(format=ImageFormat.JPEG), "image/webp")

    assert json_asked == JSON
    assert bytes_asked == Delivery(is_binary=True, format=None)
    assert other_format == Delivery(is_binary=True, format=ImageFormat.JPEG)


def test_format_alone_leaves_the_answer_json() -> None:
    """The file within the JSON changes, nothing else."""
    assert negotiate(Options(format=ImageFormat.WEBP), "*/*") == Delivery(False, ImageFormat.WEBP)


def test_what_a_browser_likes_decides_no_format() -> None:
    """`response=binary` with a header that takes everything stays a PNG."""
    options = Options(response=ResponseKind.BINARY)

    assert negotiate(options, "image/webp,*/*;q=0.8") == Delivery(is_binary=True, format=None)
