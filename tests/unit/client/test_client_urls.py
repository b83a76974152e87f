"""What is a web address, and what is only taken for one where a caller says so."""

from pathlib import Path

import pytest

from alphacut import Url
from alphacut.pictures import load_picture
from alphacut.urls import is_url


@pytest.mark.parametrize("text", ["http://example.org/a.jpg", "HTTPS://example.org", "https://"])
def test_web_address_is_known_by_its_scheme(text: str) -> None:
    """http and https in any case; whether anything is there is the server's to find out."""
    assert is_url(text)


@pytest.mark.parametrize(
    "text", ["a.jpg", "/etc/passwd", "file:///etc/passwd", "ftp://x/a", " http://x", "http:/x", ""]
)
def test_anything_else_is_no_web_address(text: str) -> None:
    """What does not begin as one is a path, for whoever gives a plain str."""
    assert not is_url(text)


@pytest.mark.parametrize("text", ["{}", "file://{}", "", "data:,x"])
def test_url_never_reads_a_file(tmp_path: Path, text: str) -> None:
    """A stranger's text is sent to the server as it is, also when it names a file here."""
    path = tmp_path / "secret.txt"
    path.write_bytes(b"secret")

    picture = load_picture(Url(text.format(path)))

    assert (picture.content, picture.url, picture.name) == (b"", text.format(path), "")


def test_url_of_broken_text_can_be_sent() -> None:
    """Lone surrogates, which UTF-8 cannot hold, do not raise what nobody expects."""
    assert load_picture(Url("https://example.org/\ud800")).url == "https://example.org/?"


def test_url_may_be_named() -> None:
    """The caller's name goes along; without one the server makes its own."""
    assert load_picture(Url("https://example.org/a.jpg"), "mine.jpg").name == "mine.jpg"
