"""The file of API keys: one hashed key a line, read anew when it changes; knows nothing of calls.

    # name    hash                       attributes
    shop      sha256:5f1d…64 digits…
    archive   sha256:9c02…64 digits…     bulk        # created 2026-11-23

Keys are compared by SHA-256, not by a slow hash. A slow one protects what people choose, by making each guess dear; these keys
are 256 random bits, which nobody guesses at any price, and a tenth of a second of CPU a call would be a gift to whoever sends
wrong ones.
"""

import hashlib
import hmac
import logging
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from alphacut_server.deadline import Clock
from alphacut_server.errors import InternalFault

LOOK_INTERVAL_S = 1.0
"""How long a change of the file may go unnoticed; a look is one `stat`, 3 µs."""

MAX_KEYS = 1000
"""Every call is compared with every key on the event loop: 1 µs for one key, 7 for 100, 50 for 1000 (2026-11-23)."""

MAX_FILE_BYTES = 1 << 20
"""Far above `MAX_KEYS` lines; whoever names a wrong file is told so before it is read."""

SCHEME = "sha256:"
BULK = "bulk"

_NAME = re.compile(r"[a-z0-9._-]{1,64}")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")

logger = logging.getLogger(__name__)


class KeysUnusable(InternalFault):
    """The file of API keys cannot be used; for the operator, who is told the line, but nothing that stands on it."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One line of the file."""

    name: str
    """Who holds the key, for logs and metrics."""
    digest: bytes = field(repr=False)
    """SHA-256 of the key, 32 bytes."""
    is_bulk: bool = False
    """Whether its calls are bulk work, whatever they ask for."""
    line: int = 0
    """Where it stands in the file, from 1."""


class KeyFileObserver(Protocol):
    """Hears what became of the file."""

    def keys_loaded(self, names: Sequence[str]) -> None:
        """These keys hold from now on."""
        ...

    def keys_rejected(self) -> None:
        """The file as it is now cannot be used; the keys before it still hold."""
        ...


def digest_of(key: str) -> bytes:
    """Return a key's SHA-256; text that UTF-8 cannot say matches nothing."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def is_name(text: str) -> bool:
    """Tell whether a key may be called so."""
    return _NAME.fullmatch(text) is not None


def format_key(key: ApiKey) -> str:
    """Return the line of a key, without its end."""
    return f"{key.name}  {SCHEME}{key.digest.hex()}" + (f"  {BULK}" if key.is_bulk else "")


def parse_keys(text: str) -> tuple[ApiKey, ...]:
    """Return the keys of a file's text, none when it holds comments alone. Raises KeysUnusable naming the line."""
    keys: list[ApiKey] = []
    lines_of: dict[str | bytes, int] = {}
    for line, content in enumerate(text.split("\n"), start=1):
        words = content.partition("#")[0].split()
        if not words:
            continue
        key = _parse_line(words, line)
        for what, value in (("name", key.name), ("hash", key.digest)):
            if (other := lines_of.setdefault(value, line)) != line:
                raise KeysUnusable(f"line {line}: the {what} stands on line {other} already")
        keys.append(key)
    if len(keys) > MAX_KEYS:
        raise KeysUnusable(f"there are {len(keys)} keys, more than {MAX_KEYS}")
    return tuple(keys)


def _parse_line(words: Sequence[str], line: int) -> ApiKey:
    name, *rest = words
    if not is_name(name):
        raise KeysUnusable(f"line {line}: a name is 1 to 64 of a-z, 0-9, `.`, `_`, `-`")
    matched = _HASH.fullmatch(rest[0].lower()) if rest else None
    if matched is None:
        raise KeysUnusable(
            f"line {line}: after the name comes {SCHEME} and 64 hexadecimal digits, never the key itself"
        )
    attributes = rest[1:]
    if attributes not in ([], [BULK]):
        raise KeysUnusable(f"line {line}: after the hash only `{BULK}` may follow")
    return ApiKey(name, bytes.fromhex(matched[1]), is_bulk=bool(attributes), line=line)


@dataclass(frozen=True, slots=True)
class _Version:
    """By what one state of the file differs from another: a swapped symlink, a new file, one written in place."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "_Version":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class KeyFile:
    """The keys that hold now.

    `find` looks at the file at most once a second, and reads it when it changed, on the thread that calls: a second thread would
    let a revoked key in once more after an idle hour. The file belongs on a local disk, or in memory as Kubernetes mounts it.
    A new version that cannot be used changes nothing; before the first one has been loaded, no key holds.
    """

    def __init__(self, path: Path, clock: Clock, observer: KeyFileObserver) -> None:
        self._path = path
        self._clock = clock
        self._observer = observer
        self._keys: tuple[ApiKey, ...] = ()
        self._seen: _Version | None = None
        self._look_again_s = 0.0

    def load(self) -> None:
        """Read the file for the first time. Raises KeysUnusable, also when it holds no key."""
        self._look_again_s = self._clock.now() + LOOK_INTERVAL_S
        self._seen = self._version()
        keys = self._read()
        if not keys:
            raise KeysUnusable(
                f"The API keys file {self._path} holds no key, so nobody could call. Make one with: "
                f"alphacut keys create NAME --file {self._path}; or unset server.api_keys_file to let everybody in."
            )
        self._adopt(keys)

    def find(self, presented: str) -> ApiKey | None:
        """Return the key that was presented, None when it is none of ours."""
        now_s = self._clock.now()
        if now_s >= self._look_again_s:
            self._look_again_s = now_s + LOOK_INTERVAL_S
            self._refresh()
        digest = digest_of(presented)
        found = None
        # All of them, whichever fits, in constant time each: how long it takes tells nothing of where a digest differs.
        for key in self._keys:
            if hmac.compare_digest(digest, key.digest):
                found = key
        return found

    def _refresh(self) -> None:
        """Read the file anew if it changed; one that cannot be used is told of once."""
        version = self._version()
        if version == self._seen:
            return
        self._seen = version
        try:
            self._adopt(self._read())
        except KeysUnusable as fault:
            self._observer.keys_rejected()
            logger.error(
                "api_keys_rejected",
                extra={"note": f"{fault.message} The keys before it still hold.", "keys": len(self._keys)},
            )

    def _version(self) -> _Version | None:
        try:
            return _Version.of(self._path.stat())
        except OSError:
            return None

    def _read(self) -> tuple[ApiKey, ...]:
        try:
            text, mode = _read_text(self._path)
            keys = parse_keys(text)
        except OSError as error:
            raise KeysUnusable(
                f"The API keys file {self._path} cannot be read: {error.strerror or error}."
            ) from error
        except UnicodeDecodeError:
            # Without its cause, which quotes what it could not read.
            raise KeysUnusable(f"The API keys file {self._path} cannot be used: it is not UTF-8.") from None
        except KeysUnusable as fault:
            raise KeysUnusable(f"The API keys file {self._path} cannot be used: {fault.message}.") from None
        if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
            logger.warning(
                "api_keys_exposed",
                extra={
                    "mode": f"{mode:04o}",
                    "note": f"Others than its owner may read or change {self._path}; give it mode 0600 or 0640.",
                },
            )
        return keys

    def _adopt(self, keys: tuple[ApiKey, ...]) -> None:
        self._keys = keys
        self._observer.keys_loaded([key.name for key in keys])
        if keys:
            logger.info("api_keys_loaded", extra={"names": [key.name for key in keys]})
        else:
            logger.warning(
                "api_keys_loaded",
                extra={"names": [], "note": "The last key was removed: every call is refused."},
            )


def _read_text(path: Path) -> tuple[str, int]:
    """Return a file's text and permission bits. Raises OSError, UnicodeDecodeError, KeysUnusable."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # opening a pipe would wait for its writer
        raise KeysUnusable("it is not a regular file")
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise KeysUnusable(f"it has more than {MAX_FILE_BYTES >> 20} MiB")
    if not content:
        # Nobody means that: a write was cut short, by a full disk or under our eyes. Who revokes the last key leaves a comment.
        raise KeysUnusable("it is empty")
    return content.decode("utf-8-sig"), stat.S_IMODE(mode)
