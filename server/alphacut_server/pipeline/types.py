"""What goes into the pipeline and what comes out: plain data, no protobuf, no arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from alphacut_server.batching.policy import Priority
from alphacut_server.imaging.box import PixelBox


class Mode(Enum):
    """What the answer shows; the values are the names of the REST API."""

    FG_IMAGE = "fg-image"
    FG_MASK = "fg-mask"
    FG_IMAGE_SHADOW = "fg-image-shadow"


class Stage(Enum):
    """The stages a call's time goes into, in their order."""

    DECODE = "decode"
    QUEUE = "queue"
    INFERENCE = "inference"
    MATTE = "matte"
    COMPOSE = "compose"
    ENCODE = "encode"


@dataclass(frozen=True, slots=True)
class CutoutRequest:
    """One picture to cut."""

    content: bytes
    name: str
    mode: Mode
    model: str
    """A served model's id; empty for the default."""
    priority: Priority
    client: str
    """Whom fairness counts the call against."""


@dataclass(frozen=True, slots=True)
class StageTiming:
    """Wall-clock seconds of one stage."""

    stage: Stage
    seconds: float


@dataclass(frozen=True, slots=True)
class CutoutResult:
    """The picture, cut: a PNG and what is known of it."""

    content: bytes
    mode: Mode
    height_px: int
    width_px: int
    box: PixelBox | None
    """Tight box of alpha > 0, None when there is no foreground."""
    md5: str
    """Of the bytes received, hexadecimal."""
    name: str
    model: str
    batch_size: int
    timings: Sequence[StageTiming]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that is loaded and warm."""

    id: str
    side_px: int


class PipelineObserver(Protocol):
    """Hears how long stages took and how much memory is spoken for; called on worker threads."""

    def stage_done(self, stage: Stage, seconds: float) -> None:
        """One stage of one call took so long."""
        ...

    def bytes_in_flight(self, held_bytes: int, waiting: int) -> None:
        """So many bytes are granted, so many calls wait for some."""
        ...
