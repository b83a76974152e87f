"""The local store of pulled and prepared models.

One folder per model:

    <store>/<id>/lock                       held (flock) by whoever pulls or prepares this model
    <store>/<id>/weights-<digest>.onnx      present under this name only when whole and verified
    <store>/<id>/weights-<digest>.json      its SHA-256, size and origin
    <store>/<id>/weights-<digest>.part      an https download that the next pull resumes
    <store>/<id>/work-*/                    scratch of the pull under way; swept by the next one if it was killed

A file gets its final name by rename after its checksum was right and its bytes were on the disk. Readers take no lock.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from alphacut_server.catalogue.faults import NotPulled, StoreUnusable
from alphacut_server.catalogue.spec import Algorithm, ModelSpec
from alphacut_server.errors import ModelCorrupt

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Opener: TypeAlias = Callable[[Path, str], BinaryIO]
"""Opens a file for writing; tests hand in one that runs out of disk."""

BLOCK_BYTES = 1 << 20
_ROOT = Path(__file__).resolve().parents[3]  # of a checkout; somewhere in site-packages' parents otherwise
_SHORT_DIGEST = 16  # enough to tell the files of one model apart; the whole digest is checked


def open_binary(path: Path, mode: str) -> BinaryIO:
    """Open `path` in the binary `mode` given."""
    return path.open(mode)  # type: ignore[return-value]  # mode is binary by contract, mypy sees only str


@dataclass(frozen=True, slots=True)
class Weights:
    """A verified weights file in the store."""

    path: Path
    sha256: str
    size_bytes: int
    origin: str
    """The source it came from, in words."""


class Store:
    """Files of pulled and prepared models under one root; safe between processes."""

    def __init__(self, root: Path, *, opener: Opener = open_binary) -> None:
        self.root = root
        self._open = opener

    def folder(self, model_id: str) -> Path:
        """Return the folder of one model; it need not exist."""
        return self.root / model_id

    def weights_path(self, spec: ModelSpec) -> Path:
        """Return the final name of the weights that the entry asks for."""
        return self.folder(spec.id) / f"weights-{spec.file.checksum.value[:_SHORT_DIGEST]}.onnx"

    def part_path(self, spec: ModelSpec) -> Path:
        """Return where an https download waits to be resumed."""
        return self.weights_path(spec).with_suffix(".part")

    def open_for_writing(self, path: Path, mode: str) -> BinaryIO:
        """Open a file of the store, `mode` being "wb" or "ab"."""
        return self._open(path, mode)

    def find_weights(self, spec: ModelSpec) -> Weights | None:
        """Return the weights if they are there with the right size, None otherwise; contents are not read."""
        path = self.weights_path(spec)
        record = read_json(path.with_suffix(".json"))
        try:
            size = path.stat().st_size
        except OSError:
            return None
        sha256 = record.get("sha256") if record else None
        if record is None or not isinstance(sha256, str) or size != spec.file.size_bytes:
            return None
        return Weights(path, sha256, size, str(record.get("origin", "")))

    def check_weights(self, spec: ModelSpec) -> Weights:
        """Return the weights after hashing every byte. Raises NotPulled or ModelCorrupt."""
        path = self.weights_path(spec)
        if not path.is_file():
            raise NotPulled(spec.id)
        found, sha256 = _hash_both(path, spec.file.checksum.algorithm)
        record = read_json(path.with_suffix(".json")) or {}
        recorded = record.get("sha256", sha256)
        if found != spec.file.checksum.value or recorded != sha256:
            raise ModelCorrupt(
                f"The stored weights of {spec.id} are not what their checksum says; run: alphacut models pull {spec.id}",
                {"model": spec.id},
            )
        return Weights(path, sha256, path.stat().st_size, str(record.get("origin", "")))

    def adopt(self, spec: ModelSpec, arrived: Path, origin: str) -> Weights | None:
        """Give a downloaded file its final name if its checksum is right; None, and the file untouched, if not.

        `arrived` lies in the model's folder or below, so that the rename is atomic.
        """
        found, sha256 = _hash_both(arrived, spec.file.checksum.algorithm)
        if found != spec.file.checksum.value:
            return None
        target = self.weights_path(spec)
        size = arrived.stat().st_size
        with arrived.open("rb") as file:
            os.fsync(file.fileno())
        weights = Weights(target, sha256, size, origin)
        # The record first: a file under its final name has one beside it.
        self.record(weights)
        arrived.replace(target)
        _sync_folder(target.parent)
        return weights

    def record(self, weights: Weights) -> None:
        """Keep beside the weights what was found out about them. Raises OSError."""
        content: dict[str, Json] = {
            "sha256": weights.sha256,
            "size_bytes": weights.size_bytes,
            "origin": weights.origin,
        }
        self.write_json(weights.path.with_suffix(".json"), content)

    def write_atomic(self, target: Path, content: bytes) -> None:
        """Write a whole file under its final name or not at all. Raises OSError."""
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f"tmp-{secrets.token_hex(8)}")
        try:
            with self._open(scratch, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)
        _sync_folder(target.parent)

    def write_json(self, target: Path, content: Mapping[str, Json]) -> None:
        """Write one JSON object atomically. Raises OSError."""
        self.write_atomic(target, (json.dumps(dict(content), indent=1, sort_keys=True) + "\n").encode())

    @contextlib.contextmanager
    def locked(self, model_id: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the model's lock, across processes; `waiting` is called once when another holds it. Raises OSError."""
        folder = self.folder(model_id)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("ab") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def workspace(self, model_id: str) -> Iterator[Path]:
        """Lend a scratch folder on the store's own disk, removed whatever happens short of a kill.

        The caller holds the model's lock: `sweep` takes every such folder that it finds for abandoned.
        """
        with tempfile.TemporaryDirectory(dir=self.folder(model_id), prefix="work-") as work:
            yield Path(work)

    def sweep(self, spec: ModelSpec) -> None:
        """Remove what killed pulls left, and parts of other files; the lock is held by the caller."""
        folder = self.folder(spec.id)
        for left in folder.glob("work-*"):
            shutil.rmtree(left, ignore_errors=True)
        for part in folder.glob("weights-*.part"):
            if part != self.part_path(spec):
                part.unlink(missing_ok=True)

    def discard_weights(self, spec: ModelSpec) -> None:
        """Remove the weights of this entry, if any, record included."""
        self.weights_path(spec).unlink(missing_ok=True)
        self.weights_path(spec).with_suffix(".json").unlink(missing_ok=True)


def default_store(environ: Mapping[str, str], *, root: Path = _ROOT) -> Path:
    """Return the store's place when none was configured: beside the catalogue in a checkout, else the user's cache."""
    if (root / "pyproject.toml").is_file() and (root / "models").is_dir():
        return root / "models" / ".store"
    cache = environ.get("XDG_CACHE_HOME", "")
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return (Path(cache) if cache else home / ".cache") / "alphacut"


def hash_file(path: Path, algorithm: Algorithm = Algorithm.SHA256) -> str:
    """Return a file's checksum in lower-case hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm.value).hexdigest()


def read_json(path: Path) -> dict[str, Json] | None:
    """Return the JSON object in a file; None when there is none, or it is not one."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


@contextlib.contextmanager
def explained(model_id: str, root: Path) -> Iterator[None]:
    """Turn the operating system's refusals into sentences that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreUnusable(
                f"The disk that holds {root} is full; free some space, or choose another place with --store, "
                f"then run again: alphacut models pull {model_id}"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreUnusable(
                f"{root} cannot be written ({error.strerror}); make it writable or choose another place with --store."
            ) from error
        raise StoreUnusable(f"The store at {root} failed: {error.strerror or error}") from error


def _hash_both(path: Path, algorithm: Algorithm) -> tuple[str, str]:
    """Return the checksum that the catalogue speaks of, and the SHA-256."""
    sha256 = hash_file(path)
    return (sha256 if algorithm is Algorithm.SHA256 else hash_file(path, algorithm)), sha256


def _sync_folder(folder: Path) -> None:
    """Make renames in `folder` last over a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
