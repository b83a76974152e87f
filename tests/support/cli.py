"""Running the command line inside the test's process, with streams the test holds."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from alphacut.cli.console import Console
from alphacut.cli.main import main


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def lines(self) -> list[dict[str, object]]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.stdout.splitlines()]


class Stream(io.BytesIO):
    """A pipe in memory, or what says of itself that it is a terminal."""

    def __init__(self, content: bytes = b"", *, is_terminal: bool = False) -> None:
        super().__init__(content)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        """Tell what the test wants told."""
        return self._is_terminal


def run_cli(
    *words: str | Path,
    stdin: Stream | None = None,
    stdout: Stream | None = None,
    environ: Mapping[str, str] | None = None,
) -> Ended:
    """Run `alphacut` with the words; usage errors of argparse raise SystemExit."""
    out, err = stdout or Stream(), io.StringIO()
    console = Console(stdin or Stream(), out, err)
    code = main([str(word) for word in words], environ=environ or {}, console=console)
    return Ended(code, out.getvalue(), err.getvalue())


def register(folder: Path, group: str, name: str, source: str, module: str) -> None:
    """Install a module with one entry point into a folder, which a test puts in front of the import path."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    entry = "start" if group == "alphacut.embedded" else "main"
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{entry}\n")


def make_photos(folder: Path, *names: str) -> list[Path]:
    """Write a file for each name, its bytes those of its name; the fake service takes anything for a picture."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return paths


def files_in(folder: Path) -> set[str]:
    """Return the names of all files below a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
