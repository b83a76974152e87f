"""The journey with backgrounds, formats, crops and URLs over a fake device: what comes out, and whose failure is told."""

import asyncio
import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from alphacut_server.batching.policy import Priority
from alphacut_server.deadline import Deadline, MonotonicClock
from alphacut_server.engine.fake import FakeEngine
from alphacut_server.errors import (
    AlphacutError,
    BackgroundNotLoadable,
    CorruptImage,
    Draining,
    ImageTooLarge,
    InvalidOption,
    UrlNotFetched,
)
from alphacut_server.imaging.background import Fit, lay_out, put_behind
from alphacut_server.imaging.box import PixelBox
from alphacut_server.imaging.codec import Picture
from alphacut_server.imaging.colour_names import Colour
from alphacut_server.imaging.compose import compose_cutout
from alphacut_server.imaging.encode import OutputFormat
from alphacut_server.imaging.matte import upscale_matte
from alphacut_server.pipeline.sources import PictureLimits
from alphacut_server.pipeline.types import (
    AS_IT_IS,
    CutoutRequest,
    CutoutResult,
    Mode,
    Output,
    PictureBehind,
    Source,
    Stage,
    Url,
)
from alphacut_server.settings import Profile
from support.fetching import FakeFetcher
from support.images import png, read_png, small_png
from support.machinery import Machinery, running_pipeline
from support.pictures import jpeg_bytes, noise, stored_as

pytestmark = pytest.mark.timeout(20)

SIDE = 8
"""The fake device's; its matte is the picture's red."""

MAIN, BELOW = "https://a.example/main.png", "https://b.example/below.png"

# A red block in the lower right quarter: solid there, nothing elsewhere.
BLOCK = np.zeros((SIDE, SIDE, 3), np.uint8)
BLOCK[4:, 4:] = (255, 40, 80)


def enlarged(rgb: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], times: int) -> bytes:
    """Return a PNG of the pixels, each so many times as large."""
    return png(np.repeat(np.repeat(rgb, times, axis=0), times, axis=1))


def request(
    source: Source,
    background: Colour | PictureBehind | None = None,
    *,
    mode: Mode = Mode.FG_IMAGE,
    output: Output = AS_IT_IS,
    name: str = "",
    profile: Profile | None = None,
) -> CutoutRequest:
    """Return a request."""
    return CutoutRequest(
        source, name, mode, "", Priority.INTERACTIVE, "somebody", profile, background, output
    )


async def cut(machinery: Machinery, wanted: CutoutRequest) -> CutoutResult:
    """Cut a picture."""
    return await machinery.pipeline.cut(wanted, Deadline.after(20, MonotonicClock()))


async def failure(machinery: Machinery, wanted: CutoutRequest) -> AlphacutError:
    """Cut a picture that must fail."""
    with pytest.raises(AlphacutError) as caught:
        await cut(machinery, wanted)
    return caught.value


def md5_of(content: bytes) -> str:
    """Return the MD5, hexadecimal."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("size", [SIDE, 300], ids=["on-the-loop", "on-threads"])
@pytest.mark.parametrize("fit", Fit)
async def test_a_background_picture_lies_behind_the_subject(size: int, fit: Fit) -> None:
    """Just as imaging lays it; decoding it is a stage of its own."""
    rgb, below = noise(size, size, seed=3), noise(20, 9, seed=4)
    engine = FakeEngine(side_px=SIDE)

    async with running_pipeline(engine) as machinery:
        result = await cut(machinery, request(png(rgb), PictureBehind(png(below), fit)))

    (matte,) = engine.batches[0][..., 0]
    expected = compose_cutout(rgb, upscale_matte(matte, size, size))
    put_behind(expected, lay_out(Picture(below, None), fit, size, size), PixelBox(0, 0, size, size))
    assert np.array_equal(read_png(result.image.content), expected)
    assert [timing.stage for timing in result.timings] == [
        stage for stage in Stage if stage is not Stage.FETCH
    ]


async def test_a_background_s_orientation_is_applied() -> None:
    """It is decoded as the main picture is: upright, by its EXIF."""
    upright = np.zeros((16, 48, 3), np.uint8)
    upright[:, :24] = 255
    content = jpeg_bytes(stored_as(upright, 6), orientation=6, quality=100, subsampling=0)
    black = enlarged(np.zeros_like(BLOCK), 6)

    async with running_pipeline(FakeEngine(side_px=SIDE)) as machinery:
        result = await cut(machinery, request(black, PictureBehind(content, Fit.STRETCH)))

    pixels = read_png(result.image.content)
    assert pixels[:, :20, :3].min() > 240
    assert pixels[:, 28:, :3].max() < 15


async def test_a_colour_lies_behind_the_subject_also_on_the_loop() -> None:
    """It costs no stage and no thread."""
    async with running_pipeline(FakeEngine(side_px=SIDE)) as machinery:
        result = await cut(machinery, request(png(BLOCK), Colour(0, 0, 255)))

    pixels = read_png(result.image.content)
    assert (pixels[:4] == (0, 0, 255, 255)).all()
    assert (pixels[4:, 4:] == (255, 40, 80, 255)).all()
    assert Stage.BACKGROUND not in [timing.stage for timing in result.timings]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("output_format", OutputFormat)
async def test_an_answer_is_of_the_format_and_size_asked_for(mode: Mode, output_format: OutputFormat) -> None:
    """Sizes of the file are the crop's; those of the picture, and the box, are not."""
    async with running_pipeline(FakeEngine(side_px=SIDE)) as machinery:
        wanted = request(png(BLOCK), mode=mode, output=Output(output_format, crop_margin=0.25))
        result = await cut(machinery, wanted)

    image = Image.open(io.BytesIO(result.image.content))
    assert (image.format, image.size) == (output_format.name, (5, 5))
    assert (result.image.format, result.image.height_px, result.image.width_px) == (output_format, 5, 5)
    assert (result.height_px, result.width_px, result.box) == (SIDE, SIDE, PixelBox(4, 4, 4, 4))


async def test_the_profile_picks_the_model() -> None:
    """Before anything else is looked at."""
    async with running_pipeline(FakeEngine(side_px=SIDE)) as machinery:
        result = await cut(machinery, request(png(BLOCK), profile=Profile.FAST))
        error = await failure(machinery, request(b"never looked at", profile=Profile.BEST))

    assert result.model == "fake"
    assert isinstance(error, InvalidOption)
    assert error.field == "quality"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"no picture", BackgroundNotLoadable),
        (small_png(1)[:-20], BackgroundNotLoadable),
        (small_png(1, height=101), BackgroundNotLoadable),
        (bytes(60_000), ImageTooLarge),
    ],
    ids=["text", "cut", "wide", "heavy"],
)
async def test_a_bad_background_ends_the_call_with_the_main_picture_s_name(
    content: bytes, kind: type[AlphacutError]
) -> None:
    """Neither place nor memory stays behind."""
    engine = FakeEngine(side_px=SIDE)
    limits = PictureLimits(max_side_px=100, max_image_bytes=60_000)
    picture = png(BLOCK)

    async with running_pipeline(engine, limits=limits) as machinery:
        wanted = request(picture, PictureBehind(content, Fit.COVER), name="main.png")
        error = await failure(machinery, wanted)
        await machinery.until_queued(0, 0, 0)
        held = machinery.metrics()["alphacut_inflight_bytes"]

    assert type(error) is kind
    assert (error.metadata["name"], error.metadata["md5"]) == ("main.png", md5_of(picture))
    assert held == 0


async def test_a_background_known_to_be_bad_costs_no_device_time() -> None:
    """Its header is read before the main picture goes into the queue."""
    engine = FakeEngine(side_px=SIDE)

    async with running_pipeline(engine) as machinery:
        await failure(machinery, request(png(BLOCK), PictureBehind(b"no picture", Fit.NONE)))

    assert engine.batches == []


@pytest.mark.parametrize("main", [b"no picture", small_png(2)[:-20]], ids=["by-header", "by-pixels"])
@pytest.mark.parametrize("below", [b"no picture", small_png(1)[:-20]], ids=["by-header", "by-pixels"])
async def test_a_bad_main_picture_wins_over_a_bad_background(main: bytes, below: bytes) -> None:
    """However late its fault shows, and however early the other's."""
    async with running_pipeline(FakeEngine(side_px=SIDE)) as machinery:
        error = await failure(machinery, request(main, PictureBehind(below, Fit.NONE), name="main.png"))

    assert type(error) is CorruptImage
    assert error.metadata == {"md5": md5_of(main), "name": "main.png"}


async def test_pictures_are_fetched_and_cut() -> None:
    """The answer's name is the URL's, the MD5 that of the bytes, and the time spent fetching is told first."""
    below = noise(SIDE, SIDE, seed=5)
    fetcher = FakeFetcher({MAIN: png(BLOCK), BELOW: png(below)})

    async with running_pipeline(FakeEngine(side_px=SIDE), fetcher=fetcher) as machinery:
        result = await cut(machinery, request(Url(MAIN), PictureBehind(Url(BELOW), Fit.NONE)))
        metrics = machinery.metrics()

    assert (result.name, result.md5) == ("main.png", md5_of(png(BLOCK)))
    assert np.array_equal(read_png(result.image.content)[:4, :, :3], below[:4])
    assert [timing.stage for timing in result.timings] == list(Stage)
    assert metrics["alphacut_stage_duration_seconds_count{stage=fetch}"] == 1


async def test_who_fetches_holds_no_place() -> None:
    """A slow web server fills no queue; a call that is cancelled meanwhile leaves nothing behind."""
    fetcher = FakeFetcher({MAIN: asyncio.Event()})
    async with running_pipeline(FakeEngine(side_px=SIDE), fetcher=fetcher) as machinery:
        call = asyncio.create_task(cut(machinery, request(Url(MAIN))))
        await fetcher.asked.acquire()
        places = machinery.batcher.statistics()[:3]

        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    assert places == (0, 0, 0)
    assert fetcher.cancelled == [MAIN]


async def test_a_call_tried_again_with_its_files_fetches_nothing() -> None:
    """A stream's picture waits for its place by trying again; the web server hears of it once."""
    fetcher = FakeFetcher({MAIN: png(BLOCK)})
    deadline = Deadline.after(20, MonotonicClock())
    async with running_pipeline(FakeEngine(side_px=SIDE), fetcher=fetcher) as machinery:
        files = await machinery.pipeline.fetch(request(Url(MAIN)), deadline)

        result = await machinery.pipeline.cut(request(Url(MAIN)), deadline, files)

    assert (result.name, result.md5) == ("main.png", md5_of(png(BLOCK)))
    assert result.timings[0].stage is Stage.FETCH
    assert fetcher.begun == [MAIN]


async def test_nothing_is_fetched_for_a_model_that_is_not_served() -> None:
    """By no way into the pipeline."""
    fetcher, deadline = FakeFetcher(), Deadline.after(20, MonotonicClock())
    wanted = request(Url(MAIN), profile=Profile.BEST)
    async with running_pipeline(FakeEngine(side_px=SIDE), fetcher=fetcher) as machinery:
        for way in (machinery.pipeline.fetch, machinery.pipeline.cut):
            with pytest.raises(InvalidOption):
                await way(wanted, deadline)

    assert fetcher.begun == []


async def test_who_has_fetched_takes_a_place_like_everybody() -> None:
    """And is refused when none is given any more."""
    fetcher = FakeFetcher({MAIN: png(BLOCK)})
    async with running_pipeline(FakeEngine(side_px=SIDE), fetcher=fetcher) as machinery:
        machinery.batcher.stop_admitting()

        error = await failure(machinery, request(Url(MAIN)))

    assert isinstance(error, Draining)


@pytest.mark.parametrize(
    ("main", "below", "kind"),
    [
        (None, None, UrlNotFetched),
        (None, b"no picture", UrlNotFetched),
        (b"no picture", None, CorruptImage),
        (small_png(1)[:-20], None, CorruptImage),
        (png(BLOCK), None, BackgroundNotLoadable),
        (png(BLOCK), b"no picture", BackgroundNotLoadable),
    ],
    ids=["neither", "not-main", "main-is-no-picture", "main-is-cut", "not-below", "below-is-no-picture"],
)
async def test_of_two_fetched_pictures_the_main_one_s_failure_is_told(
    main: bytes | None, below: bytes | None, kind: type[AlphacutError]
) -> None:
    """With its name and MD5, whatever went wrong with which; the device hears nothing of it."""
    pages = {url: page for url, page in ((MAIN, main), (BELOW, below)) if page is not None}
    engine = FakeEngine(side_px=SIDE)

    async with running_pipeline(engine, fetcher=FakeFetcher(pages)) as machinery:
        error = await failure(machinery, request(Url(MAIN), PictureBehind(Url(BELOW), Fit.NONE)))

    assert type(error) is kind
    assert (error.metadata["name"], error.metadata["md5"]) == ("main.png", md5_of(main or b""))
    assert engine.batches == []
