"""Commands of other packages: found, run, and missed with advice."""

from pathlib import Path

import pytest

from alphacut.cli.console import ExitCode
from alphacut.cli.extras import PROGRAMS
from support.cli import register, run_cli


@pytest.mark.parametrize("name", PROGRAMS)
def test_command_is_handed_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Another package's command gets the words after its name, --help included, and its result is the exit code."""
    source = (
        f"def main(argv):\n    open({str(tmp_path / 'words')!r}, 'w').write(' '.join(argv))\n    return 7\n"
    )
    register(tmp_path, "alphacut.commands", name, source, f"fake_command_{name}")
    monkeypatch.syspath_prepend(tmp_path)

    ended = run_cli(name, "--help", "list")

    assert ended.code == 7
    assert (tmp_path / "words").read_text() == "--help list"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("serve", "alphacut[server,gateway,cpu]"),
        ("server", "alphacut[server,cpu]"),
        ("gateway", "alphacut[gateway]"),
        ("models", "alphacut[server,cpu]"),
        ("keys", "alphacut[server]"),
    ],
)
def test_missing_package_is_exit_3_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, advice: str
) -> None:
    """A third-party package that is not installed ends with the command that installs it."""
    source = "import surely_not_installed\n"
    register(tmp_path, "alphacut.commands", name, source, f"lacking_command_{name}")
    monkeypatch.syspath_prepend(tmp_path)

    ended = run_cli(name)

    assert ended.code == ExitCode.MISSING_EXTRA
    assert f"pip install '{advice}'" in ended.stderr
    assert ("gpu instead of cpu" in ended.stderr) == ("cpu" in advice)


def test_package_missed_while_running_is_exit_3_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is imported only when needed is missed with the same advice."""
    source = "def main(argv):\n    import surely_not_installed\n"
    register(tmp_path, "alphacut.commands", "models", source, "lazy_command")
    monkeypatch.syspath_prepend(tmp_path)

    assert run_cli("models").code == ExitCode.MISSING_EXTRA


def test_missing_module_of_our_own_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken distribution is not explained away as a missing extra."""
    source = "import alphacut_server.no_such_module\n"
    register(tmp_path, "alphacut.commands", "server", source, "broken_command")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ImportError, match="no_such_module"):
        run_cli("server")
