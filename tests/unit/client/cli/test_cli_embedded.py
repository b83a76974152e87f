"""`alphacut remove` without a server: one is started in the same process, or the command says what is missing."""

from pathlib import Path

import pytest

from alphacut.cli.console import ExitCode
from alphacut.v1 import options_pb2
from support.cli import make_photos, register, run_cli
from support.fake_service import FakeServer

EMBEDDED = """
import contextlib
{top}

@contextlib.contextmanager
def start(log_level=None, model="", quality=""):
    {body}
    yield type("Embedded", (), {{"target": {target!r}}})()
"""


def embed(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    *,
    top: str = "",
    body: str = "pass",
    target: str = "",
) -> None:
    """Install an embedded server in front of the real one, as another distribution would."""
    register(folder, "alphacut.embedded", "server", EMBEDDED.format(top=top, body=body, target=target), name)
    monkeypatch.syspath_prepend(folder)


def test_without_server_one_is_started_here(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --server the embedded one is started with model and quality, and asked for its defaults then."""
    folder = tmp_path / "site"
    folder.mkdir()
    body = f"open({str(tmp_path / 'asked')!r}, 'w').write(f'{{model}} {{quality}} {{log_level}}')"
    embed(folder, monkeypatch, "fake_embedded_good", body=body, target=server.target)
    (photo,) = make_photos(tmp_path, "a.jpg")

    ended = run_cli("remove", photo, "--model", "u2net", "--quality", "best", "--log-level", "info")

    assert ended.code == ExitCode.DONE, ended.stderr
    (request,) = server.service.requests
    assert (tmp_path / "asked").read_text() == "u2net best info"
    assert (request.model, request.quality) == ("", options_pb2.QUALITY_UNSPECIFIED)


@pytest.mark.parametrize("where", ["top", "body"])
def test_missing_runtime_is_exit_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """When a package is missing, at the import or at the start, the message says what to install."""
    folder = tmp_path / "site"
    folder.mkdir()
    embed(folder, monkeypatch, f"fake_embedded_{where}", **{where: "import surely_not_installed"})
    (photo,) = make_photos(tmp_path, "a.jpg")

    ended = run_cli("remove", photo)

    assert ended.code == ExitCode.MISSING_EXTRA
    assert "pip install 'alphacut[server,cpu]'" in ended.stderr
    assert "surely_not_installed" in ended.stderr


def test_embedded_server_that_does_not_start_is_exit_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong at its start is a sentence, not a traceback."""
    folder = tmp_path / "site"
    folder.mkdir()
    embed(folder, monkeypatch, "fake_embedded_bad", body="raise LookupError('the model is not there')")
    (photo,) = make_photos(tmp_path, "a.jpg")

    ended = run_cli("remove", photo)

    assert ended.code == ExitCode.NO_SERVER
    assert "did not start: the model is not there" in ended.stderr
