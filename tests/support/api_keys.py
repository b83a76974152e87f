"""Files of API keys as operators write them, and an observer that remembers what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alphacut_server.key_file import ApiKey, digest_of, format_key

SHOP_KEY = "alphacut_" + "Shop" * 10 + "abc"
ARCHIVE_KEY = "alphacut_" + "Arch" * 10 + "xyz"


def line_of(name: str, key: str, *, is_bulk: bool = False) -> str:
    """Return a key's line with its end."""
    return format_key(ApiKey(name, digest_of(key), is_bulk)) + "\n"


def write_keys(path: Path, *lines: str, mode: int = 0o600) -> Path:
    """Put a file of these lines in the place of whatever is there, at once; returns the path."""
    scratch = path.with_name(path.name + ".new")
    scratch.write_bytes("".join(lines).encode())
    scratch.chmod(mode)
    scratch.replace(path)
    return path


@dataclass(slots=True)
class FakeKeyObserver:
    """Remembers; hears of the file and of the calls."""

    loaded: list[tuple[str, ...]] = field(default_factory=list)
    rejected: int = 0
    used: list[tuple[str, str]] = field(default_factory=list)
    """(key's name, code)"""

    def keys_loaded(self, names: Sequence[str]) -> None:
        """Remember."""
        self.loaded.append(tuple(names))

    def keys_rejected(self) -> None:
        """Remember."""
        self.rejected += 1

    def key_used(self, key: str, code: str) -> None:
        """Remember."""
        self.used.append((key, code))
