"""What comes back can be saved, shown and computed with."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from alphacut import Cutout, ImageFormat, Mode
from alphacut.v1 import options_pb2
from support.fake_service import make_png

CONTENT = make_png(b"picture")


def make_cutout(content: bytes = CONTENT, mode: Mode = Mode.FG_IMAGE) -> Cutout:
    """Make a cut-out of 4 by 3 px."""
    return Cutout(content, ImageFormat.PNG, mode, 4, 3)


def test_save_writes_the_bytes_readable_as_umask_says(tmp_path: Path) -> None:
    """The file has the content and a new file's usual permissions, and nothing lies beside it."""
    path = tmp_path / "cut.png"
    before = os.umask(0o022)
    try:
        make_cutout().save(path)
    finally:
        os.umask(before)

    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["cut.png"]


def test_save_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    """When the bytes cannot be written, what was there stays and no part is left."""
    path = tmp_path / "cut.png"
    path.write_bytes(b"old")
    broken = make_cutout(content="no bytes")  # type: ignore[arg-type]  # makes the write itself fail

    with pytest.raises(TypeError):
        broken.save(path)

    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["cut.png"]


def test_save_into_a_missing_folder_is_an_oserror(tmp_path: Path) -> None:
    """A folder that is not there is the caller's to make."""
    with pytest.raises(FileNotFoundError):
        make_cutout().save(tmp_path / "nowhere" / "cut.png")


def test_save_may_be_told_not_to_overwrite(tmp_path: Path) -> None:
    """With overwrite=False an existing file stays."""
    path = tmp_path / "cut.png"
    path.write_bytes(b"old")

    with pytest.raises(FileExistsError):
        make_cutout().save(path, overwrite=False)

    assert path.read_bytes() == b"old"


def test_save_follows_a_link(tmp_path: Path) -> None:
    """A link keeps being one; what it points to is replaced."""
    target, link = tmp_path / "target.png", tmp_path / "link.png"
    link.symlink_to(target)

    make_cutout().save(link)

    assert link.is_symlink()
    assert target.read_bytes() == CONTENT


def test_save_never_replaces_a_device() -> None:
    """Something that is no regular file is not moved away."""
    with pytest.raises(FileExistsError, match="no regular file"):
        make_cutout().save("/dev/null")

    assert not Path("/dev/null").is_file()


def test_pixels_agree_in_numpy_and_pil() -> None:
    """Both views are RGBA with the same pixels, and the array may be written to."""
    cutout = make_cutout()

    array, image = cutout.to_numpy(), cutout.to_pil()

    assert (array.shape, str(array.dtype), image.mode) == ((3, 4, 4), "uint8", "RGBA")
    assert np.array_equal(array, np.asarray(image))
    assert array.flags.writeable


def test_mask_has_one_channel() -> None:
    """A mask is (H, W) and L."""
    mask = make_cutout(make_png(b"picture", options_pb2.MODE_FG_MASK), Mode.FG_MASK)

    assert mask.to_numpy().shape == (3, 4)
    assert mask.to_pil().mode == "L"


def test_repr_shows_no_bytes() -> None:
    """A cut-out in a log or a notebook is a line, not a megabyte."""
    assert len(repr(make_cutout(content=bytes(1_000_000)))) < 500
