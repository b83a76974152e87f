"""`alphacut keys create | list | revoke`: make API keys and look after the file of their hashes.

A new key goes to standard output, once, and nowhere else; words go to standard error. Exit codes: 0 done, 1 it could not be done,
2 usage.
"""

import argparse
import contextlib
import fcntl
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TextIO

from alphacut_server.key_file import ApiKey, KeysUnusable, digest_of, format_key, is_name, parse_keys

KEY_PREFIX = "alphacut_"
"""Lets scanners of repositories and logs find a key that got there: alphacut_[A-Za-z0-9_-]{43}."""

_RANDOM_BYTES = 32
_BROUGHT_KEY = re.compile(r"[!-~]{22,512}")
"""22 characters of base64 hold 128 bits, the least that a hash without salt and cost protects."""

_HEADER = "# API keys of alphacut: name, hash, attributes. Change it with `alphacut keys`, or replace it as a whole.\n"


class _Refused(Exception):
    """It cannot be done; the message is what the operator is told."""


def main(
    argv: Sequence[str] | None = None,
    *,
    stdin: TextIO | None = None,
    today: Callable[[], date] = lambda: datetime.now(UTC).date(),
) -> int:
    """Run the command and return its exit code."""
    try:
        chosen = _parser().parse_args(sys.argv[1:] if argv is None else argv)
    except SystemExit as stop:  # argparse has said what is wrong, or shown the help
        return stop.code if isinstance(stop.code, int) else 2
    try:
        match chosen.verb:
            case "create":
                _create(chosen, stdin or sys.stdin, today())
            case "list":
                _list(chosen.file)
            case _:
                _revoke(chosen.name, chosen.file)
    except (_Refused, KeysUnusable) as fault:
        sys.stderr.write(f"alphacut keys: {fault}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"alphacut keys: {chosen.file}: {error.strerror or error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="alphacut keys",
        description="Look after the API keys: the server that is given the file (server.api_keys_file) "
        "lets in whoever brings one of them.",
        epilog="The file holds hashes, so a lost key is replaced, not looked up. "
        "A running server takes changes within a second.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="create | list | revoke")
    creating = verbs.add_parser(
        "create", help="make a key, print it once, and print or add the line of its hash"
    )
    creating.add_argument(
        "name", metavar="NAME", type=_name, help="who holds it, for logs and metrics: a-z 0-9 . _ -"
    )
    creating.add_argument(
        "--bulk", action="store_true", help="all its calls are bulk work, whatever they ask for"
    )
    creating.add_argument(
        "--file", metavar="FILE", type=Path, help="add the line to this file, made if it is missing"
    )
    creating.add_argument(
        "--stdin",
        action="store_true",
        help="hash the key on standard input instead of making one: for callers that have a random key already",
    )
    listing = verbs.add_parser("list", help="show the names, attributes and remarks of a file's keys")
    listing.add_argument("--file", metavar="FILE", type=Path, required=True, help="the file of hashes")
    revoking = verbs.add_parser("revoke", help="take a key out of a file")
    revoking.add_argument("name", metavar="NAME", type=_name, help="the key's name")
    revoking.add_argument("--file", metavar="FILE", type=Path, required=True, help="the file of hashes")
    return parser


def _name(text: str) -> str:
    if not is_name(text):
        raise argparse.ArgumentTypeError("a name is 1 to 64 of a-z, 0-9, `.`, `_`, `-`")
    return text


def _create(chosen: argparse.Namespace, stdin: TextIO, created: date) -> None:
    key = _brought_key(stdin) if chosen.stdin else KEY_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    line = f"{format_key(ApiKey(chosen.name, digest_of(key), chosen.bulk))}  # created {created}\n"
    if chosen.file is None:
        sys.stderr.write(f"Add this line to the file of keys:\n{line}")
    else:
        with _locked(chosen.file):
            text = _read(chosen.file) if chosen.file.exists() else _HEADER
            text += line if text.endswith("\n") or not text else f"\n{line}"
            _parse(text, chosen.file)  # the name and the key are new, too
            _replace(chosen.file, text)
        sys.stderr.write(f"Added {chosen.name} to {chosen.file}.\n")
    if not chosen.stdin:
        sys.stderr.write("The key, which is shown this once:\n")
        sys.stderr.flush()
        sys.stdout.write(f"{key}\n")
        sys.stdout.flush()


def _brought_key(stdin: TextIO) -> str:
    """Read a key from standard input: other users of the machine see command lines."""
    key = stdin.readline().strip()
    if _BROUGHT_KEY.fullmatch(key) is None:
        raise _Refused(
            "standard input must hold a random key of 22 to 512 printable ASCII characters without a space"
        )
    return key


def _list(path: Path) -> None:
    text = _read(path)
    lines = text.split("\n")
    keys = _parse(text, path)
    width = max([len("NAME"), *(len(key.name) for key in keys)])
    sys.stdout.write(f"{'NAME':<{width}}  PRIORITY     REMARK\n")
    for key in keys:
        priority = "bulk" if key.is_bulk else "any"
        remark = lines[key.line - 1].partition("#")[2].strip()
        sys.stdout.write(f"{key.name:<{width}}  {priority:<11}  {remark}".rstrip() + "\n")


def _revoke(name: str, path: Path) -> None:
    with _locked(path):
        text = _read(path)
        keys = _parse(text, path)
        numbers = [key.line for key in keys if key.name == name]
        if not numbers:
            raise _Refused(f"{path} holds no key called {name}")
        lines = text.split("\n")
        del lines[numbers[0] - 1]
        left = "\n".join(lines)
        # A file without a byte is taken for a write cut short, and would leave the key valid.
        _replace(path, left if left.strip() else _HEADER)
    sys.stderr.write(f"Revoked {name}; a running server refuses it within a second.\n")
    if len(keys) == 1:
        sys.stderr.write(
            "It was the last one: a running server now refuses every call, and none starts with this file.\n"
        )


def _read(path: Path) -> str:
    try:
        # Not read_text, which would make other line ends than `\n` equal to it.
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _Refused(f"{path} is not UTF-8, so it is no file of keys") from None


def _parse(text: str, path: Path) -> tuple[ApiKey, ...]:
    try:
        return parse_keys(text)
    except KeysUnusable as fault:
        raise _Refused(f"{path}: {fault}") from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other runs of this command from the file meanwhile. The folder is locked, for the file is replaced."""
    folder = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _replace(path: Path, text: str) -> None:
    """Write the file whole or not at all: mode 0600 if it is new, else its own owner and mode, closed to the world."""
    target = path.resolve()  # a symlink stays one
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            with contextlib.suppress(FileNotFoundError):
                # The server often runs as somebody else than its operator, and must still be able to read it.
                before = target.stat()
                os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode) & 0o660)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
