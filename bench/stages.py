"""Cost of every imaging stage: CPU milliseconds, or with --memory peak bytes a pixel, as a Markdown table.

    .venv/bin/python bench/stages.py [--rounds 7] [--size 1024x768 --size 4096x3072] [--memory]

Stages run in turn, round after round, so that a busy machine slows all of them alike; each figure is the smallest of
its rounds. CPU time covers every thread of the process, OpenCV is held to one thread. Memory is the growth of the
resident peak in a forked child that runs one stage once, so what the input itself takes is not in it.
"""

import argparse
import io
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageCms

from alphacut_server.imaging.background import Background, Fit, lay_out, put_behind
from alphacut_server.imaging.box import PixelBox, subject_box
from alphacut_server.imaging.codec import Picture, decode
from alphacut_server.imaging.colour_names import WHITE, Colour
from alphacut_server.imaging.compose import compose_cutout
from alphacut_server.imaging.encode import encode_jpeg, encode_png, encode_webp
from alphacut_server.imaging.foreground import free_colours
from alphacut_server.imaging.matte import combine_alpha, upscale_matte
from alphacut_server.imaging.probe import Header, probe_header
from alphacut_server.imaging.shadow import compose_shadow
from alphacut_server.imaging.tensor import to_tensor

_LIMIT_PX = 1 << 16
_SIDE_PX = 320

Stage = Callable[[], object]


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds per stage (default 7)")
    parser.add_argument(
        "--size", action="append", help="WIDTHxHEIGHT, repeatable (default 1024x768, 4096x3072)"
    )
    parser.add_argument(
        "--memory", action="store_true", help="peak bytes a pixel instead of CPU milliseconds"
    )
    parser.add_argument(
        "--noise", action="store_true", help="noise instead of a photo: the worst case for encoders"
    )
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    sizes = [_parsed_size(text) for text in arguments.size or ("1024x768", "4096x3072")]
    columns = {}
    for width, height in sizes:
        stages = _stages(width, height, noisy=arguments.noise)
        figures = _peak_bytes(stages) if arguments.memory else _cpu_ms(stages, arguments.rounds)
        scale = width * height if arguments.memory else 1
        columns[f"{width}x{height}"] = {name: figure / scale for name, figure in figures.items()}
    _print_table("B/px" if arguments.memory else "CPU ms", columns)


def _stages(width: int, height: int, *, noisy: bool) -> dict[str, Stage]:
    """Make every stage as a call without arguments, inputs prepared."""
    rgb = _noise(width, height) if noisy else _photo(width, height)
    alpha = _ellipse(width, height)
    matte = np.asarray(cv2.resize(alpha, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)
    hazy = np.full_like(alpha, 128)
    cutout = compose_cutout(rgb, alpha)
    quarter = rgb[: height // 2, : width // 2].copy()
    backdrop = lay_out(Picture(quarter, None), Fit.STRETCH, height, width)
    files = {
        "JPEG": _saved(rgb, "JPEG", quality=90),
        "JPEG, progressive": _saved(rgb, "JPEG", quality=90, progressive=True),
        "JPEG, turned": _saved(rgb, "JPEG", quality=90, exif=_turned_exif()),
        "JPEG, ICC": _saved(rgb, "JPEG", quality=90, icc_profile=_wide_profile()),
        "JPEG, CMYK": _saved(
            255 - np.dstack([rgb, np.full_like(alpha, 255)]), "JPEG", mode="CMYK", quality=90
        ),
        "PNG, RGB": cv2.imencode(".png", rgb)[1].tobytes(),
        "PNG, RGBA": encode_png(cutout),
    }
    stages: dict[str, Stage] = {}
    for kind, content in files.items():
        header = probe_header(content, _LIMIT_PX)
        stages[f"probe {kind}"] = _bound_probe(content)
        stages[f"decode {kind}"] = _bound_decode(content, header)
    return stages | {
        f"to_tensor {_SIDE_PX}": lambda: to_tensor(rgb, _SIDE_PX),
        "to_tensor 1024": lambda: to_tensor(rgb, 1024),
        f"upscale_matte {_SIDE_PX}": lambda: upscale_matte(matte, height, width),
        "combine_alpha": lambda: combine_alpha(alpha, alpha),
        "subject_box": lambda: subject_box(alpha),
        "free_colours": lambda: free_colours(rgb, alpha),
        "free_colours, all half transparent": lambda: free_colours(rgb, hazy),
        "compose_cutout": lambda: compose_cutout(rgb, alpha),
        "compose_shadow": lambda: compose_shadow(rgb, alpha),
        "lay_out a quarter, cover": lambda: lay_out(Picture(quarter, None), Fit.COVER, height, width),
        "copy, the share of the next three": cutout.copy,
        "put_behind a picture": lambda: _backed(cutout, backdrop),
        "put_behind a colour": lambda: _backed(cutout, WHITE),
        "put_behind a transparent colour": lambda: _backed(cutout, Colour(90, 120, 200, 128)),
        "encode_png mask": lambda: encode_png(alpha),
        "encode_png cut-out": lambda: encode_png(cutout),
        "encode_webp mask": lambda: encode_webp(alpha),
        "encode_webp cut-out": lambda: encode_webp(cutout),
        "encode_jpeg mask": lambda: encode_jpeg(alpha),
        "encode_jpeg cut-out": lambda: encode_jpeg(cutout),
        "whole way, fg-image": lambda: _whole_way(files["JPEG"], matte),
        "whole way, RGBA in": lambda: _whole_way(files["PNG, RGBA"], matte),
    }


def _backed(cutout: NDArray[np.uint8], background: Background) -> None:
    """Lay a background under a copy."""
    put_behind(cutout.copy(), background, PixelBox(0, 0, cutout.shape[1], cutout.shape[0]))


def _whole_way(content: bytes, matte: NDArray[np.uint8]) -> bytes:
    """Run every stage of a cut-out but the network."""
    picture = decode(content, probe_header(content, _LIMIT_PX))
    to_tensor(picture.rgb, _SIDE_PX)
    alpha = combine_alpha(upscale_matte(matte, *picture.rgb.shape[:2]), picture.alpha)
    subject_box(alpha)
    return encode_png(compose_cutout(picture.rgb, alpha))


def _bound_probe(content: bytes) -> Stage:
    return lambda: probe_header(content, _LIMIT_PX)


def _bound_decode(content: bytes, header: Header) -> Callable[[], Picture]:
    return lambda: decode(content, header)


def _cpu_ms(stages: Mapping[str, Stage], rounds: int) -> dict[str, float]:
    """Time every stage, interleaved: the smallest CPU milliseconds of its rounds."""
    best = dict.fromkeys(stages, float("inf"))
    for _ in range(rounds):
        for name, stage in stages.items():
            started = time.process_time()
            stage()
            best[name] = min(best[name], (time.process_time() - started) * 1e3)
    return best


def _peak_bytes(stages: Mapping[str, Stage]) -> dict[str, float]:
    """Run every stage once in a forked child: how far the resident peak rises above what was there before."""
    return {name: _child_growth(stage) for name, stage in stages.items()}


def _child_growth(stage: Stage) -> float:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # The peak is inherited from the parent: writing 5 sets it back to the child's current size.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _status_kib("VmRSS")
        stage()
        os.write(writer, str((_status_kib("VmHWM") - before) * 1024).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return float(text)


def _status_kib(field: str) -> int:
    """Read one size from the kernel's status of this process, KiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def _photo(width: int, height: int) -> NDArray[np.uint8]:
    """Read a photo, resampled, with the grain that resampling took away: (height, width, 3) uint8 RGB."""
    with Image.open(Path(skimage.__file__).parent / "data" / "coffee.png") as image:
        rgb = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)).astype(
            np.float32
        )
    grain = np.random.default_rng(0).normal(0, 2, (height, width, 1)).astype(np.float32)
    return np.asarray(np.rint(np.clip(rgb + grain, 0, 255)), np.uint8)


def _noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(np.random.default_rng(0).integers(0, 256, (height, width, 3)), np.uint8)


def _ellipse(width: int, height: int) -> NDArray[np.uint8]:
    """Make a soft-edged ellipse that fills four fifths of each side: (height, width) uint8."""
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height * 2 - 1
    x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / width * 2 - 1
    edge = (0.8 - np.sqrt(x * x + y * y)) * min(height, width) / 12 + 0.5
    return np.asarray(np.rint(np.clip(edge, 0, 1) * 255), np.uint8)


def _saved(pixels: NDArray[np.uint8], kind: str, mode: str | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode=mode).save(buffer, kind, **options)
    return buffer.getvalue()


def _turned_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def _wide_profile() -> bytes:
    """Make an RGB profile that is not sRGB: sRGB's with red and blue named the other way round."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def _parsed_size(text: str) -> tuple[int, int]:
    width, height = text.lower().split("x")
    return int(width), int(height)


def _print_table(unit: str, columns: Mapping[str, Mapping[str, float]]) -> None:
    sizes = list(columns)
    print(f"| stage, {unit} | " + " | ".join(sizes) + " |")
    print("|---|" + "---:|" * len(sizes))
    for name in columns[sizes[0]]:
        print(f"| {name} | " + " | ".join(f"{columns[size][name]:.2f}" for size in sizes) + " |")


if __name__ == "__main__":
    main()
