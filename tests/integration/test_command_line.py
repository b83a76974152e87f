"""`alphacut remove` as a user runs it, against real servers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.images import png, read_png
from support.pictures import jpeg_bytes, photo
from support.server import HANG_S, ServerProcess, free_port, own_environ

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


def alphacut(*words: str, cwd: Path, stdin: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    """Run the command line in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "alphacut", *words],
        cwd=cwd,
        env=own_environ({}),
        input=stdin,
        capture_output=True,
        timeout=HANG_S,
        check=False,
    )


@pytest.mark.weights
def test_a_photo_is_cut_without_any_server(pulled_u2netp: None, tmp_path: Path) -> None:
    """A server in the same process: the first thing a newcomer does."""
    (tmp_path / "photo.jpg").write_bytes(jpeg_bytes(photo("astronaut.png")))

    ended = alphacut("remove", "photo.jpg", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr.decode()
    cutout = read_png((tmp_path / "photo.cutout.png").read_bytes())
    assert cutout.shape == (512, 512, 4)
    assert (cutout[..., 3].min(), cutout[..., 3].max()) == (0, 255)


def test_a_pipe_carries_the_picture_in_and_the_cut_out_out(
    emulated_server: ServerProcess, tmp_path: Path
) -> None:
    """Standard output holds the PNG and nothing else, also with a running server."""
    rgb = photo("coffee.png")

    ended = alphacut("remove", "-", "--server", emulated_server.target, cwd=tmp_path, stdin=png(rgb))

    cutout = read_png(ended.stdout)
    solid = cutout[..., 3] == 255
    assert ended.returncode == 0, ended.stderr.decode()
    assert solid.any()
    assert np.array_equal(cutout[solid][:, :3], rgb[solid])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_bad_picture_ends_with_1_and_names_it(
    emulated_server: ServerProcess, tmp_path: Path
) -> None:
    """The others are cut; a script can tell."""
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(jpeg_bytes(photo("coffee.png")))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")

    ended = alphacut("remove", ".", "--mode", "fg-mask", "--server", emulated_server.target, cwd=tmp_path)

    assert ended.returncode == 1
    assert b"broken.jpg" in ended.stderr
    assert b"IMAGE_NOT_LOADABLE" in ended.stderr
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["a.mask.png", "b.mask.png"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("remove",), 2),
        (("remove", "absent.jpg"), 2),
        (("remove", "photo.jpg", "--model", "u3net"), 2),
    ],
    ids=["nothing", "absent", "unknown-model"],
)
def test_what_cannot_be_done_is_a_matter_of_usage(
    emulated_server: ServerProcess, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    """Exit code 2, and nothing was written."""
    (tmp_path / "photo.jpg").write_bytes(jpeg_bytes(photo("coffee.png")))

    ended = alphacut(*words, "--server", emulated_server.target, cwd=tmp_path)

    assert ended.returncode == code, ended.stderr.decode()
    assert list(tmp_path.glob("*.png")) == []


def test_a_server_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    """Exit code 4, with the address that was tried."""
    (tmp_path / "photo.jpg").write_bytes(jpeg_bytes(photo("coffee.png")))
    nobody = f"127.0.0.1:{free_port()}"

    ended = alphacut("remove", "photo.jpg", "--server", nobody, cwd=tmp_path)

    assert ended.returncode == 4
    assert nobody.encode() in ended.stderr


def test_the_version_of_both_sides_is_told(emulated_server: ServerProcess, tmp_path: Path) -> None:
    """This program's, and the server's."""
    ended = alphacut("version", "--server", emulated_server.target, cwd=tmp_path)

    assert ended.returncode == 0
    assert b"alphacut 1." in ended.stdout
    assert b"server v1." in ended.stdout
