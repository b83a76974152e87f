"""What comes back for a picture."""

import io
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alphacut.errors import MissingDependency
from alphacut.files import write_atomically
from alphacut.options import ImageFormat, Mode

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle relative to the picture: shares of its width and height, in [0, 1]."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class DetectedObject:
    """One thing found in the foreground; `box` is the tight box of its alpha above 0."""

    box: Box


@dataclass(frozen=True, slots=True)
class StageTiming:
    """How long one stage of the server's work took, s."""

    stage: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Cutout:
    """A picture, cut.

    `content` is the encoded file in `format`, `width` by `height` px; `picture_width` by `picture_height` px is the
    picture that was sent, upright, which a crop makes larger than the cut-out. `objects` holds boxes relative to that
    picture, none when there is no foreground. `md5` is that of the bytes the server received, `batch_size` how many
    pictures shared the device call.
    """

    content: bytes = field(repr=False)
    format: ImageFormat
    mode: Mode
    width: int
    height: int
    picture_width: int = 0
    picture_height: int = 0
    md5: str = ""
    name: str = ""
    model: str = ""
    objects: tuple[DetectedObject, ...] = ()
    timings: tuple[StageTiming, ...] = ()
    batch_size: int = 0

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
        """Write the file, whole or not at all; raises OSError, FileExistsError when it may not be overwritten."""
        write_atomically(path, self.content, overwrite=overwrite)

    @property
    def suffix(self) -> str:
        """The usual ending of a file of this format, with its dot: .png, .webp or .jpg."""
        return self.format.suffix

    def to_pil(self) -> "Image.Image":
        """Return a PIL image: L for a mask, RGB from a JPEG, else RGBA with straight alpha.

        Raises MissingDependency without Pillow.
        """
        try:
            from PIL import Image  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingDependency("to_pil() needs Pillow: pip install pillow") from error
        with Image.open(io.BytesIO(self.content)) as image:
            # A WebP keeps no grey, and no alpha that is opaque throughout.
            return image.convert(self._pixel_layout)

    def to_numpy(self) -> "npt.NDArray[np.uint8]":
        """Return uint8 (H, W) for a mask, (H, W, 3) RGB from a JPEG, else (H, W, 4) RGBA with straight alpha; a writable copy.

        Raises MissingDependency without NumPy and one of Pillow and OpenCV.
        """
        try:
            import numpy as np  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingDependency("to_numpy() needs NumPy and Pillow: pip install numpy pillow") from error
        try:
            import PIL  # noqa: F401, PLC0415 - optional
        except ImportError:
            return self._decode_by_opencv()
        return np.array(self.to_pil(), dtype=np.uint8)

    @property
    def _pixel_layout(self) -> str:
        """The pixels' layout in Pillow's words."""
        if self.mode is Mode.FG_MASK:
            return "L"
        return "RGB" if self.format is ImageFormat.JPEG else "RGBA"

    def _decode_by_opencv(self) -> "npt.NDArray[np.uint8]":
        try:
            import cv2  # noqa: PLC0415 - optional
            import numpy as np  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingDependency("to_numpy() needs Pillow or OpenCV: pip install pillow") from error
        flag = {"L": cv2.IMREAD_GRAYSCALE, "RGB": cv2.IMREAD_COLOR, "RGBA": cv2.IMREAD_UNCHANGED}
        pixels = cv2.imdecode(np.frombuffer(self.content, np.uint8), flag[self._pixel_layout])
        if pixels is None:
            raise ValueError("the cut-out's bytes cannot be decoded")
        if self._pixel_layout == "RGBA":
            opaque = pixels.ndim == 3 and pixels.shape[2] == 3
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGBA if opaque else cv2.COLOR_BGRA2RGBA)
        elif self._pixel_layout == "RGB":
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        return np.ascontiguousarray(pixels, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class StreamResult:
    """One answer of a stream: the caller's `id` and either the cut-out or why there is none."""

    id: str
    cutout: Cutout | None = None
    error: Exception | None = None

    def unwrap(self) -> Cutout:
        """Return the cut-out, or raise the error."""
        if self.cutout is not None:
            return self.cutout
        assert self.error is not None
        raise self.error


@dataclass(frozen=True, slots=True)
class ModeInfo:
    """One mode the server serves; `name` is its REST name."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model the server serves, and what really runs it (`cpu`, `cuda`, `tensorrt` or `emulated`)."""

    name: str
    description: str
    weights_license: str
    side_px: int
    provider: str
    max_batch_size: int
    is_default: bool
