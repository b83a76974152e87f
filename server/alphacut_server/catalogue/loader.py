"""Read the catalogue, models/<id>/model.toml, checking every key; a mistake is named with its file and key.

In a wheel the entries lie in alphacut_server/_models, in a checkout in models/ beside pyproject.toml.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NoReturn

from alphacut_server.catalogue.faults import CatalogueInvalid, NotInCatalogue
from alphacut_server.catalogue.spec import (
    Algorithm,
    HttpsSource,
    ModelFile,
    ModelSpec,
    NpmSource,
    Source,
    WheelSource,
)

_PACKAGED = Path(__file__).resolve().parents[1] / "_models"
_CHECKOUT = Path(__file__).resolve().parents[3] / "models"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_DIGEST = {Algorithm.SHA256: re.compile(r"[0-9a-f]{64}"), Algorithm.MD5: re.compile(r"[0-9a-f]{32}")}
_RESERVED = ("emulated",)  # names of engines that have no weights
_MAX_SIDE_PX = 4096


class Catalogue:
    """The known models, smallest weights first."""

    def __init__(self, specs: Iterable[ModelSpec]) -> None:
        ordered = sorted(specs, key=lambda spec: (spec.file.size_bytes, spec.id))
        self._specs = {spec.id: spec for spec in ordered}

    def __iter__(self) -> Iterator[ModelSpec]:
        return iter(self._specs.values())

    def __len__(self) -> int:
        return len(self._specs)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the known ids in order."""
        return tuple(self._specs)

    def get(self, model_id: str) -> ModelSpec:
        """Return the entry of that id. Raises NotInCatalogue, which names the known ids and the nearest."""
        spec = self._specs.get(model_id)
        if spec is None:
            raise NotInCatalogue(model_id, self.ids)
        return spec


def default_folder() -> Path:
    """Return where the entries lie: inside the installed package, else in the checkout."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def load_catalogue(folder: Path | None = None) -> Catalogue:
    """Read every entry below `folder` (the default: where they are installed). Raises CatalogueInvalid."""
    folder = default_folder() if folder is None else folder
    manifests = sorted(folder.glob("*/model.toml"))
    if not manifests:
        raise CatalogueInvalid(f"No models/<id>/model.toml below {folder}; the installation is not whole.")
    return Catalogue([load_spec(manifest) for manifest in manifests])


def load_spec(manifest: Path) -> ModelSpec:
    """Read one entry; its id is its folder's name. Raises CatalogueInvalid."""
    try:
        content = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogueInvalid(f"{manifest}: {error}") from error
    table = _Table(content, str(manifest), "")
    spec = ModelSpec(
        id=_read_id(manifest, table),
        description=table.text("description"),
        weights_license=table.text("weights_license"),
        license_note=table.text("license_note"),
        side_px=table.whole("side_px", 1, _MAX_SIDE_PX),
        other_sides_px=table.sides("other_sides_px"),
        mean=table.triple("mean"),
        std=table.triple("std"),
        input_name=table.text("input_name", default=""),
        output_name=table.text("output_name", default=""),
        output_is_logits=table.flag("output_is_logits", default=False),
        max_batch_size=table.whole("max_batch_size", 1, 1) if "max_batch_size" in content else None,
        fp16=table.flag("fp16", default=True),
        file=_read_file(table.table("file")),
    )
    if min(spec.std) <= 0:
        table.fail("std", "must be above 0")
    table.end()
    return spec


def _read_id(manifest: Path, table: "_Table") -> str:
    model_id = manifest.parent.name
    if not _ID.fullmatch(model_id) or model_id in _RESERVED:
        table.fail(
            "the folder's name", f"{model_id!r} cannot be an id: 1 to 40 of a-z, 0-9 and -, not {_RESERVED}"
        )
    return model_id


def _read_file(table: "_Table") -> ModelFile:
    digests = {algorithm: table.text(algorithm.value, default="") for algorithm in Algorithm}
    for algorithm, digest in digests.items():
        if digest and not _DIGEST[algorithm].fullmatch(digest):
            table.fail(algorithm.value, "must be lower-case hexadecimal of the right length")
    if not any(digests.values()):
        table.fail("sha256", "is missing, and so is md5; a file without a checksum is never pulled")
    sources = tuple(_read_source(entry) for entry in table.tables("sources"))
    file = ModelFile(
        sha256=digests[Algorithm.SHA256],
        size_bytes=table.whole("size_bytes", 1, 1 << 40),
        sources=sources,
        md5=digests[Algorithm.MD5],
    )
    table.end()
    return file


def _read_source(table: "_Table") -> Source:
    kind = table.text("kind")
    source: Source
    match kind:
        case "https":
            source = HttpsSource(url=table.text("url"))
            if not source.url.startswith("https://"):
                table.fail("url", "must begin with https://")
        case "wheel":
            source = WheelSource(
                package=table.text("package"),
                version=table.text("version"),
                member=table.inner_path("member"),
                python_version=table.text("python_version", default=""),
            )
        case "npm":
            source = NpmSource(
                package=table.text("package"),
                version=table.text("version"),
                index=table.inner_path("index"),
                resource=table.text("resource"),
            )
        case _:
            table.fail("kind", f"is {kind!r}; known are https, wheel and npm")
    table.end()
    return source


class _Table:
    """One TOML table: each key is asked for by type, and a key that nobody asked for is a mistake."""

    def __init__(self, content: Mapping[str, object], manifest: str, prefix: str) -> None:
        self._content = content
        self._manifest = manifest
        self._prefix = prefix
        self._asked: set[str] = set()

    def fail(self, key: str, what: str) -> NoReturn:
        """Raise CatalogueInvalid about a key."""
        raise CatalogueInvalid(f"{self._manifest}: {self._prefix}{key} {what}")

    def end(self) -> None:
        """Fail on keys that were never asked for: a misspelt key must not pass for an absent one."""
        unknown = sorted(self._content.keys() - self._asked)
        if unknown:
            self.fail(unknown[0], f"is no known key; known are {', '.join(sorted(self._asked))}")

    def text(self, key: str, *, default: str | None = None) -> str:
        """Return a string; one without default must be there and not be empty."""
        value = self._take(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            self.fail(key, "must be a string that is not empty")
        return value

    def inner_path(self, key: str) -> str:
        """Return a relative path that stays inside its archive."""
        value = self.text(key)
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            self.fail(key, "must be a relative path without ..")
        return value

    def whole(self, key: str, least: int, most: int) -> int:
        """Return a whole number in a range."""
        value = self._take(key, None)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.fail(key, f"must be a whole number from {least} to {most}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            self.fail(key, "must be true or false")
        return value

    def triple(self, key: str) -> tuple[float, float, float]:
        """Return three numbers, one a channel."""
        numbers = self._numbers(key, None)
        if len(numbers) != 3:
            self.fail(key, "must be three numbers, for red, green and blue")
        red, green, blue = numbers
        return float(red), float(green), float(blue)

    def sides(self, key: str) -> tuple[int, ...]:
        """Return whole numbers of pixels, none by default."""
        numbers = self._numbers(key, [])
        if any(not isinstance(number, int) or not 0 < number <= _MAX_SIDE_PX for number in numbers):
            self.fail(key, f"must be whole numbers from 1 to {_MAX_SIDE_PX}")
        return tuple(int(number) for number in numbers)

    def table(self, key: str) -> "_Table":
        """Return a table inside this one."""
        value = self._take(key, None)
        if not isinstance(value, dict):
            self.fail(key, "must be a table")
        return _Table(value, self._manifest, f"{self._prefix}{key}.")

    def tables(self, key: str) -> list["_Table"]:
        """Return a list of at least one table."""
        value = self._take(key, None)
        if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
            self.fail(key, "must be a list of at least one table")
        return [
            _Table(entry, self._manifest, f"{self._prefix}{key}[{index}].")
            for index, entry in enumerate(value)
        ]

    def _numbers(self, key: str, default: list[float] | None) -> list[float]:
        value = self._take(key, default)
        if not isinstance(value, list):
            self.fail(key, "must be a list of numbers")
        if any(isinstance(entry, bool) or not isinstance(entry, int | float) for entry in value):
            self.fail(key, "must be a list of numbers")
        return value

    def _take(self, key: str, default: object) -> object:
        self._asked.add(key)
        value = self._content.get(key, default)
        if value is None:
            self.fail(key, "is missing")
        return value
