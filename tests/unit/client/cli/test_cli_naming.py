"""Names of outputs: by mode and format, and for what comes from the web never outside the folder."""

from pathlib import Path

import pytest

from alphacut import ImageFormat, Mode
from alphacut.cli.console import UsageError
from alphacut.cli.naming import OWN_ENDINGS, format_of, output_name, stem_of_url


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("image_format", list(ImageFormat))
def test_output_tells_mode_and_format(mode: Mode, image_format: ImageFormat) -> None:
    """Every output is known for one again, and by its ending for its format."""
    name = output_name("photo", mode, image_format)

    assert name.endswith(OWN_ENDINGS)
    assert format_of(Path(name)) is image_format


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.PNG", ImageFormat.PNG), ("a.jpeg", ImageFormat.JPEG), ("a.gif", None), ("a", None), (".png", None)],
)
def test_ending_names_the_format(name: str, expected: ImageFormat | None) -> None:
    """In any case of letters; what is no ending of ours names none."""
    assert format_of(Path(name)) is expected


@pytest.mark.parametrize(
    ("url", "stem"),
    [
        ("https://example.org/shoes.jpg", "shoes"),
        ("https://example.org/a/b/red%20shoes.jpg?size=l.png#top", "red shoes"),
        ("https://example.org/photo", "photo"),
        ("https://example.org/", "picture"),
        ("https://example.org", "picture"),
        ("https://example.org/..", "picture"),
        ("https://example.org/%2e%2e%2f%2e%2e%2fetc%2fpasswd.jpg", "_.._etc_passwd"),
        ("https://example.org/..%5c..%5ca.jpg", "_.._a"),
        ("https://example.org/%00%0a.jpg", "__"),
        ("https://example.org/.hidden.jpg", "hidden"),
    ],
)
def test_url_gives_a_name_that_stays_in_its_folder(url: str, stem: str) -> None:
    """The last part of the path, without what would lead elsewhere or hide the file."""
    assert stem_of_url(url) == stem


def test_long_name_fits_a_file_system() -> None:
    """The output's name stays below 255 bytes, cut between characters."""
    stem = stem_of_url("https://example.org/" + "ü" * 300 + ".jpg")

    name = output_name(stem, Mode.FG_IMAGE, ImageFormat.WEBP)

    assert len(name.encode()) < 255
    assert set(stem) == {"ü"}


def test_text_that_is_no_url_is_a_usage_error() -> None:
    """An address that cannot be taken apart is told before any work."""
    with pytest.raises(UsageError, match="is no URL"):
        stem_of_url("http://[::1/a.jpg")
