"""Where a call's files come from, and what they may be: fetched, weighed, and their headers read before any decoding.

The main picture's failures win over the background's: those are kept, not raised, until the main picture has been decoded.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from alphacut_server.deadline import Clock, Deadline
from alphacut_server.errors import (
    AlphacutError,
    BackgroundNotLoadable,
    DeadlineExceeded,
    ImageTooLarge,
    InvalidInput,
    InvalidOption,
    UrlNotFetched,
)
from alphacut_server.imaging.background import Fit, backdrop_bytes
from alphacut_server.imaging.encode import MAX_WEBP_SIDE_PX, OutputFormat
from alphacut_server.imaging.probe import Header, picture_bytes, probe_header
from alphacut_server.pipeline.types import (
    MAX_NAME_LENGTH,
    CutoutRequest,
    Fetcher,
    PictureBehind,
    Source,
    Url,
)

BACKGROUND_FIELD = "background.image"


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a picture may be."""

    max_side_px: int = 4096
    """Largest width and height."""
    max_image_bytes: int = 16 << 20
    """The first file size that is refused."""


@dataclass(frozen=True, slots=True)
class Files:
    """A call's files, in hand."""

    content: bytes
    name: str
    background: bytes | BackgroundNotLoadable | None = None
    """The file, or why there is none; None when the call has no background picture."""
    fetch_s: float | None = None
    """How long fetching took; None when nothing was fetched."""


@dataclass(frozen=True, slots=True)
class BackgroundFile:
    """A background picture whose header is fine."""

    content: bytes
    header: Header
    fit: Fit


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the files say of themselves."""

    md5: str
    """Of the main picture, hexadecimal."""
    header: Header
    background: BackgroundFile | InvalidInput | None
    n_bytes: int
    """The most memory the call will take at once, background included."""


class PictureSources:
    """Fetches and inspects; lives on one event loop, but for `inspect`, which any thread may run."""

    def __init__(self, fetcher: Fetcher, limits: PictureLimits, clock: Clock) -> None:
        self._fetcher = fetcher
        self._limits = limits
        self._clock = clock

    async def fetch(self, request: CutoutRequest, deadline: Deadline) -> Files:
        """Get whatever the call names by URL, both pictures at once; the first failure of the main one ends both.

        Raises UrlNotFetched, Overloaded, DeadlineExceeded.
        """
        began_s = self._clock.now()
        source, behind = request.source, request.background
        name = request.name or (name_in(source.address) if isinstance(source, Url) else "")
        below = behind.source if isinstance(behind, PictureBehind) else None
        try:
            async with asyncio.timeout(deadline.remaining_s(began_s)), asyncio.TaskGroup() as group:
                fetching = None if below is None else group.create_task(self._file_of(below, deadline))
                content = await self._file_of(source, deadline)
                if fetching is not None and not isinstance(content, bytes):
                    fetching.cancel()
        except TimeoutError:
            raise _too_late() from None
        if not isinstance(content, bytes):
            if deadline.has_passed(self._clock.now()):
                raise _too_late()
            raise content.with_metadata(name=name)
        background = None if fetching is None else fetching.result()
        if isinstance(background, UrlNotFetched):
            background = BackgroundNotLoadable("The background could not be fetched from its URL.")
        elif isinstance(background, AlphacutError):
            raise background
        return Files(content, name, background, self._clock.now() - began_s)

    async def _file_of(self, source: Source, deadline: Deadline) -> bytes | AlphacutError:
        """Return the file, or why it cannot be had: as a value, for an exception would tear its neighbour down."""
        if not isinstance(source, Url):
            return source
        try:
            return await self._fetcher.fetch(
                source.address, timeout_s=deadline.remaining_s(self._clock.now())
            )
        except AlphacutError as error:
            return error

    def inspect(self, request: CutoutRequest, files: Files) -> Inspected:
        """Hash the picture and read what the headers promise.

        Raises InvalidInput, with md5 and name, for the main picture; the background's fault is in the answer.
        """
        md5 = hashlib.md5(files.content, usedforsecurity=False).hexdigest()
        try:
            header = self._probe(files.content)
            _check_side(header, request.output.format)
        except InvalidInput as error:
            raise error.with_metadata(md5=md5, name=files.name) from None
        n_bytes = picture_bytes(header, request.output.format)
        if not isinstance(request.background, PictureBehind):
            return Inspected(md5, header, None, n_bytes)
        try:
            background = self._probe_background(files.background, request.background.fit)
        except InvalidInput as error:
            return Inspected(md5, header, error, n_bytes)
        canvas = header.upright_height_px, header.upright_width_px
        n_bytes += backdrop_bytes(background.header, background.fit, *canvas)
        n_bytes += len(background.content)  # decoders work on a stripped copy of a PNG
        return Inspected(md5, header, background, n_bytes)

    def _probe(self, content: bytes) -> Header:
        if len(content) >= self._limits.max_image_bytes:
            raise ImageTooLarge(len(content), self._limits.max_image_bytes)
        return probe_header(content, self._limits.max_side_px)

    def _probe_background(self, file: bytes | BackgroundNotLoadable | None, fit: Fit) -> BackgroundFile:
        if file is None:
            raise ValueError("a background picture was asked for, and no file is in hand")
        if isinstance(file, BackgroundNotLoadable):
            raise file
        try:
            return BackgroundFile(file, self._probe(file), fit)
        except ImageTooLarge as error:
            raise error.with_metadata(field=BACKGROUND_FIELD) from None
        except InvalidInput as error:
            raise background_fault(error) from None


def files_in_hand(request: CutoutRequest) -> Files | None:
    """Return the call's files when nothing has to be fetched, else None."""
    source, behind = request.source, request.background
    below = behind.source if isinstance(behind, PictureBehind) else None
    if isinstance(source, Url) or isinstance(below, Url):
        return None
    return Files(source, request.name, below)


def background_fault(error: InvalidInput) -> BackgroundNotLoadable:
    """Return what a fault of the background's file is called, in the same words."""
    return BackgroundNotLoadable(f"The background cannot be used. {error.message}")


def name_in(url: str) -> str:
    """Return the last segment of a URL's path, at most 1024 characters; empty when there is none.

    Percent escapes are read as UTF-8, unless that gives something other than a printable name without slashes: a file that
    somebody writes under this name stays in its folder.
    """
    try:
        segment = urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return ""
    try:
        decoded = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        decoded = segment
    is_plain = decoded.isprintable() and not set("/\\") & set(decoded) and decoded not in (".", "..")
    return (decoded if is_plain else segment)[:MAX_NAME_LENGTH]


def _check_side(header: Header, output_format: OutputFormat) -> None:
    """Refuse what a WebP cannot hold; by the whole picture, though a crop might be smaller, before any work is spent."""
    if output_format is OutputFormat.WEBP and max(header.width_px, header.height_px) > MAX_WEBP_SIDE_PX:
        raise InvalidOption(
            "output.format",
            f"A WebP has at most {MAX_WEBP_SIDE_PX} px a side, this picture is "
            f"{header.upright_width_px}x{header.upright_height_px}; ask for PNG or JPEG.",
        )


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The deadline passed before the pictures were fetched.")
