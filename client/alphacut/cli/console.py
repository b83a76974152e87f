"""What the command line reads, writes and ends with, as values that tests replace."""

import os
import sys
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO, TextIO


class ExitCode(IntEnum):
    """How the command line ends; the top of `alphacut --help` tells the same."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    MISSING_EXTRA = 3
    NO_SERVER = 4
    # 128 + the signal's number, as shells count.
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


class CommandError(Exception):
    """Ends the command with a sentence for the user and an exit code."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


class UsageError(CommandError):
    """The command line asks for what cannot be done; nothing was done."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.USAGE)


@dataclass(frozen=True, slots=True)
class Console:
    """The three streams; pictures travel as bytes, words as text."""

    stdin: BinaryIO
    stdout: BinaryIO
    stderr: TextIO

    @classmethod
    def standard(cls) -> "Console":
        """Return the process's own."""
        return cls(sys.stdin.buffer, sys.stdout.buffer, sys.stderr)

    def drop_stdout(self) -> None:
        """Give up on a pipe whose reader has gone, lest Python complains of it once more when it exits."""
        if self.stdout is sys.stdout.buffer:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stdout.fileno())
            os.close(nowhere)

    def say(self, line: str) -> None:
        """Write a line for a person."""
        self.stderr.write(line + "\n")
        self.stderr.flush()

    def complain(self, sentence: str) -> None:
        """Write what went wrong, under the program's name."""
        self.say(f"alphacut: {sentence}")

    def answer(self, line: str) -> None:
        """Write a line for a program or a pipe."""
        self.stdout.write(line.encode("utf-8", "backslashreplace") + b"\n")
        self.stdout.flush()
