"""The words of the command line: what is refused, what the help and `alphacut version` say."""

import io
from pathlib import Path

import pytest

from alphacut.cli.arguments import ENV_API_KEY, ENV_SERVER
from alphacut.cli.console import Console, ExitCode
from alphacut_service import known_names
from support.cli import Stream, make_photos, run_cli
from support.fake_service import FakeServer


@pytest.mark.parametrize(
    "words",
    [
        ["remove"],
        ["remove", "a", "--mode", "nonsense"],
        ["remove", "a", "--jobs", "0"],
        ["remove", "a", "--timeout", "-1"],
        ["remove", "a", "--overwrite", "--skip-existing"],
        ["remove", "a", "--crop", "2"],
        ["remove", "a", "--crop", "nan"],
        ["remove", "a", "--background", "b", "--background-color", "red"],
        ["nonsense"],
        [],
    ],
)
def test_words_it_does_not_know_are_exit_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong words end with argparse's usage and 2, as scripts expect."""
    with pytest.raises(SystemExit) as caught:
        run_cli(*words)

    assert caught.value.code == ExitCode.USAGE
    assert "usage: alphacut" in capsys.readouterr().err


def test_forgotten_verb_is_guessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A photo in place of the command is answered with the command."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    with pytest.raises(SystemExit):
        run_cli(photo)

    assert f"alphacut remove {photo}" in capsys.readouterr().err


def test_address_in_place_of_the_verb_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    """So is a URL, also one longer than any file's name."""
    url = f"https://example.org/{'a' * 300}.jpg"

    with pytest.raises(SystemExit):
        run_cli(url)

    assert f"alphacut remove {url}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mode", "mask"], "must be one of fg-image, fg-mask, fg-image-shadow, not 'mask'"),
        (["--quality", "good"], "must be one of fast, balanced, best"),
        (["--format", "gif"], "must be one of png, webp, jpeg"),
        (["--background-fit", "fill"], "must be one of none, cover, contain, stretch"),
        (["--crop", "a.jpg"], "name the pictures before --crop, or write --crop=0"),
    ],
)
def test_wrong_value_is_answered_with_the_right_ones(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a flag with an optional value took a picture for it."""
    with pytest.raises(SystemExit):
        run_cli("remove", *words)

    assert message in capsys.readouterr().err


def test_variables_of_the_command_line_are_known_to_the_programs() -> None:
    """A server that inherits them does not take them for its own, misspelt."""
    assert {ENV_SERVER, ENV_API_KEY} == known_names.CLIENT


def test_web_address_for_a_server_is_refused(tmp_path: Path) -> None:
    """The gateway's address is not the server's; the message says what is wanted."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    ended = run_cli("remove", photo, "--server", "http://localhost:8080")

    assert ended.code == ExitCode.USAGE
    assert "HOST:PORT" in ended.stderr


def test_missing_certificate_is_refused(tmp_path: Path) -> None:
    """A certificate file that is not there is told by name."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    ended = run_cli("remove", photo, "--server", "x:1", "--tls-ca", tmp_path / "ca.pem")

    assert ended.code == ExitCode.USAGE
    assert "ca.pem" in ended.stderr


def test_help_tells_modes_exit_codes_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """The help is the manual, and never shows the key of the environment."""
    with pytest.raises(SystemExit):
        run_cli("remove", "--help", environ={"ALPHACUT_API_KEY": "secret"})
    remove = capsys.readouterr().out
    with pytest.raises(SystemExit):
        run_cli("--help")
    top = capsys.readouterr().out

    assert "fg-image-shadow" in remove
    assert "alphacut remove photo.jpg" in remove
    assert "secret" not in remove
    assert all(f"\n  {code.value} " in top for code in (*list(ExitCode)[:5], ExitCode.INTERRUPTED))


def test_version_tells_both_sides(server: FakeServer) -> None:
    """The client's version, and the server's when one is named."""
    alone = run_cli("version")
    both = run_cli("version", "--server", server.target)

    assert alone.stdout.startswith(b"alphacut ")
    assert both.stdout.decode() == alone.stdout.decode() + f"server v1.2.3 at {server.target}\n"


def test_console_writes_names_that_are_no_text() -> None:
    """A file name that is no UTF-8 can be told on both streams."""
    out, err = io.BytesIO(), io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    console = Console(Stream(), out, err)

    console.answer("caf\udce9")
    console.complain("caf\udce9")

    assert out.getvalue() == b"caf\\udce9\n"
