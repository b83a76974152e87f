"""What comes back can be saved, shown and computed with."""

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from alphacut import Cutout, ImageFormat, Mode
from alphacut.v1 import image_pb2, options_pb2
from support.fake_service import make_file, make_png

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


@pytest.mark.parametrize("alpha", [128, 255])
@pytest.mark.parametrize(
    ("image_format", "mode", "expected"),
    [
        (ImageFormat.PNG, Mode.FG_IMAGE, "RGBA"),
        (ImageFormat.WEBP, Mode.FG_IMAGE, "RGBA"),
        (ImageFormat.JPEG, Mode.FG_IMAGE, "RGB"),
        (ImageFormat.PNG, Mode.FG_MASK, "L"),
        (ImageFormat.WEBP, Mode.FG_MASK, "L"),
        (ImageFormat.JPEG, Mode.FG_MASK, "L"),
    ],
)
def test_layout_depends_on_mode_and_format_alone(
    image_format: ImageFormat, mode: Mode, expected: str, alpha: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WebP drops an opaque alpha and keeps no grey; the views give what they promise all the same, by either library."""
    numbers = {ImageFormat.PNG: image_pb2.IMAGE_FORMAT_PNG, ImageFormat.WEBP: image_pb2.IMAGE_FORMAT_WEBP}
    mode_number = options_pb2.MODE_FG_MASK if mode is Mode.FG_MASK else options_pb2.MODE_FG_IMAGE
    number = numbers.get(image_format, image_pb2.IMAGE_FORMAT_JPEG)
    cutout = Cutout(make_file(b"picture", mode_number, number, alpha=alpha), image_format, mode, 4, 3)

    image, array = cutout.to_pil(), cutout.to_numpy()
    with monkeypatch.context() as without_pillow:
        without_pillow.setitem(sys.modules, "PIL", None)
        by_opencv = cutout.to_numpy()

    assert image.mode == expected
    assert array.shape == ((3, 4) if expected == "L" else (3, 4, len(expected)))
    assert np.array_equal(array, np.asarray(image))
    assert np.array_equal(array, by_opencv)
    assert array.flags.writeable


@pytest.mark.parametrize(
    ("image_format", "suffix"),
    [(ImageFormat.PNG, ".png"), (ImageFormat.WEBP, ".webp"), (ImageFormat.JPEG, ".jpg")],
)
def test_cutout_knows_how_its_file_ends(image_format: ImageFormat, suffix: str) -> None:
    """A caller who asked for a format need not know its ending."""
    assert Cutout(b"", image_format, Mode.FG_IMAGE, 4, 3).suffix == suffix


def test_repr_shows_no_bytes() -> None:
    """A cut-out in a log or a notebook is a line, not a megabyte."""
    assert len(repr(make_cutout(content=bytes(1_000_000)))) < 500
