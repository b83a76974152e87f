"""Programs of other packages, found by entry point: nothing of them is imported before it is asked for."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

from alphacut.cli.console import CommandError, ExitCode

COMMAND_GROUP = "alphacut.commands"
EMBEDDED_GROUP = "alphacut.embedded"
_OURS = frozenset({"alphacut", "alphacut_server", "alphacut_gateway", "alphacut_service"})


@dataclass(frozen=True, slots=True)
class Program:
    """A command that an extra brings: what it does, and what to install for it."""

    summary: str
    extras: str


PROGRAMS = {
    "serve": Program("start the server, the REST gateway and the demo page", "server,gateway,cpu"),
    "server": Program("start the gRPC server alone", "server,cpu"),
    "gateway": Program("start the REST gateway alone", "gateway"),
    "models": Program("list, pull and verify the models", "server,cpu"),
    "keys": Program("make API keys, list and revoke them", "server"),
}
_EMBEDDED = Program("cut pictures without a server", "server,cpu")


class EmbeddedServer(Protocol):
    """A server in this process."""

    @property
    def target(self) -> str:
        """Where it listens, for a `Client`."""
        ...


class StartEmbedded(Protocol):
    """What the entry point `server` of `alphacut.embedded` is."""

    def __call__(
        self, log_level: str | None = None, model: str = "", quality: str = ""
    ) -> AbstractContextManager[EmbeddedServer]:
        """Start a server that cuts by this model or quality unless asked otherwise; leaving the context stops it."""
        ...


def run_program(name: str, argv: Sequence[str]) -> int:
    """Run another package's command; raises CommandError when what it needs is not installed."""
    main = cast(Callable[[Sequence[str]], int | None], _load(COMMAND_GROUP, name, PROGRAMS[name]))
    try:
        return main(argv) or 0
    except ImportError as error:
        raise _missing(f"`alphacut {name}`", PROGRAMS[name], error) from error


def load_embedded() -> StartEmbedded:
    """Return what starts the embedded server; raises CommandError when what it needs is not installed."""
    return cast(StartEmbedded, _load(EMBEDDED_GROUP, "server", _EMBEDDED))


def missing_runtime(error: ImportError) -> Exception:
    """Return what to raise when starting the embedded server fails for want of a package."""
    return _missing("cutting without --server", _EMBEDDED, error)


def _load(group: str, name: str, program: Program) -> object:
    what = f"`alphacut {name}`" if group == COMMAND_GROUP else "cutting without --server"
    found: list[EntryPoint] = list(entry_points(group=group, name=name))
    if not found:
        raise CommandError(_advice(what, program), ExitCode.MISSING_EXTRA)
    try:
        return found[0].load()
    except ImportError as error:
        raise _missing(what, program, error) from error


def _missing(what: str, program: Program, error: ImportError) -> Exception:
    """Return the advice for a third-party package; a missing module of our own is a fault, and stays one."""
    if (error.name or "").partition(".")[0] in _OURS:
        return error
    return CommandError(f"{_advice(what, program)} ({error})", ExitCode.MISSING_EXTRA)


def _advice(what: str, program: Program) -> str:
    hint = " (with an NVIDIA GPU: gpu instead of cpu)" if "cpu" in program.extras else ""
    elsewhere = ", or name a running server with --server HOST:PORT" if program is _EMBEDDED else ""
    return f"{what} needs more than is installed: pip install 'alphacut[{program.extras}]'{hint}{elsewhere}"
