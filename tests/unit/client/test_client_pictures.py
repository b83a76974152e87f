"""Whatever a caller holds becomes the right bytes, or a clear refusal."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alphacut import MessageTooLarge
from alphacut.pictures import MAX_PICTURE_BYTES, ImageInput, load_picture

RGBA = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)


def decode(content: bytes) -> Image.Image:
    """Return the PNG's image."""
    image = Image.open(io.BytesIO(content))
    assert image.format == "PNG"
    return image


@pytest.mark.parametrize("kind", [str, Path])
def test_path_is_read_and_names_the_picture(tmp_path: Path, kind: type[str] | type[Path]) -> None:
    """A file's bytes go as they are, under its base name."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"jpeg bytes")

    picture = load_picture(kind(path))

    assert (picture.content, picture.url, picture.name) == (b"jpeg bytes", None, "photo.jpg")


def test_name_of_bytes_that_are_no_text_can_be_sent(tmp_path: Path) -> None:
    """A file name that is no UTF-8 does not stop its picture."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    path.write_bytes(b"x")

    picture = load_picture(path)

    assert picture.name == "caf?.jpg"


def test_missing_file_is_an_oserror() -> None:
    """A file that is not there raises what open() raises."""
    with pytest.raises(FileNotFoundError):
        load_picture("nowhere.jpg")


@pytest.mark.parametrize("url", ["http://example.org/a.jpg", "HTTPS://example.org/a.jpg"])
def test_web_address_is_sent_as_such(url: str) -> None:
    """A str with a web scheme is for the server to fetch."""
    assert load_picture(url).url == url


@pytest.mark.parametrize("content", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_go_as_they_are(content: bytes | bytearray | memoryview) -> None:
    """Every bytes-like is a file's bytes."""
    picture = load_picture(content, "given.png")

    assert (picture.content, picture.name) == (b"abc", "given.png")


@pytest.mark.parametrize(
    "array",
    [RGBA, RGBA[..., :3], RGBA[..., 0], RGBA[::-1, ::-1, :3]],
    ids=["rgba", "rgb", "grey", "flipped view"],
)
def test_array_becomes_a_png_of_the_same_pixels(array: "np.typing.NDArray[np.uint8]") -> None:
    """Arrays are RGB order and arrive pixel by pixel, views included."""
    image = decode(load_picture(array).content)

    assert np.array_equal(np.asarray(image), array)


@pytest.mark.parametrize(
    "array",
    [
        RGBA.astype(np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
    ids=["float", "two channels", "empty", "one axis"],
)
def test_array_of_another_shape_or_type_is_refused(array: "np.typing.NDArray[np.uint8]") -> None:
    """A wrong shape or dtype is the caller's bug."""
    with pytest.raises(ValueError, match="the array must be"):
        load_picture(array)


def test_pil_image_is_sent_upright() -> None:
    """EXIF orientation is applied, for a PNG would lose it."""
    image = Image.new("RGB", (4, 2), "red")
    image.getexif()[0x0112] = 6

    sent = decode(load_picture(image).content)

    assert sent.size == (2, 4)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("1", "1"), ("L", "L"), ("LA", "LA"), ("P", "P"), ("RGBA", "RGBA"), ("CMYK", "RGB")],
)
def test_pil_modes_are_kept_or_converted(mode: str, expected: str) -> None:
    """What PNG holds stays; other colour spaces become RGB."""
    assert decode(load_picture(Image.new(mode, (3, 2))).content).mode == expected


def test_pil_profile_travels() -> None:
    """An RGB image keeps its ICC profile, one converted from CMYK must not."""
    rgb, cmyk = Image.new("RGB", (2, 2)), Image.new("CMYK", (2, 2))
    rgb.info["icc_profile"] = cmyk.info["icc_profile"] = b"profile"

    kept, dropped = (decode(load_picture(image).content) for image in (rgb, cmyk))

    assert kept.info["icc_profile"] == b"profile"
    assert "icc_profile" not in dropped.info


def test_pil_float_image_is_refused() -> None:
    """A mode with no agreed range is not guessed at."""
    with pytest.raises(ValueError, match="mode 'F'"):
        load_picture(Image.new("F", (2, 2)))


def test_other_types_are_refused() -> None:
    """A type error names what is accepted."""
    wrong: object = 5

    with pytest.raises(TypeError, match="path, a URL, bytes"):
        load_picture(wrong)  # type: ignore[arg-type]  # the point of the test


def test_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A film named by mistake is not read into memory: here a hole of 1 TiB."""
    path = tmp_path / "film.mov"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(MessageTooLarge) as caught:
        load_picture(path)

    assert caught.value.metadata["size"] == str(1 << 40)


def test_huge_bytes_are_refused() -> None:
    """Bytes that no request can hold fail here, not after the upload."""
    with pytest.raises(MessageTooLarge):
        load_picture(bytes(MAX_PICTURE_BYTES + 1))


def run_without(packages: str, program: str) -> str:
    """Run a program in which the packages cannot be imported; returns what it prints."""
    block = f"import sys\nfor name in {packages.split()!r}: sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", block + program], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_array_needs_pillow_or_opencv() -> None:
    """OpenCV takes Pillow's place with the same pixels; without both the error says what to install."""
    program = """
import numpy as np
from alphacut import MissingDependency
from alphacut.pictures import load_picture
array = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)
try:
    content = load_picture(array).content
except MissingDependency as error:
    print(error)
else:
    from alphacut import Cutout, ImageFormat, Mode
    cutout = Cutout(content, ImageFormat.PNG, Mode.FG_IMAGE, 4, 5)
    print(np.array_equal(cutout.to_numpy(), array))
    try:
        cutout.to_pil()
    except ImportError as error:
        print(error)
"""

    with_opencv = run_without("PIL", program)
    without_both = run_without("PIL cv2", program)

    assert with_opencv == "True\nto_pil() needs Pillow: pip install pillow"
    assert without_both == "Sending an array needs Pillow or OpenCV: pip install pillow"


@pytest.mark.slow
def test_client_needs_none_of_the_optional_packages() -> None:
    """The client imports with the base install alone."""
    blocked = (
        "numpy PIL cv2 onnxruntime onnx tqdm pydantic grpc_status grpc_health grpc_reflection httpx starlette"
    )

    said = run_without(
        blocked, "import alphacut, alphacut.cli; alphacut.Client(); alphacut.AsyncClient(); print('ok')"
    )

    assert said == "ok"


def test_picture_of_every_kind_has_a_type() -> None:
    """The alias of what is accepted is public, for callers' annotations."""
    images: list[ImageInput] = ["a.jpg", Path("a.jpg"), b"", bytearray(), memoryview(b""), RGBA]

    assert len(images) == 6
