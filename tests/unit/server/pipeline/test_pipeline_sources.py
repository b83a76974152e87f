"""Fetching and inspecting a call's files: names, limits, and whose failure is told."""

import asyncio
import hashlib

import pytest

from alphacut_server.batching.policy import Priority
from alphacut_server.deadline import Deadline, MonotonicClock
from alphacut_server.errors import (
    AlphacutError,
    BackgroundNotLoadable,
    CorruptImage,
    DeadlineExceeded,
    Draining,
    ImageTooLarge,
    InvalidOption,
    QueueFull,
    ResolutionTooBig,
    UrlNotFetched,
)
from alphacut_server.imaging.background import Fit
from alphacut_server.imaging.colour_names import Colour
from alphacut_server.imaging.encode import OutputFormat
from alphacut_server.pipeline.sources import (
    BackgroundFile,
    Files,
    Inspected,
    PictureLimits,
    PictureSources,
    files_in_hand,
    name_in,
)
from alphacut_server.pipeline.types import AS_IT_IS, CutoutRequest, Mode, Output, PictureBehind, Source, Url
from support.batching import FakeClock
from support.fetching import FakeFetcher, Page
from support.images import small_png
from support.pictures import PNG_SIGNATURE, ihdr, jpeg_bytes, noise, png_chunk

pytestmark = pytest.mark.timeout(20)

MAIN, BELOW = "https://a.example/x/cat%20one.png?size=9", "https://b.example/b.png"
PICTURE, OTHER = small_png(1), small_png(2)
WIDE = PNG_SIGNATURE + ihdr(200, 101) + png_chunk(b"IDAT") + png_chunk(b"IEND")


def request(
    source: Source,
    background: Source | Colour | None = None,
    *,
    name: str = "",
    fit: Fit = Fit.NONE,
    output: Output = AS_IT_IS,
) -> CutoutRequest:
    """Return a request."""
    behind = PictureBehind(background, fit) if isinstance(background, bytes | Url) else background
    return CutoutRequest(
        source,
        name,
        Mode.FG_IMAGE,
        "",
        Priority.INTERACTIVE,
        "somebody",
        background=behind,
        output=output,
    )


def sources(
    main: Page | None = None, below: Page | None = None, limits: PictureLimits | None = None
) -> tuple[PictureSources, FakeFetcher]:
    """Return sources over a fetcher that knows so much of the two URLs."""
    known = {url: page for url, page in ((MAIN, main), (BELOW, below)) if page is not None}
    fetcher = FakeFetcher(known)
    return PictureSources(fetcher, limits or PictureLimits(), MonotonicClock()), fetcher


async def fetched(
    wanted: CutoutRequest, main: Page | None = None, below: Page | None = None
) -> tuple[Files, FakeFetcher]:
    """Fetch what a request names."""
    source, fetcher = sources(main, below)
    return await source.fetch(wanted, Deadline.after(20, MonotonicClock())), fetcher


def inspected(wanted: CutoutRequest, files: Files, limits: PictureLimits | None = None) -> Inspected:
    """Inspect files in hand."""
    return sources(limits=limits)[0].inspect(wanted, files)


@pytest.mark.parametrize("background", [None, Colour(1, 2, 3), OTHER], ids=["none", "colour", "file"])
def test_what_came_with_the_call_is_in_hand(background: Source | Colour | None) -> None:
    """Nothing is to be fetched, and no name is made up."""
    files = files_in_hand(request(PICTURE, background))

    assert files == Files(PICTURE, "", background if isinstance(background, bytes) else None, None)


@pytest.mark.parametrize("wanted", [request(Url(MAIN)), request(PICTURE, Url(BELOW))], ids=["main", "below"])
def test_a_url_anywhere_means_fetching(wanted: CutoutRequest) -> None:
    """Of either picture."""
    assert files_in_hand(wanted) is None


async def test_both_pictures_are_fetched_at_once() -> None:
    """The second does not wait for the first, and each may take what the call has left."""
    held = asyncio.Event()
    source, fetcher = sources(main=held, below=held)
    call = asyncio.create_task(
        source.fetch(request(Url(MAIN), Url(BELOW)), Deadline.after(20, MonotonicClock()))
    )
    await fetcher.asked.acquire()
    await fetcher.asked.acquire()

    assert sorted(fetcher.begun) == [MAIN, BELOW]
    assert all(15 < timeout_s <= 20 for timeout_s in fetcher.timeouts_s)
    held.set()
    with pytest.raises(UrlNotFetched):
        await call


@pytest.mark.parametrize(
    ("wanted", "files", "asked"),
    [
        (request(Url(MAIN)), (PICTURE, "cat one.png", None), [MAIN]),
        (request(Url(MAIN), name="mine.png"), (PICTURE, "mine.png", None), [MAIN]),
        (request(Url(MAIN), Colour(1, 2, 3)), (PICTURE, "cat one.png", None), [MAIN]),
        (request(Url(MAIN), b"file"), (PICTURE, "cat one.png", b"file"), [MAIN]),
        (request(b"file", Url(BELOW)), (b"file", "", OTHER), [BELOW]),
        (request(Url(MAIN), Url(BELOW)), (PICTURE, "cat one.png", OTHER), [BELOW, MAIN]),
    ],
    ids=["main", "named", "colour", "file-below", "below", "both"],
)
async def test_what_is_fetched_and_what_is_in_hand_come_together(
    wanted: CutoutRequest, files: tuple[bytes, str, bytes | None], asked: list[str]
) -> None:
    """The main picture's URL gives a name where the caller gave none; the time is told."""
    got, fetcher = await fetched(wanted, main=PICTURE, below=OTHER)

    assert (got.content, got.name, got.background) == files
    assert got.fetch_s is not None
    assert got.fetch_s >= 0
    assert sorted(fetcher.begun, reverse=True) == asked


async def test_a_main_picture_that_cannot_be_fetched_ends_the_other_fetch() -> None:
    """At once; its name and the MD5 of what arrived are told."""
    source, fetcher = sources(main=UrlNotFetched("ab" * 16), below=asyncio.Event())

    with pytest.raises(UrlNotFetched) as caught:
        await source.fetch(request(Url(MAIN), Url(BELOW)), Deadline.after(20, MonotonicClock()))

    assert caught.value.metadata == {"md5": "ab" * 16, "name": "cat one.png"}
    assert fetcher.cancelled == [BELOW]


async def test_a_background_that_cannot_be_fetched_waits_for_the_main_picture_s_fate() -> None:
    """Its failure is a value here; the message tells nothing of the network."""
    got, _ = await fetched(request(Url(MAIN), Url(BELOW)), main=PICTURE)

    assert got.content == PICTURE
    assert isinstance(got.background, BackgroundNotLoadable)
    assert "fetched from its URL" in got.background.message


@pytest.mark.parametrize("error", [QueueFull("full", 2.0), Draining()], ids=["full", "draining"])
@pytest.mark.parametrize("which", ["main", "below"])
async def test_a_fetcher_without_room_refuses_the_call(error: AlphacutError, which: str) -> None:
    """Whichever picture it was for: trying again helps, so it is not the picture's fault."""
    with pytest.raises(type(error)):
        await fetched(
            request(Url(MAIN), Url(BELOW)),
            main=error if which == "main" else PICTURE,
            below=error if which == "below" else OTHER,
        )


async def test_a_deadline_that_passes_while_fetching_ends_both_fetches() -> None:
    """And is told as such, not as a URL's fault."""
    source, fetcher = sources(main=asyncio.Event(), below=asyncio.Event())

    with pytest.raises(DeadlineExceeded):
        await source.fetch(request(Url(MAIN), Url(BELOW)), Deadline.after(0.05, MonotonicClock()))

    assert sorted(fetcher.cancelled) == [MAIN, BELOW]


async def test_a_fetch_that_fails_at_the_deadline_is_told_as_the_deadline() -> None:
    """The fetcher's own watch may run out a moment before ours."""
    clock = FakeClock()

    class Late(FakeFetcher):
        async def fetch(self, url: str, *, timeout_s: float) -> bytes:
            clock.advance(timeout_s)
            raise UrlNotFetched

    with pytest.raises(DeadlineExceeded):
        await PictureSources(Late(), PictureLimits(), clock).fetch(
            request(Url(MAIN)), Deadline.after(20, clock)
        )


async def test_a_cancelled_call_cancels_both_fetches() -> None:
    """Nothing is left running."""
    source, fetcher = sources(main=asyncio.Event(), below=asyncio.Event())
    call = asyncio.create_task(
        source.fetch(request(Url(MAIN), Url(BELOW)), Deadline.after(20, MonotonicClock()))
    )
    await fetcher.asked.acquire()
    await fetcher.asked.acquire()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert sorted(fetcher.cancelled) == [MAIN, BELOW]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/photo.jpg", "photo.jpg"),
        ("https://a.example/a/b/c.png?x=1/2#d/e", "c.png"),
        ("https://a.example/a%20b.jpg", "a b.jpg"),
        ("https://a.example/%E7%8C%AB.jpg", "猫.jpg"),
        ("https://a.example/猫.jpg", "猫.jpg"),
        ("https://a.example/%FF%FE.jpg", "%FF%FE.jpg"),
        ("https://a.example/..%2F..%2Fetc%2Fpasswd", "..%2F..%2Fetc%2Fpasswd"),
        ("https://a.example/a%5Cb", "a%5Cb"),
        ("https://a.example/%2e%2e", "%2e%2e"),
        ("https://a.example/a%00b%0A.jpg", "a%00b%0A.jpg"),
        ("https://a.example/", ""),
        ("https://a.example", ""),
        ("https://[::1/x.png", ""),
        ("no url at all", "no url at all"),
        ("https://a.example/" + "n" * 2000, "n" * 1024),
    ],
)
def test_a_url_s_name_is_its_last_segment(url: str, name: str) -> None:
    """Readable where that is harmless, else as it stands."""
    assert name_in(url) == name


def test_an_inspection_tells_what_the_call_will_take() -> None:
    """MD5 and header of the main picture; memory grows with the background and with the format."""
    plain = inspected(request(PICTURE), Files(PICTURE, "n"))
    webp = inspected(request(PICTURE, output=Output(OutputFormat.WEBP)), Files(PICTURE, "n"))
    backed = inspected(request(PICTURE, OTHER, fit=Fit.COVER), Files(PICTURE, "n", OTHER))

    assert plain.md5 == hashlib.md5(PICTURE, usedforsecurity=False).hexdigest()
    assert (plain.header.width_px, plain.header.height_px) == (32, 24)
    assert plain.background is None
    assert isinstance(backed.background, BackgroundFile)
    assert (backed.background.content, backed.background.fit) == (OTHER, Fit.COVER)
    assert plain.n_bytes < webp.n_bytes
    assert backed.n_bytes > plain.n_bytes + len(OTHER)


def test_a_colour_needs_no_inspection() -> None:
    """It takes no memory worth counting."""
    files = Files(PICTURE, "n")

    assert inspected(request(PICTURE, Colour(1, 2, 3)), files) == inspected(request(PICTURE), files)


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", BackgroundNotLoadable, "no bytes"),
        (b"GIF89a", BackgroundNotLoadable, "neither a JPEG nor a PNG"),
        (WIDE, BackgroundNotLoadable, "200x101"),
        (BackgroundNotLoadable("as told"), BackgroundNotLoadable, "as told"),
        (bytes(40_000), ImageTooLarge, "MiB"),
    ],
    ids=["empty", "gif", "wide", "not-fetched", "heavy"],
)
def test_a_bad_background_is_a_value_not_an_exception(
    content: bytes | BackgroundNotLoadable, kind: type[AlphacutError], words: str
) -> None:
    """The main picture has not been decoded yet, and its failure would win."""
    limits = PictureLimits(max_side_px=100, max_image_bytes=40_000)

    found = inspected(request(PICTURE, b"below"), Files(PICTURE, "n", content), limits)

    assert isinstance(found.background, kind)
    assert words in found.background.message
    assert found.n_bytes == inspected(request(PICTURE), Files(PICTURE, "n"), limits).n_bytes
    if kind is ImageTooLarge:
        assert found.background.metadata["field"] == "background.image"
        assert found.background.metadata["size"] == "40000"


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"", CorruptImage), (WIDE, ResolutionTooBig), (bytes(40_000), ImageTooLarge)],
    ids=["empty", "wide", "heavy"],
)
def test_a_bad_main_picture_wins_over_a_bad_background(content: bytes, kind: type[AlphacutError]) -> None:
    """It is told with its own MD5 and name."""
    limits = PictureLimits(max_side_px=100, max_image_bytes=40_000)

    with pytest.raises(kind) as caught:
        inspected(request(content, b"below"), Files(content, "bad.png", b"no picture"), limits)

    assert caught.value.metadata["name"] == "bad.png"
    assert caught.value.metadata["md5"] == hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_that_no_webp_can_hold_is_refused_by_its_header(orientation: int) -> None:
    """Where an operator allows such pictures; the other formats take them."""
    content = jpeg_bytes(noise(1, 16384), orientation=orientation)
    limits = PictureLimits(max_side_px=16384)

    with pytest.raises(InvalidOption) as caught:
        inspected(request(content, output=Output(OutputFormat.WEBP)), Files(content, "n"), limits)

    assert caught.value.field == "output.format"
    assert ("16384x1" if orientation == 1 else "1x16384") in caught.value.message
    assert inspected(request(content, output=Output(OutputFormat.JPEG)), Files(content, "n"), limits)
