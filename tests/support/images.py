"""Pictures for whole-server tests: many that all differ, cheap to make, and a decoder for replies that is not the server's."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alphacut_server.engine.emulated import expected_matte
from alphacut_server.imaging.codec import decode
from alphacut_server.imaging.matte import upscale_matte
from alphacut_server.imaging.probe import probe_header
from alphacut_server.imaging.tensor import to_tensor
from support.pictures import noise

EMULATED_SIDE_PX = 64


@dataclass(frozen=True, slots=True)
class KnownPicture:
    """A file, its pixels as the server decodes them, and the alpha that the emulated model gives it."""

    content: bytes
    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode losslessly and fast."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def small_png(seed: int, height: int = 24, width: int = 32) -> bytes:
    """Make a small picture that no other seed gives."""
    return png(noise(height, width, seed=seed))


def known_picture(seed: int, height: int, width: int, *, is_jpeg: bool = False) -> KnownPicture:
    """Make a picture that no other seed gives, and what the emulated model must answer for it."""
    coarse = Image.fromarray(noise(6, 6, seed=seed))
    rgb = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    buffer = io.BytesIO()
    if is_jpeg:
        Image.fromarray(rgb).save(buffer, "JPEG", quality=90)
    content = buffer.getvalue() if is_jpeg else png(rgb)
    decoded = decode(content, probe_header(content, 4096)).rgb
    matte = expected_matte(to_tensor(decoded, EMULATED_SIDE_PX))
    return KnownPicture(content, decoded, upscale_matte(matte, height, width))


def read_png(content: bytes) -> NDArray[np.uint8]:
    """Decode a reply: (H, W) uint8 for a grey PNG, (H, W, 4) for RGBA; anything else fails."""
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        assert image.mode in ("L", "RGBA")
        return np.asarray(image).copy()


def tight_box(alpha: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Return x, y, width, height of alpha > 0 as shares of the picture's sides."""
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    height, width = alpha.shape
    return (
        columns[0] / width,
        rows[0] / height,
        (columns[-1] + 1 - columns[0]) / width,
        (rows[-1] + 1 - rows[0]) / height,
    )
