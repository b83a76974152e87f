"""The scripts in examples/, run as their readers run them, against a server with the emulated device."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from support.pictures import photo

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two real photos and a file that is none."""
    for name in ("coffee", "astronaut"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), photo(f"{name}.png")[:, :, ::-1])
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    return tmp_path


def run(script: str, *words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run one example in a folder and return how it ended."""
    command = [sys.executable, str(ROOT / "examples" / script), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def pixels(path: Path) -> "np.typing.NDArray[np.uint8]":
    """Read a PNG with every channel it has: (H, W) or (H, W, 4) uint8, BGRA."""
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert read is not None
    return np.asarray(read, np.uint8)


def test_python_client_writes_a_cutout(target: str, folder: Path) -> None:
    """The cut-out has the photo's size and four channels, and the script tells the subject's box."""
    ended = run("python_client.py", "coffee.jpg", "out.png", "--server", target, cwd=folder)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert pixels(folder / "out.png").shape == (400, 600, 4)
    assert "600x400 px by emulated" in ended.stdout
    assert "subject at x=" in ended.stdout


def test_python_client_takes_a_mode(target: str, folder: Path) -> None:
    """A mask has one channel."""
    ended = run(
        "python_client.py", "coffee.jpg", "out.png", "--mode", "fg-mask", "--server", target, cwd=folder
    )

    assert ended.returncode == 0
    assert pixels(folder / "out.png").shape == (400, 600)


def test_python_client_takes_options(target: str, folder: Path) -> None:
    """A cropped JPEG over a colour: smaller than the photo, three channels."""
    options = ("--format", "jpeg", "--color", "white", "--crop", "0.05")

    ended = run("python_client.py", "coffee.jpg", "out.jpg", *options, "--server", target, cwd=folder)

    assert (ended.returncode, ended.stderr) == (0, "")
    with Image.open(folder / "out.jpg") as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert image.width * image.height < 600 * 400
    assert "cut from 600x400 px, coffee.jpg" in ended.stdout


def test_python_client_tells_the_reason(target: str, folder: Path) -> None:
    """What is no photo ends with the server's reason and nothing written."""
    ended = run("python_client.py", "broken.jpg", "out.png", "--server", target, cwd=folder)

    assert ended.returncode == 1
    assert ended.stderr.startswith("IMAGE_NOT_LOADABLE: ")
    assert not (folder / "out.png").exists()


def test_async_client_cuts_all_but_the_broken(target: str, folder: Path) -> None:
    """Two of three photos are cut, and the third is told by name."""
    photos = ("coffee.jpg", "astronaut.jpg", "broken.jpg")

    ended = run("async_client.py", *photos, "--out", "cut", "--server", target, cwd=folder)

    assert ended.returncode == 1
    assert ended.stderr.startswith("broken.jpg: IMAGE_NOT_LOADABLE: ")
    assert sorted(path.name for path in (folder / "cut").iterdir()) == [
        "astronaut.cutout.png",
        "coffee.cutout.png",
    ]


def test_async_client_lays_a_photo_behind(target: str, folder: Path) -> None:
    """Each subject stands before the background, in the format asked for."""
    options = ("--background", "astronaut.jpg", "--format", "webp", "--out", "cut")

    ended = run("async_client.py", "coffee.jpg", *options, "--server", target, cwd=folder)

    assert (ended.returncode, ended.stderr) == (0, "")
    with Image.open(folder / "cut" / "coffee.cutout.webp") as image:
        assert (image.format, image.size) == ("WEBP", (600, 400))
        assert image.convert("RGBA").getchannel("A").getextrema() == (255, 255)


def test_stream_cuts_a_folder(target: str, folder: Path) -> None:
    """Every photo of the folder has its own cut-out, though answers come in any order."""
    ended = run("stream.py", ".", "cut", "--server", target, cwd=folder)

    assert ended.returncode == 1
    assert "broken.jpg: " in ended.stderr
    assert "2 of 3 photos" in ended.stdout
    assert pixels(folder / "cut" / "coffee.cutout.png").shape == (400, 600, 4)
    assert pixels(folder / "cut" / "astronaut.cutout.png").shape == (512, 512, 4)


def test_reflection_client_knows_nothing_of_alphacut(target: str, folder: Path) -> None:
    """Reflection alone gives the same bytes as the client, and no module of ours is imported for it."""
    script = ROOT / "examples" / "reflection_client.py"
    watched = (
        "import runpy, sys\n"
        f"sys.argv = ['reflection_client.py', 'coffee.jpg', 'reflected.png', '--server', {target!r}]\n"
        "try:\n"
        f"    runpy.run_path({str(script)!r}, run_name='__main__')\n"
        "finally:\n"
        "    print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", watched], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    run("python_client.py", "coffee.jpg", "client.png", "--server", target, cwd=folder)

    assert (ended.returncode, ended.stderr) == (0, "")
    modules = ended.stdout.splitlines()[-1].split()
    assert "grpc" in modules
    assert "alphacut" not in modules
    assert (folder / "reflected.png").read_bytes() == (folder / "client.png").read_bytes()
