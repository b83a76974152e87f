"""From whatever a caller holds (path, bytes, URL, array, PIL image) to what is sent; NumPy, Pillow and OpenCV optional."""

import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from alphacut.channel import MAX_REQUEST_BYTES, MIB
from alphacut.errors import MessageTooLarge, MissingDependency
from alphacut.urls import Url, is_url

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image


ImageInput: TypeAlias = (
    "str | Url | os.PathLike[str] | bytes | bytearray | memoryview | npt.NDArray[np.uint8] | Image.Image"
)

# The rest of a request (options, name, framing) is far smaller than this.
MAX_PICTURE_BYTES = MAX_REQUEST_BYTES - 64 * 1024
# What PNG stores as it is; the rest is converted by colour, or refused.
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_RGB_LIKE_MODES = frozenset({"CMYK", "YCbCr", "LAB", "HSV", "RGBX"})


@dataclass(frozen=True, slots=True)
class Picture:
    """What is sent: `url` where there is one, else `content`, a file's bytes; and the name the reply echoes."""

    content: bytes = b""
    url: str | None = None
    name: str = ""


def load_picture(image: ImageInput, name: str | None = None) -> Picture:
    """Return what to send for `image`.

    A `Url`, or a str that starts with http:// or https://, is for the server to fetch, any other str or PathLike is a
    file here. Bytes are a file's bytes. An array is (H, W, 3), (H, W, 4) or (H, W) uint8, [0, 255], RGB order, and is
    sent as PNG, as a PIL image is (upright; EXIF orientation applied). `name` defaults to the file's base name; for a
    URL the server has a default of its own. Raises OSError for a file that cannot be read, MessageTooLarge,
    MissingDependency, and TypeError or ValueError for what is no picture.
    """
    if isinstance(image, str) and is_url(image):
        image = Url(image)
    if isinstance(image, Url):
        check_size(len(image.url))
        return Picture(url=_clean(image.url), name=_clean(name or ""))
    if isinstance(image, str | os.PathLike):
        path = Path(image)
        return Picture(_read_file(path), name=_clean(path.name if name is None else name))
    # Asked before bytes-like: an array has a buffer too. Whoever holds one has imported its package already.
    numpy, pillow = sys.modules.get("numpy"), sys.modules.get("PIL.Image")
    if numpy is not None and isinstance(image, numpy.ndarray):
        content = _encode_array(image)
    elif pillow is not None and isinstance(image, pillow.Image):
        content = _encode_pil(image)
    elif isinstance(image, bytes | bytearray | memoryview):
        content = bytes(image)
    else:
        raise TypeError(
            f"image must be a path, a URL, bytes, a NumPy array or a PIL image, not {type(image).__name__}"
        )
    check_size(len(content))
    return Picture(content, name=_clean(name or ""))


def check_size(size_bytes: int, subject: str = "The file has") -> None:
    """Raise MessageTooLarge for a file that no server can take; `subject` begins its sentence."""
    if size_bytes > MAX_PICTURE_BYTES:
        raise MessageTooLarge(
            f"{subject} {size_bytes / MIB:.1f} MiB; a request holds less than {MAX_REQUEST_BYTES / MIB:g} MiB.",
            metadata={"size": str(size_bytes), "limit": str(MAX_PICTURE_BYTES)},
        )


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        # Looked at first: a film named by mistake must not be read into memory.
        check_size(os.fstat(file.fileno()).st_size)
        content = file.read(MAX_PICTURE_BYTES + 1)
    check_size(len(content))
    return content


def _clean(text: str) -> str:
    """Return the text as UTF-8 can hold it: a file's name may be bytes that are none."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _encode_array(array: "npt.NDArray[np.uint8]") -> bytes:
    if array.dtype != "uint8":
        raise ValueError(f"the array must be uint8 in [0, 255], not {array.dtype}")
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in {2, 3} or array.size == 0 or (array.ndim == 3 and channels not in {3, 4}):
        raise ValueError(f"the array must be (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    try:
        from PIL import Image  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        return _encode_array_by_opencv(array)
    return _save_png(Image.fromarray(array))


def _encode_array_by_opencv(array: "npt.NDArray[np.uint8]") -> bytes:
    try:
        import cv2  # noqa: PLC0415 - optional, and slow to import
    except ImportError as error:
        raise MissingDependency("Sending an array needs Pillow or OpenCV: pip install pillow") from error
    bgr = array
    if array.ndim == 3:
        bgr = array[..., [2, 1, 0, 3][: array.shape[2]]]
    encoded = cv2.imencode(".png", bgr)[1]
    return bytes(encoded)


def _encode_pil(image: "Image.Image") -> bytes:
    from PIL import ImageOps  # noqa: PLC0415 - optional; the caller holds one of its images

    upright = ImageOps.exif_transpose(image)
    if upright.mode in _RGB_LIKE_MODES:
        upright = upright.convert("RGB")
        # The profile belonged to the old colour space.
        upright.info.pop("icc_profile", None)
    elif upright.mode in {"RGBa", "La"}:
        upright = upright.convert(upright.mode.upper())
    elif upright.mode not in _PNG_MODES:
        raise ValueError(
            f"a PIL image of mode {upright.mode!r} cannot be sent; convert it to RGB or RGBA first"
        )
    return _save_png(upright)


def _save_png(image: "Image.Image") -> bytes:
    buffer = io.BytesIO()
    # Level 1: the bytes travel once; three times as fast as the default, a sixth larger.
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
