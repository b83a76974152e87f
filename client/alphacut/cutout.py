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

    `content` is the encoded file in `format`, `width` by `height` px. `md5` is that of the bytes the server received,
    `objects` is empty when there is no foreground, `batch_size` how many pictures shared the device call.
    """

    content: bytes = field(repr=False)
    format: ImageFormat
    mode: Mode
    width: int
    height: int
    md5: str = ""
    name: str = ""
    model: str = ""
    objects: tuple[DetectedObject, ...] = ()
    timings: tuple[StageTiming, ...] = ()
    batch_size: int = 0

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
        """Write the file, whole or not at all; raises OSError, FileExistsError when it may not be overwritten."""
        write_atomically(path, self.content, overwrite=overwrite)

    def to_pil(self) -> "Image.Image":
        """Return a PIL image: RGBA with straight alpha, or L for a mask; raises MissingDependency without Pillow."""
        try:
            from PIL import Image  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingDependency("to_pil() needs Pillow: pip install pillow") from error
        image = Image.open(io.BytesIO(self.content))
        image.load()
        return image

    def to_numpy(self) -> "npt.NDArray[np.uint8]":
        """Return (H, W, 4) uint8 RGBA with straight alpha, or (H, W) uint8 for a mask; a writable copy.

        Raises MissingDependency without NumPy and one of Pillow and OpenCV.
        """
        try:
            import numpy as np  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingDependency("to_numpy() needs NumPy and Pillow: pip install numpy pillow") from error
        try:
            from PIL import Image  # noqa: PLC0415 - optional
        except ImportError:
            return self._decode_by_opencv()
        with Image.open(io.BytesIO(self.content)) as image:
            return np.array(image, dtype=np.uint8)

    def _decode_by_opencv(self) -> "npt.NDArray[np.uint8]":
        try:
            import cv2  # noqa: PLC0415 - optional
            import numpy as np  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingDependency("to_numpy() needs Pillow or OpenCV: pip install pillow") from error
        pixels = cv2.imdecode(np.frombuffer(self.content, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError("the cut-out's bytes cannot be decoded")
        if pixels.ndim == 3:
            pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
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
