"""`alphacut models list | pull | verify`: look after the weights on this machine.

Exit codes: 0 all well, 1 something failed or is wrong, 2 usage, 130 interrupted (an https download goes on next time).
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from alphacut_server.catalogue.faults import NotInCatalogue, NotPulled
from alphacut_server.catalogue.loader import Catalogue, load_catalogue
from alphacut_server.catalogue.progress import progress_for
from alphacut_server.catalogue.pull import pull
from alphacut_server.catalogue.sources import Progress, Tools
from alphacut_server.catalogue.spec import ModelSpec
from alphacut_server.catalogue.store import Json, Store, default_store
from alphacut_server.engine.prepare import Precision, list_prepared, prepare
from alphacut_server.errors import AlphacutError

STORE_VARIABLE = "ALPHACUT_ENGINE_STORE_DIR"
CATALOGUE_VARIABLE = "ALPHACUT_ENGINE_CATALOGUE_DIR"
_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class _Place:
    """What every verb works on."""

    catalogue: Catalogue
    store: Store
    out: TextIO
    complaints: TextIO
    tools: Tools | None
    """None: the real network, and progress shown on `complaints`."""


def main(
    argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None, tools: Tools | None = None
) -> int:
    """Run the command and return its exit code; this program's only reader of arguments and environment."""
    environ = os.environ if environ is None else environ
    parser = _parser()
    try:
        chosen = parser.parse_args(sys.argv[1:] if argv is None else argv)
        if chosen.verb == "pull" and bool(chosen.ids) == chosen.all:
            parser.error("pull: name the models to pull, or give --all")
    except SystemExit as stop:  # argparse has said what is wrong, or shown the help
        return stop.code if isinstance(stop.code, int) else 2
    configured = chosen.store or environ.get(STORE_VARIABLE, "")
    store = Store(Path(configured).expanduser() if configured else default_store(environ))
    entries = environ.get(CATALOGUE_VARIABLE, "")
    try:
        catalogue = load_catalogue(Path(entries) if entries else None)
        place = _Place(catalogue, store, sys.stdout, sys.stderr, tools)
        match chosen.verb:
            case "list":
                return _list(place, as_json=chosen.json)
            case "pull":
                return _pull(place, chosen.ids or catalogue.ids, Precision(chosen.precision))
            case _:
                return _verify(place, chosen.ids)
    except AlphacutError as fault:
        sys.stderr.write(f"alphacut models: {fault.message}\n")
        return 2 if isinstance(fault, NotInCatalogue) else 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nalphacut models: interrupted; nothing half-written was left, run the same again to go on\n"
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="alphacut models",
        description="Look after the models: what there is, pull the weights, verify what was pulled.",
        epilog="Weights come from their publishers and are checked against the catalogue's checksums; "
        "each model's CARD.md says under which licence. Nothing is fetched while the server serves.",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--store",
        metavar="DIR",
        help=f"folder of pulled and prepared models (default: {STORE_VARIABLE}, else models/.store in a checkout, "
        "else alphacut in the user's cache folder)",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list | pull | verify")
    listing = verbs.add_parser(
        "list", parents=[common], help="show the models, and which are pulled and prepared"
    )
    listing.add_argument("--json", action="store_true", help="as JSON, with sources and checksums")
    pulling = verbs.add_parser(
        "pull", parents=[common], help="fetch weights, check them and prepare them for serving"
    )
    pulling.add_argument("ids", nargs="*", metavar="ID", help="models to pull; see list")
    pulling.add_argument("--all", action="store_true", help="pull every model of the catalogue")
    pulling.add_argument(
        "--precision",
        choices=[precision.value for precision in Precision],
        default=Precision.FP32.value,
        help="prepare for this arithmetic: fp32 for a CPU (default), fp16 for a GPU",
    )
    verifying = verbs.add_parser("verify", parents=[common], help="hash what is in the store, byte by byte")
    verifying.add_argument(
        "ids", nargs="*", metavar="ID", help="models to verify (default: all that were pulled)"
    )
    return parser


def _list(place: _Place, *, as_json: bool) -> int:
    rows = [_describe(spec, place.store) for spec in place.catalogue]
    if as_json:
        place.out.write(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        return 0
    width = max(len(spec.id) for spec in place.catalogue)
    place.out.write(f"{'MODEL':<{width}}  {'SIZE':>7}  {'SIDE':>5}  {'LICENCE':<10}  {'STATE':<22}  FOR\n")
    for spec in place.catalogue:
        state = "pulled" if place.store.find_weights(spec) else "-"
        prepared = sorted({entry.precision.value for entry in list_prepared(spec, place.store)})
        if prepared:
            state = f"{state}, {'+'.join(prepared)} ready"
        place.out.write(
            f"{spec.id:<{width}}  {spec.file.size_bytes / _MEGABYTE:>4.0f} MB  {spec.side_px:>5}  "
            f"{spec.weights_license:<10}  {state:<22}  {spec.description}\n"
        )
    place.out.write(f"Store: {place.store.root}\n")
    return 0


def _describe(spec: ModelSpec, store: Store) -> dict[str, Json]:
    weights = store.find_weights(spec)
    prepared: list[Json] = [
        {"precision": entry.precision.value, "side_px": entry.side_px, "sha256": entry.sha256}
        for entry in list_prepared(spec, store)
    ]
    return {
        "id": spec.id,
        "description": spec.description,
        "size_bytes": spec.file.size_bytes,
        "side_px": spec.side_px,
        "other_sides_px": list(spec.other_sides_px),
        "weights_license": spec.weights_license,
        "license_note": spec.license_note,
        "checksum": str(spec.file.checksum),
        "sources": [str(source) for source in spec.file.sources],
        "pulled": weights is not None,
        "sha256": weights.sha256 if weights else None,
        "origin": weights.origin if weights else None,
        "prepared": prepared,
    }


def _pull(place: _Place, ids: Sequence[str], precision: Precision) -> int:
    """Pull one after another; a model that fails does not keep the others from coming."""
    specs = [place.catalogue.get(model_id) for model_id in ids]
    failed = 0
    for spec in specs:
        try:
            if place.tools is not None:
                _pull_one(spec, place, place.tools, precision)
            else:
                with progress_for(place.complaints) as progress:
                    _pull_one(spec, place, Tools(progress=progress), precision)
        except AlphacutError as fault:
            failed += 1
            place.complaints.write(f"alphacut models: {fault.message}\n")
    return 1 if failed else 0


def _pull_one(spec: ModelSpec, place: _Place, tools: Tools, precision: Precision) -> None:
    weights = pull(spec, place.store, tools)
    _say_preparing(spec, tools.progress)
    ready = prepare(spec, place.store, precision)
    place.out.write(
        f"{spec.id}: ready, {ready.precision.value} at {ready.side_px} px, "
        f"weights {weights.size_bytes / _MEGABYTE:.1f} MB sha256:{weights.sha256}, licence {spec.weights_license}\n"
    )
    place.out.flush()


def _say_preparing(spec: ModelSpec, progress: Progress) -> None:
    progress.step(f"{spec.id}: preparing")


def _verify(place: _Place, ids: Sequence[str]) -> int:
    """Hash weights and prepared graphs; models that were not pulled count only when they are named."""
    wrong = 0
    seen = 0
    for spec in [place.catalogue.get(model_id) for model_id in ids] or list(place.catalogue):
        if not ids and not place.store.weights_path(spec).exists() and not list_prepared(spec, place.store):
            continue
        seen += 1
        for line, is_right in _inspect(spec, place.store):
            wrong += not is_right
            place.out.write(f"{spec.id}: {line}\n")
    if not seen:
        place.out.write(f"Nothing was pulled yet into {place.store.root}\n")
    return 1 if wrong else 0


def _inspect(spec: ModelSpec, store: Store) -> list[tuple[str, bool]]:
    """Return what was found, each with whether it is right."""
    found: list[tuple[str, bool]] = []
    try:
        found.append((f"weights right, sha256:{store.check_weights(spec).sha256}", True))
    except NotPulled as fault:
        found.append((fault.message, False))
    except AlphacutError as fault:
        found.append((f"WRONG: {fault.message}", False))
    except OSError as error:
        found.append((f"WRONG: the weights cannot be read ({error.strerror or error})", False))
    for entry in list_prepared(spec, store):
        label = f"prepared {entry.precision.value} at {entry.side_px} px"
        if entry.is_intact():
            found.append((f"{label} right, sha256:{entry.sha256}", True))
        else:
            again = f"alphacut models pull {spec.id} --precision {entry.precision.value}"
            found.append((f"WRONG: {label} is damaged; make it anew with: {again}", False))
    return found
