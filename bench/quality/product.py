"""The product's own way from a photo's file to its cut-out, without the service around it.

Every step is the server's function, in the order of its pipeline; nothing of the path is written a second time here but
that order.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from alphacut_server.catalogue.loader import load_catalogue
from alphacut_server.catalogue.store import Store
from alphacut_server.engine.engine import Engine
from alphacut_server.engine.load import EngineOptions, load_engine
from alphacut_server.engine.prepare import Precision, PreparedModel, prepare
from alphacut_server.engine.providers import DeviceChoice
from alphacut_server.imaging.box import subject_box
from alphacut_server.imaging.codec import Picture, decode
from alphacut_server.imaging.compose import compose_cutout
from alphacut_server.imaging.matte import combine_alpha, upscale_matte
from alphacut_server.imaging.probe import probe_header
from alphacut_server.imaging.tensor import to_tensor
from alphacut_server.pipeline.render import render
from alphacut_server.pipeline.types import AS_IT_IS, Mode

U8 = NDArray[np.uint8]

_MAX_SIDE_PX = 1 << 16


@dataclass(frozen=True, slots=True)
class Cut:
    """What is made of one photo."""

    photo: U8
    """(H, W, 3) uint8 RGB, upright."""
    cutout: U8
    """(H, W, 4) uint8 RGBA, straight."""
    with_shadow: U8
    """(H, W, 4) uint8 RGBA, straight."""
    is_missing: bool = False
    """There was no prediction: the alpha is empty."""

    @property
    def alpha(self) -> U8:
        """The cut-out's opacity."""
        return np.ascontiguousarray(self.cutout[..., 3])


@dataclass(slots=True)
class Stopwatch:
    """Seconds spent, summed over photos."""

    network_s: float = 0.0
    networks: int = 0
    """How many times it ran: mattes that were kept cost nothing."""
    after_s: float = 0.0
    """Alpha at full size and the cut-out; neither decoding nor encoding."""
    cuts: int = 0


@dataclass(slots=True)
class Network:
    """One model at one side: its mattes, kept in a folder when one is named."""

    model: str
    store: Store
    side_px: int | None = None
    """None for the entry's own."""
    device: DeviceChoice = DeviceChoice.CPU
    threads: int = 0
    mattes: Path | None = None
    """PNGs by photo: read when there, else made and written. One model and side a folder."""
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    _engine: Engine | None = None

    def matte(self, name: str, picture: Picture) -> U8:
        """Return (side, side) uint8 for one photo."""
        kept = None if self.mattes is None else self.mattes / f"{name}.png"
        if kept is not None and kept.is_file():
            return read_levels(kept)
        if self._engine is None:
            self._engine = self._load()
        tensor = to_tensor(picture.rgb, self._engine.info.side_px)
        began_s = time.perf_counter()
        matte = np.asarray(self._engine.infer([tensor])[0], np.uint8)
        self.stopwatch.network_s += time.perf_counter() - began_s
        self.stopwatch.networks += 1
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(kept), matte)
        return matte

    def _load(self) -> Engine:
        spec = load_catalogue(None).get(self.model)

        def prepare_for(precision: Precision) -> PreparedModel:
            return prepare(spec, self.store, precision, side_px=self.side_px)

        options = EngineOptions(device=self.device, threads=self.threads, max_batch_size=1)
        return load_engine(prepare_for, options).engine


def read_photo(path: Path) -> Picture:
    """Decode a photo as the server does. Raises CorruptImage."""
    content = path.read_bytes()
    return decode(content, probe_header(content, _MAX_SIDE_PX))


def cut(name: str, picture: Picture, network: Network, *, frees_colours: bool) -> Cut:
    """Cut one photo the product's way. frees_colours: as the profile says."""
    matte = network.matte(name, picture)
    began_s = time.perf_counter()
    alpha = combine_alpha(upscale_matte(matte, *picture.rgb.shape[:2]), picture.alpha)
    cutout = finish(picture.rgb, alpha, frees_colours=frees_colours)
    network.stopwatch.after_s += time.perf_counter() - began_s
    network.stopwatch.cuts += 1
    return Cut(picture.rgb, cutout, _shadowed(picture.rgb, alpha, frees_colours=frees_colours))


def cut_raw(name: str, picture: Picture, network: Network) -> Cut:
    """Cut one photo by the network alone: its matte enlarged bilinearly, under the photo's own colours. The yardstick."""
    height, width = picture.rgb.shape[:2]
    matte = network.matte(name, picture)
    began_s = time.perf_counter()
    alpha = np.asarray(cv2.resize(matte, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    cutout = compose_cutout(picture.rgb, alpha)
    network.stopwatch.after_s += time.perf_counter() - began_s
    network.stopwatch.cuts += 1
    return Cut(picture.rgb, cutout, _shadowed(picture.rgb, alpha))


def finish(rgb: U8, alpha: U8, *, frees_colours: bool) -> U8:
    """Return the cut-out the product makes of a picture and an alpha: (H, W, 4) uint8 RGBA."""
    return _rendered(Mode.FG_IMAGE, rgb, alpha, frees_colours=frees_colours)


def read_cut(picture: Picture, prediction: Path) -> Cut:
    """Take another program's result: a grey mask or an RGBA cut-out, resized where it has another size than the photo.

    A mask is put together with the photo's own colours. Without a file the cut-out is empty.
    """
    height, width = picture.rgb.shape[:2]
    if not prediction.is_file():
        alpha = np.zeros((height, width), np.uint8)
        return Cut(
            picture.rgb, compose_cutout(picture.rgb, alpha), _shadowed(picture.rgb, alpha), is_missing=True
        )
    pixels = np.asarray(cv2.imread(str(prediction), cv2.IMREAD_UNCHANGED))
    if pixels.dtype == np.uint16:
        pixels = np.asarray(np.rint(pixels / 257), np.uint8)
    if pixels.shape[:2] != (height, width):
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        cutout = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA), np.uint8)
        alpha = np.ascontiguousarray(cutout[..., 3])
    else:
        alpha = np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[..., 0], np.uint8)
        cutout = compose_cutout(picture.rgb, alpha)
    return Cut(picture.rgb, cutout, _shadowed(picture.rgb, alpha))


def read_levels(path: Path) -> U8:
    """Read a grey picture of 8 bits. Raises ValueError when it is none."""
    levels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if levels is None:
        raise ValueError(f"{path} is not a picture")
    return np.asarray(levels, np.uint8)


def _shadowed(rgb: U8, alpha: U8, *, frees_colours: bool = False) -> U8:
    return _rendered(Mode.FG_IMAGE_SHADOW, rgb, alpha, frees_colours=frees_colours)


def _rendered(mode: Mode, rgb: U8, alpha: U8, *, frees_colours: bool) -> U8:
    box = subject_box(alpha)
    return render(mode, AS_IT_IS, rgb, alpha, box=box, background=None, frees_colours=frees_colours)
