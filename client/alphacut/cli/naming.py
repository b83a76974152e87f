"""What outputs are called, by mode and format; touches no disk."""

import re
from pathlib import PurePath, PurePosixPath
from urllib.parse import unquote, urlsplit

from alphacut.cli.console import UsageError
from alphacut.options import ImageFormat, Mode

_MARKS = {Mode.FG_IMAGE: ".cutout", Mode.FG_MASK: ".mask", Mode.FG_IMAGE_SHADOW: ".shadow"}
# How an earlier run's outputs end, which folders and patterns leave out.
OWN_ENDINGS = tuple(mark + each.suffix for mark in _MARKS.values() for each in ImageFormat)
_FORMATS = {
    ".png": ImageFormat.PNG,
    ".webp": ImageFormat.WEBP,
    ".jpg": ImageFormat.JPEG,
    ".jpeg": ImageFormat.JPEG,
}
# File systems take 255 bytes; the rest is for the mark and the ending.
_MAX_STEM_BYTES = 200


def output_name(stem: str, mode: Mode, image_format: ImageFormat) -> str:
    """Return the name of the output for a picture of that stem, as photo.cutout.png."""
    return f"{stem}{_MARKS[mode]}{image_format.suffix}"


def format_of(path: PurePath) -> ImageFormat | None:
    """Return the format that a file's ending names, None when it names none."""
    return _FORMATS.get(path.suffix.lower())


def stem_of_url(url: str) -> str:
    """Return the stem of the last part of a URL's path, fit for a file name in any folder; `picture` when there is none."""
    try:
        path = urlsplit(url).path
    except ValueError as error:
        raise UsageError(f"{url!r} is no URL ({error})") from error
    # Separators may come percent-encoded: unquoted, they must not lead into another folder.
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "_", unquote(path.rpartition("/")[2])).lstrip(".")
    stem = PurePosixPath(name).stem.encode("utf-8", "replace")[:_MAX_STEM_BYTES]
    return stem.decode("utf-8", "ignore") or "picture"
