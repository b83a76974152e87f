"""What goes into the pipeline and what comes out: plain data, no protobuf, no arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from alphacut_server.batching.policy import Priority
from alphacut_server.imaging.background import Fit
from alphacut_server.imaging.box import PixelBox
from alphacut_server.imaging.colour_names import Colour
from alphacut_server.imaging.encode import OutputFormat
from alphacut_server.imaging.shadow_options import DEFAULT_SHADOW, ShadowOptions
from alphacut_server.settings import Profile

MAX_NAME_LENGTH = 1024
"""Characters of a picture's name."""


class Mode(Enum):
    """What the answer shows; the values are the names of the REST API."""

    FG_IMAGE = "fg-image"
    FG_MASK = "fg-mask"
    FG_IMAGE_SHADOW = "fg-image-shadow"


class Stage(Enum):
    """The stages a call's time goes into, in their order."""

    FETCH = "fetch"
    """Only of calls that name a URL."""
    DECODE = "decode"
    BACKGROUND = "background"
    """Decoding and laying out a background picture, while the main one waits for the device; only of calls that have one."""
    QUEUE = "queue"
    INFERENCE = "inference"
    MATTE = "matte"
    COMPOSE = "compose"
    ENCODE = "encode"


@dataclass(frozen=True, slots=True)
class Url:
    """Where a picture is to be fetched."""

    address: str


Source: TypeAlias = bytes | Url
"""A picture's file, or where it is."""


@dataclass(frozen=True, slots=True)
class PictureBehind:
    """A picture to lay behind the subject."""

    source: Source
    fit: Fit


@dataclass(frozen=True, slots=True)
class Output:
    """How the answer's picture is made."""

    format: OutputFormat = OutputFormat.PNG
    crop_margin: float | None = None
    """Cut the canvas down to the subject's box and so much around it, a share of the box's longer side; None for all."""


AS_IT_IS = Output()


@dataclass(frozen=True, slots=True)
class CutoutRequest:
    """One picture to cut."""

    source: Source
    name: str
    """Empty with a URL: the answer then takes the URL's last path segment."""
    mode: Mode
    model: str
    """A served model's id; empty for the profile's."""
    priority: Priority
    client: str
    """Whom fairness counts the call against."""
    profile: Profile | None = None
    """None for the server's own."""
    background: Colour | PictureBehind | None = None
    """None for masks, whatever the caller said."""
    output: Output = AS_IT_IS
    shadow: ShadowOptions = DEFAULT_SHADOW
    """Of the one mode that has a shadow."""


@dataclass(frozen=True, slots=True)
class StageTiming:
    """Wall-clock seconds of one stage."""

    stage: Stage
    seconds: float


@dataclass(frozen=True, slots=True)
class OutputImage:
    """The answer's picture, encoded; its size is the canvas's, cropped or not."""

    content: bytes
    format: OutputFormat
    height_px: int
    width_px: int


@dataclass(frozen=True, slots=True)
class CutoutResult:
    """The picture, cut, and what is known of it."""

    image: OutputImage
    mode: Mode
    height_px: int
    """Of the upright picture that came in, as is the width."""
    width_px: int
    box: PixelBox | None
    """Tight box of alpha > 0 in the picture that came in, None when there is no foreground."""
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


class Fetcher(Protocol):
    """Gets what a URL holds."""

    async def fetch(self, url: str, *, timeout_s: float) -> bytes:
        """Return the bytes. Raises UrlNotFetched and Overloaded; cancelling it ends its connection."""
        ...


class PipelineObserver(Protocol):
    """Hears how long stages took and how much memory is spoken for; called on worker threads."""

    def stage_done(self, stage: Stage, seconds: float) -> None:
        """One stage of one call took so long."""
        ...

    def bytes_in_flight(self, held_bytes: int, waiting: int) -> None:
        """So many bytes are granted, so many calls wait for some."""
        ...
