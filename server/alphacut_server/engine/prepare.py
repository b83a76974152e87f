"""Prepare pulled weights for serving, once: the reworked graph is cached in the store by content.

    <store>/<id>/prepared-<key>.onnx     the graph to serve, present under this name only when whole
    <store>/<id>/prepared-<key>.json     its SHA-256 and what it was made from and for
    <store>/<id>/facts-<key>.json        what this machine measured with it

The key covers the weights' checksum, the entry's normalisation and names, side, precision and the version of the rework, so
that a change of any of them prepares anew and never serves a stale graph. A prepared file whose bytes are not what its record
says is prepared again from the weights; only when those are damaged too is the model given up (ModelCorrupt).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from alphacut_server.catalogue.spec import ModelSpec
from alphacut_server.catalogue.store import Json, Store, explained, hash_file, read_json
from alphacut_server.engine.shapes import GraphUnsupported
from alphacut_server.engine.surgery import INPUT_NAME, OUTPUT_NAME, Plan, rework
from alphacut_server.errors import ModelCorrupt

PREPARE_VERSION = 1
"""Raised whenever the rework changes what it makes, so that every store prepares anew."""


class Precision(Enum):
    """Arithmetic inside the prepared graph; its input and output are uint8 in both."""

    FP32 = "fp32"
    FP16 = "fp16"


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A graph ready to be served: `input_name` (n, side, side, 3) uint8 RGB → `output_name` (n, side, side) uint8."""

    path: Path
    model_id: str
    side_px: int
    input_name: str
    output_name: str
    sha256: str
    precision: Precision
    """What it really has: fp32 where the network was never seen to work in fp16."""
    max_batch_size: int | None
    """1: the graph's batch is fixed. None: the graph takes any batch."""
    store: Store

    def read_facts(self) -> dict[str, Json]:
        """Return what was kept by `write_facts`; empty when nothing was."""
        return read_json(self._facts_path) or {}

    def write_facts(self, facts: Mapping[str, Json]) -> bool:
        """Keep small facts measured on this machine, replacing those kept before; atomic.

        Put into them what tells this machine from another: stores are copied into images and shared over networks.
        Returns False when the store cannot be written; facts are a cache, losing them costs a measurement.
        """
        try:
            self.store.write_json(self._facts_path, facts)
        except OSError:
            return False
        return True

    def is_intact(self) -> bool:
        """Hash the file and compare with its record."""
        try:
            return hash_file(self.path) == self.sha256
        except OSError:
            return False

    @property
    def _facts_path(self) -> Path:
        return self.path.with_name(self.path.name.replace("prepared-", "facts-", 1)).with_suffix(".json")


def prepare(
    spec: ModelSpec, store: Store, precision: Precision, *, side_px: int | None = None
) -> PreparedModel:
    """Return the entry's graph to serve, from the store or made now; every byte of it is checked.

    `side_px` is one of the entry's sides, its own when None. Processes may prepare at once: the second waits and finds it.
    Memory while preparing: five to six times the fp32 weights (0.9 GB for u2net). Raises NotPulled (the message says what to
    run), ModelCorrupt, GraphUnsupported, StoreUnusable; ValueError on a side that the entry does not list.
    """
    side = spec.side_px if side_px is None else side_px
    if side not in (spec.side_px, *spec.other_sides_px):
        raise ValueError(f"{spec.id} has no side of {side} px; it has {(spec.side_px, *spec.other_sides_px)}")
    real = precision if spec.fp16 else Precision.FP32
    target = store.folder(spec.id) / f"prepared-{_key(spec, side, real)}.onnx"
    ready = _load(target, store)
    if ready is not None and ready.is_intact():
        return ready
    with explained(spec.id, store.root):
        if not store.folder(spec.id).is_dir():
            store.check_weights(spec)  # raises NotPulled before a folder is made for nothing
        with store.locked(spec.id):
            ready = _load(target, store)
            if ready is not None and ready.is_intact():
                return ready
            return _make(spec, store, target, side, real)


def list_prepared(spec: ModelSpec, store: Store) -> list[PreparedModel]:
    """Return every prepared graph of this entry in the store, stale ones left out; contents are not read."""
    found = []
    for precision in Precision:
        for side in (spec.side_px, *spec.other_sides_px):
            target = store.folder(spec.id) / f"prepared-{_key(spec, side, precision)}.onnx"
            ready = _load(target, store)
            if ready is not None:
                found.append(ready)
    return found


def _make(spec: ModelSpec, store: Store, target: Path, side_px: int, precision: Precision) -> PreparedModel:
    weights = store.check_weights(spec)
    try:
        published = onnx.load(weights.path, load_external_data=False)
    except DecodeError as error:
        raise ModelCorrupt(f"The weights of {spec.id} are no ONNX file.", {"model": spec.id}) from error
    plan = Plan(
        input_name=spec.input_name,
        output_name=spec.output_name,
        output_is_logits=spec.output_is_logits,
        published_side_px=spec.side_px,
        side_px=side_px,
        mean=spec.mean,
        std=spec.std,
        is_batch_free=spec.max_batch_size != 1,
        is_fp16=precision is Precision.FP16,
    )
    try:
        content = rework(published, plan).SerializeToString()
    except GraphUnsupported as error:
        raise GraphUnsupported(
            f"{spec.id} cannot be prepared: {error.message}", {"model": spec.id}
        ) from error
    record: dict[str, Json] = {
        "model": spec.id,
        "sha256": hashlib.sha256(content).hexdigest(),
        "weights_sha256": weights.sha256,
        "side_px": side_px,
        "precision": precision.value,
        "max_batch_size": spec.max_batch_size,
        "prepare_version": PREPARE_VERSION,
    }
    # The record goes first: a kill between the two leaves a record that no file answers to, which is prepared anew.
    store.write_json(target.with_suffix(".json"), record)
    try:
        store.write_atomic(target, content)
    except OSError:
        target.with_suffix(".json").unlink(missing_ok=True)
        raise
    ready = _load(target, store)
    if ready is None:
        raise ModelCorrupt(f"The prepared {spec.id} vanished from the store.", {"model": spec.id})
    return ready


def _load(target: Path, store: Store) -> PreparedModel | None:
    """Return the prepared model recorded for `target`, None when file or record is missing or unreadable."""
    record = read_json(target.with_suffix(".json"))
    if record is None or not target.is_file():
        return None
    model, sha256, side_px = record.get("model"), record.get("sha256"), record.get("side_px")
    limit, precision = record.get("max_batch_size"), record.get("precision")
    if not (isinstance(model, str) and isinstance(sha256, str) and isinstance(side_px, int)):
        return None
    if precision not in [known.value for known in Precision]:
        return None
    return PreparedModel(
        path=target,
        model_id=model,
        side_px=side_px,
        input_name=INPUT_NAME,
        output_name=OUTPUT_NAME,
        sha256=sha256,
        precision=Precision(precision),
        max_batch_size=limit if isinstance(limit, int) else None,
        store=store,
    )


def _key(spec: ModelSpec, side_px: int, precision: Precision) -> str:
    """Return what tells one prepared graph of a model from another."""
    parts = (
        PREPARE_VERSION,
        str(spec.file.checksum),
        spec.input_name,
        spec.output_name,
        spec.output_is_logits,
        spec.mean,
        spec.std,
        spec.side_px,
        side_px,
        spec.max_batch_size,
        precision.value,
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
