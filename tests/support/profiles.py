"""Small ICC profiles made by hand (ICC.1:2001), with known effects: RGB, grey and CMYK."""

import struct

import numpy as np
from PIL import ImageCms

_D50 = (0.9642, 1.0, 0.8249)
# Adobe RGB (1998)'s, adapted to D50: a wider green.
ADOBE_RGB_PRIMARIES = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))


def rgb_profile(
    primaries: tuple[tuple[float, float, float], ...] = ADOBE_RGB_PRIMARIES,
    gamma: float = 2.2,
    name: str = "test",
) -> bytes:
    """Make an RGB display profile from three XYZ primaries (D50) and a gamma."""
    tags = {key: _xyz(value) for key, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma))
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags, name)


def srgb_profile() -> bytes:
    """Give the colour management module's own sRGB profile, with the standard's curve."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def grey_profile(gamma: float = 1.0) -> bytes:
    """Make a grey display profile; a gamma of 1 makes stored values linear light, so that sRGB comes out brighter."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _gamma(gamma)}, "grey")


def cmyk_profile() -> bytes:
    """Make a CMYK print profile whose table knows one thing: lightness falls with the sum of the inks, colour is none.

    Every ink therefore comes out grey, which no conversion without the profile would give.
    """
    corners = np.array([[c, m, y, k] for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)])
    lightness = np.rint(255 * np.clip(1 - corners.sum(axis=1) / 4, 0, 1)).astype(np.uint8)
    lab = np.stack([lightness, np.full_like(lightness, 128), np.full_like(lightness, 128)], axis=1)
    identity = b"".join(struct.pack(">i", round(v * 65536)) for v in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + lab.tobytes() + ramp * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table, b"A2B1": table}, "ink sum")


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes], name: str) -> bytes:
    text = name.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)
    every = {b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(_D50), **tags}
    offset, table, body = 128 + 4 + 12 * len(every), b"", b""
    for key, data in every.items():
        table += key + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = offset + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(every)) + table + body


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))
