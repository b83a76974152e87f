"""Score a profile, a model or another program's masks over photos whose true alpha is known, and draw contact sheets.

    .venv/bin/python bench/quality/evaluate.py --photos photos --alphas alphas --foregrounds foregrounds \\
        --profile balanced --report out.md --json out.json --sheet sheets

alphas/NAME.png is the true 8-bit alpha of photos/NAME.jpg or .png; foregrounds/NAME.png, where there is one, its true
straight colours. What is scored: a profile (`--profile`), a model at a side (`--model isnet --side 896`), or ready masks
and RGBA cut-outs (`--predictions DIR`). `--mattes DIR` keeps the network's answers between runs of one model and side.
Rows by group: the `tags` column of manifest.csv beside the photos' folder (or `--manifest`), parted by `|`; without one,
what file names begin with up to `_`.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from alphacut_server.catalogue.store import Store, default_store
from alphacut_server.engine.providers import DeviceChoice
from alphacut_server.imaging.codec import Picture
from alphacut_server.profiles import PROFILES
from alphacut_server.settings import Profile
from quality.product import U8, Cut, Network, cut, cut_raw, finish, read_cut, read_levels, read_photo
from quality.scores import Judged, PhotoScores, TrueForeground, as_json, markdown_table, ratio_table, score
from quality.sheets import Strip, draw_strip, write_pages

_ENDINGS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo with its truth."""

    name: str
    photo: Path
    alpha: Path
    foreground: Path | None
    groups: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, score every photo, write what was asked for."""
    arguments = _parser().parse_args(argv)
    manifest = arguments.manifest or arguments.photos.resolve().parent / "manifest.csv"
    samples = find_samples(arguments.photos, arguments.alphas, arguments.foregrounds, manifest)
    earlier = None if arguments.against is None else _read_earlier(arguments.against, samples)
    network = None if arguments.predictions else _network(arguments)
    frees_colours = PROFILES[Profile(arguments.profile)].frees_colours and not arguments.raw
    colours = None if network is None else partial(finish, frees_colours=frees_colours)
    photos: list[PhotoScores] = []
    strips: list[Strip] = []
    missing = []
    for number, sample in enumerate(samples, 1):
        print(f"{number}/{len(samples)} {sample.name}", file=sys.stderr)
        picture = read_photo(sample.photo)
        result = _make_cut(sample, picture, network, arguments)
        scored = _score(sample, result, colours)
        photos.append(scored)
        if result.is_missing:
            missing.append(sample.name)
        if arguments.sheet is not None:
            strips.append(draw_strip(result, read_levels(sample.alpha), scored))
    label = arguments.label or _label(network, arguments)
    table = markdown_table(label, photos)
    if earlier is not None:
        table += "\n\n" + ratio_table(label, photos, earlier)
    print(table)
    if network is not None:
        print(_times(network), file=sys.stderr)
    if missing:
        print(f"No prediction, scored as empty: {', '.join(missing)}", file=sys.stderr)
    if arguments.report is not None:
        arguments.report.write_text(table + "\n", encoding="utf-8")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(as_json(label, photos), indent=1) + "\n", encoding="utf-8")
    if arguments.sheet is not None:
        pages = write_pages(strips, arguments.sheet)
        print(f"{len(pages)} pages in {arguments.sheet}", file=sys.stderr)


def find_samples(photos: Path, alphas: Path, foregrounds: Path | None, manifest: Path) -> list[Sample]:
    """Return every alpha's sample, by name. Raises SystemExit when there is none, or one has no photo."""
    tags = _tags(manifest)
    by_name = {path.stem: path for path in sorted(photos.iterdir()) if path.suffix.lower() in _ENDINGS}
    samples = []
    for alpha in sorted(alphas.glob("*.png")):
        name = alpha.stem
        if name not in by_name:
            raise SystemExit(f"{photos} has no photo for {alpha.name}.")
        foreground = None if foregrounds is None else foregrounds / alpha.name
        if foreground is not None and not foreground.is_file():
            foreground = None
        groups = tags.get(name, ()) if tags is not None else (name.partition("_")[0],)
        samples.append(Sample(name, by_name[name], alpha, foreground, groups))
    if not samples:
        raise SystemExit(f"{alphas} holds no PNG.")
    return samples


def _make_cut(
    sample: Sample, picture: Picture, network: Network | None, arguments: argparse.Namespace
) -> Cut:
    if network is None:
        return read_cut(picture, arguments.predictions / f"{sample.name}.png")
    if arguments.raw:
        return cut_raw(sample.name, picture, network)
    frees_colours = PROFILES[Profile(arguments.profile)].frees_colours
    return cut(sample.name, picture, network, frees_colours=frees_colours)


def _score(sample: Sample, result: Cut, colours: Callable[[U8, U8], U8] | None) -> PhotoScores:
    """Score one cut-out. colours: what makes a cut-out of a photo and an alpha, to be judged at the true one as well."""
    alpha = read_levels(sample.alpha)
    if alpha.shape != result.photo.shape[:2]:
        raise SystemExit(f"{sample.alpha.name}: {alpha.shape}, but its photo is {result.photo.shape[:2]}.")
    true = None if sample.foreground is None else _read_foreground(sample.foreground)
    at_truth = None if true is None or colours is None else colours(result.photo, alpha)[..., :3]
    judged = Judged(result.cutout[..., :3], result.alpha, at_truth)
    return score(sample.name, sample.groups, judged, alpha, true)


def _network(arguments: argparse.Namespace) -> Network:
    model = arguments.model or PROFILES[Profile(arguments.profile)].model
    return Network(
        model=model,
        store=Store(arguments.store or default_store(os.environ)),
        side_px=arguments.side,
        device=DeviceChoice(arguments.device),
        threads=arguments.threads,
        mattes=arguments.mattes,
    )


def _read_earlier(path: Path, samples: Sequence[Sample]) -> dict[str, Any]:
    """Read an earlier run's scores. Raises SystemExit, before hours of work, when they are of other photos."""
    earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if set(earlier["by_photo"]) != {sample.name for sample in samples}:
        raise SystemExit(f"{path} holds the scores of other photos.")
    return earlier


def _read_foreground(path: Path) -> TrueForeground:
    pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)
    return TrueForeground(np.asarray(cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2RGB), np.uint8))


def _tags(manifest: Path) -> dict[str, tuple[str, ...]] | None:
    """Read the tags of every name; None without a manifest, or when it has no such columns."""
    if not manifest.is_file():
        return None
    with manifest.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"name", "tags"} <= set(reader.fieldnames or ()):
            return None
        return {row["name"]: tuple(filter(None, row["tags"].split("|"))) for row in reader}


def _label(network: Network | None, arguments: argparse.Namespace) -> str:
    if network is None:
        return str(arguments.predictions.name)
    side = f" at {network.side_px}" if network.side_px else ""
    return f"{network.model}{side}, {'raw' if arguments.raw else arguments.profile}"


def _times(network: Network) -> str:
    watch = network.stopwatch
    inference = f"{watch.network_s / watch.networks:.3f}" if watch.networks else "not run"
    return f"Seconds a photo: network {inference}, from its matte to the cut-out {watch.after_s / watch.cuts:.3f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--photos", type=Path, required=True, help="folder of JPEG or PNG photos")
    add("--alphas", type=Path, required=True, help="folder of their true alphas, NAME.png, 8-bit grey")
    add("--foregrounds", type=Path, help="folder of true straight colours, NAME.png, for composites")
    add(
        "--manifest",
        type=Path,
        help="CSV with the columns name and tags (default: beside the photos' folder)",
    )
    profiles = [profile.value for profile in Profile]
    add("--profile", choices=profiles, default=Profile.BALANCED.value, help="model and steps after it")
    add("--model", help="a model of the catalogue instead of the profile's")
    add("--side", type=int, help="its input's side, px (default: the entry's own)")
    add("--predictions", type=Path, help="ready masks or RGBA cut-outs, NAME.png, instead of a network")
    add("--mattes", type=Path, help="folder to keep the network's mattes in, one for every model and side")
    add("--store", type=Path, help="where pulled models lie (default: the server's own place)")
    add("--device", choices=[choice.value for choice in DeviceChoice], default=DeviceChoice.CPU.value)
    add(
        "--threads",
        type=int,
        default=0,
        help="CPU threads of the network (default: all this process may use)",
    )
    add("--raw", action="store_true", help="the network alone: its matte enlarged, the photo's own colours")
    add("--against", type=Path, help="an earlier run's --json: print ratios to it as well")
    add("--label", help="what the table calls it")
    add("--report", type=Path, help="write the table here, too")
    add("--json", type=Path, help="write every photo's scores here")
    add("--sheet", type=Path, help="write contact sheets into this folder")
    return parser


if __name__ == "__main__":
    main()
