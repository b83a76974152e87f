"""The entry point: which command it is, and how it ends."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from alphacut.cli.arguments import build_parser, read_connection, read_remove
from alphacut.cli.console import CommandError, Console, ExitCode
from alphacut.cli.extras import PROGRAMS, run_program
from alphacut.urls import is_url
from alphacut.version import __version__


class _TerminatedError(BaseException):
    """SIGTERM came; not an Exception, as KeyboardInterrupt is none."""


def main(
    argv: Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    console: Console | None = None,
) -> int:
    """Run the command line and return its exit code; raises SystemExit for --help and words it does not know."""
    words = list(sys.argv[1:] if argv is None else argv)
    variables = os.environ if environ is None else environ
    streams = console or Console.standard()
    try:
        if words and words[0] in PROGRAMS:
            # A program of its own: it handles its signals and reads its words.
            return run_program(words[0], words[1:])
        values = _parse(words, variables)
        with _sigterm_raises():
            return _run(values, streams)
    except CommandError as error:
        streams.complain(str(error))
        return error.code
    except BrokenPipeError:
        streams.drop_stdout()
        return ExitCode.PIPE_CLOSED
    except KeyboardInterrupt:
        streams.complain("interrupted; what was written is whole")
        return ExitCode.INTERRUPTED
    except _TerminatedError:
        streams.complain("terminated; what was written is whole")
        return ExitCode.TERMINATED


def _parse(words: list[str], environ: Mapping[str, str]) -> argparse.Namespace:
    parser = build_parser(environ)
    if (
        words
        and not words[0].startswith("-")
        and (is_url(words[0]) or Path(words[0]).exists())
        and words[0] not in {"remove", "version"}
    ):
        parser.error(f"to cut {words[0]}: alphacut remove {words[0]}")
    return parser.parse_args(words)


def _run(values: argparse.Namespace, console: Console) -> int:
    # Imported when needed: gRPC takes longer to import than the rest of the command line takes to run.
    if values.command == "remove":
        from alphacut.cli.remove import run_remove  # noqa: PLC0415 - see above

        return run_remove(read_remove(values), console)
    console.answer(f"alphacut {__version__}")
    connection = read_connection(values)
    if connection.server is not None:
        from alphacut.cli.connect import greet, open_client  # noqa: PLC0415 - see above

        with open_client(connection) as client:
            console.answer(f"server {greet(client, connection)} at {connection.server}")
    return ExitCode.DONE


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does: calls cancelled, no half-written file."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise _TerminatedError

    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers; a program that calls `main` elsewhere has its own.
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
