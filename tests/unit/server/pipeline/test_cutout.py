"""The journey of one picture over a fake device: right answers, and every way it can end early."""

import asyncio
import hashlib

import numpy as np
import pytest

from alphacut_server.batching.policy import Priority
from alphacut_server.deadline import Deadline, MonotonicClock
from alphacut_server.engine.fake import FakeEngine
from alphacut_server.errors import (
    AlphacutError,
    CorruptImage,
    DeadlineExceeded,
    Draining,
    EngineFailed,
    ImageTooLarge,
    QueueFull,
    ResolutionTooBig,
    UnknownModel,
)
from alphacut_server.imaging.box import PixelBox
from alphacut_server.imaging.matte import upscale_matte
from alphacut_server.pipeline.sources import PictureLimits
from alphacut_server.pipeline.types import CutoutRequest, Mode, Stage
from support.batching import FakeClock
from support.images import png, read_png, small_png
from support.machinery import Machinery, running_pipeline
from support.pictures import PNG_SIGNATURE, ihdr, noise, png_chunk

pytestmark = pytest.mark.timeout(20)

SIDE = 8
"""The fake device's: a picture of that size reaches it unscaled, and its matte is the picture's red."""


def request(content: bytes, mode: Mode = Mode.FG_MASK, *, model: str = "", name: str = "") -> CutoutRequest:
    """Return a request."""
    return CutoutRequest(content, name, mode, model, Priority.INTERACTIVE, "somebody")


def within(seconds: float = 20.0) -> Deadline:
    """Return a deadline."""
    return Deadline.after(seconds, MonotonicClock())


async def failure(machinery: Machinery, wanted: CutoutRequest) -> AlphacutError:
    """Cut a picture that must fail."""
    with pytest.raises(AlphacutError) as caught:
        await machinery.pipeline.cut(wanted, within())
    return caught.value


@pytest.mark.parametrize(("height", "width"), [(SIDE, SIDE), (300, 200)], ids=["on-the-loop", "on-threads"])
async def test_the_mask_is_the_device_s_matte_at_the_picture_s_size(height: int, width: int) -> None:
    """Whether the picture is worked on here or on a thread."""
    rgb = np.repeat(np.repeat(noise(2, 2, seed=3), height // 2, axis=0), width // 2, axis=1)
    engine = FakeEngine(side_px=SIDE)

    async with running_pipeline(engine) as machinery:
        result = await machinery.pipeline.cut(request(png(rgb), name="a.png"), within())

    (matte,) = engine.batches[0][..., 0]
    assert np.array_equal(read_png(result.image.content), upscale_matte(matte, height, width))
    assert (result.height_px, result.width_px, result.name, result.batch_size) == (height, width, "a.png", 1)
    assert result.md5 == hashlib.md5(png(rgb), usedforsecurity=False).hexdigest()


async def test_a_file_s_own_transparency_stays() -> None:
    """What came in transparent is so in every mode, and outside of the box."""
    rgba = np.full((SIDE, SIDE, 4), 255, np.uint8)
    rgba[:, :4, 3] = 0

    async with running_pipeline(FakeEngine(side_px=SIDE)) as machinery:
        results = [await machinery.pipeline.cut(request(png(rgba), mode), within()) for mode in Mode]

    for result in results:
        pixels = read_png(result.image.content)
        alpha = pixels if pixels.ndim == 2 else pixels[..., 3]
        assert result.box == PixelBox(4, 0, 4, SIDE)
        assert (alpha[:, 4:] == 255).all()
        if result.mode is not Mode.FG_IMAGE_SHADOW:  # a shadow may fall there
            assert not alpha[:, :4].any()


async def test_a_scene_without_a_subject_has_no_box() -> None:
    """It is answered all the same: transparent throughout."""
    black = np.zeros((SIDE, SIDE, 3), np.uint8)

    async with running_pipeline(FakeEngine(side_px=SIDE)) as machinery:
        result = await machinery.pipeline.cut(request(png(black), Mode.FG_IMAGE), within())

    assert result.box is None
    assert not read_png(result.image.content).any()


async def test_every_stage_is_timed_in_the_order_of_the_work() -> None:
    """For the caller, and for the metrics."""
    async with running_pipeline(FakeEngine(side_px=SIDE)) as machinery:
        result = await machinery.pipeline.cut(request(small_png(1)), within())
        metrics = machinery.metrics()

    rare = {Stage.FETCH, Stage.BACKGROUND}
    assert [timing.stage for timing in result.timings] == [stage for stage in Stage if stage not in rare]
    assert all(timing.seconds >= 0 for timing in result.timings)
    for stage in Stage:
        assert metrics[f"alphacut_stage_duration_seconds_count{{stage={stage.value}}}"] == (stage not in rare)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"no picture", CorruptImage),
        (b"", CorruptImage),
        (small_png(1)[:-20], CorruptImage),
        (PNG_SIGNATURE + ihdr(9, 9) + png_chunk(b"IDAT", b"no pixels") + png_chunk(b"IEND"), CorruptImage),
        (PNG_SIGNATURE + ihdr(200, 101) + png_chunk(b"IDAT") + png_chunk(b"IEND"), ResolutionTooBig),
        (bytes(40_000), ImageTooLarge),
    ],
    ids=["text", "empty", "cut", "broken", "wide", "heavy"],
)
async def test_a_bad_picture_is_named_and_gives_its_place_back(
    content: bytes, kind: type[AlphacutError]
) -> None:
    """By MD5 and name, whichever stage found out; the device hears nothing of it."""
    engine = FakeEngine(side_px=SIDE)
    limits = PictureLimits(max_side_px=100, max_image_bytes=40_000)

    async with running_pipeline(engine, limits=limits) as machinery:
        error = await failure(machinery, request(content, name="bad.png"))
        await machinery.until_queued(0, 0, 0)

    assert type(error) is kind
    assert error.metadata["name"] == "bad.png"
    assert error.metadata["md5"] == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert engine.batches == []


async def test_an_unknown_model_is_refused_before_any_work() -> None:
    """The error knows what is served."""
    async with running_pipeline(FakeEngine()) as machinery:
        error = await failure(machinery, request(b"never looked at", model="other"))

    assert isinstance(error, UnknownModel)
    assert error.served == ("fake",)


async def test_the_device_s_failure_reaches_the_caller() -> None:
    """As an error of the tree."""
    async with running_pipeline(FakeEngine(fail_on=(1,))) as machinery:
        error = await failure(machinery, request(small_png(1)))
        after = await machinery.pipeline.cut(request(small_png(2)), within())

    assert isinstance(error, EngineFailed)
    assert after.batch_size == 1


async def test_a_cancelled_caller_that_waits_leaves_the_queue_at_once() -> None:
    """Its place is free before the running batch ends, and the device never sees its picture."""
    engine = FakeEngine(max_batch_size=1)
    engine.hold()
    async with running_pipeline(engine) as machinery:
        first = asyncio.create_task(machinery.pipeline.cut(request(small_png(1)), within()))
        await machinery.until_queued(0, 0, 1)
        second = asyncio.create_task(machinery.pipeline.cut(request(small_png(2)), within()))
        await machinery.until_queued(0, 1, 1)

        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        left = machinery.batcher.statistics()
        engine.release()
        await first
        await machinery.until_queued(0, 0, 0)

    assert left[:3] == (0, 0, 1)
    assert len(engine.batches) == 1


async def test_a_deadline_that_passes_in_the_queue_frees_the_place() -> None:
    """The caller is told at its deadline, not when the device is free again."""
    engine = FakeEngine(max_batch_size=1)
    engine.hold()
    async with running_pipeline(engine) as machinery:
        first = asyncio.create_task(machinery.pipeline.cut(request(small_png(1)), within()))
        await machinery.until_queued(0, 0, 1)

        with pytest.raises(DeadlineExceeded):
            await machinery.pipeline.cut(request(small_png(2)), within(0.05))
        left = machinery.batcher.statistics()
        engine.release()
        await first

    assert left[:3] == (0, 0, 1)
    assert len(engine.batches) == 1


async def test_a_deadline_that_passes_on_the_device_is_told_at_once() -> None:
    """The batch goes on; its answer is dropped."""
    engine = FakeEngine()
    engine.hold()
    async with running_pipeline(engine) as machinery:
        with pytest.raises(DeadlineExceeded):
            await machinery.pipeline.cut(request(small_png(1)), within(0.05))
        engine.release()
        await machinery.until_queued(0, 0, 0)
        held = machinery.metrics()["alphacut_inflight_bytes"]

    assert held == 0


async def test_an_answer_that_comes_too_late_is_not_encoded() -> None:
    """The clock jumped while the device worked: the caller is told, and no time is spent on a PNG for nobody."""
    engine, clock = FakeEngine(), FakeClock()
    engine.hold()
    async with running_pipeline(engine, clock=clock) as machinery:
        call = asyncio.create_task(machinery.pipeline.cut(request(small_png(1)), Deadline.after(15, clock)))
        await machinery.until_queued(0, 0, 1)
        clock.advance(16)
        engine.release()

        with pytest.raises(DeadlineExceeded):
            await call
        encoded = machinery.metrics()["alphacut_stage_duration_seconds_count{stage=encode}"]

    assert encoded == 0


async def test_a_deadline_of_the_past_takes_no_place() -> None:
    """Nothing is hashed or decoded for it."""
    async with running_pipeline(FakeEngine()) as machinery:
        with pytest.raises(DeadlineExceeded):
            await machinery.pipeline.cut(request(b"never looked at"), within(-1))


async def test_whoever_finds_no_room_for_its_pixels_waits_without_a_thread_and_can_leave() -> None:
    """The budget has room for one; the second waits, is cancelled, and neither place nor bytes stay behind."""
    engine = FakeEngine(max_batch_size=4)
    engine.hold()
    async with running_pipeline(engine, budget_bytes=20_000) as machinery:
        first = asyncio.create_task(machinery.pipeline.cut(request(small_png(1)), within()))
        await machinery.until_queued(0, 0, 1)
        second = asyncio.create_task(machinery.pipeline.cut(request(small_png(2)), within()))
        await machinery.until_queued(1, 0, 1)
        waiting = machinery.metrics()["alphacut_inflight_waiting"]

        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        left = machinery.batcher.statistics()
        engine.release()
        await first
        metrics = machinery.metrics()

    assert waiting == 1
    assert left[:3] == (0, 0, 1)
    assert metrics["alphacut_inflight_bytes"] == metrics["alphacut_inflight_waiting"] == 0


async def test_a_draining_server_refuses_before_it_looks() -> None:
    """Whoever is refused costs nothing."""
    async with running_pipeline(FakeEngine()) as machinery:
        machinery.batcher.stop_admitting()

        error = await failure(machinery, request(b"never looked at"))

    assert isinstance(error, Draining)


async def test_a_full_queue_refuses_before_it_looks() -> None:
    """The place comes first, the work after."""
    engine = FakeEngine(max_batch_size=1)
    engine.hold()
    async with running_pipeline(engine, max_queue=64) as machinery:
        first = asyncio.create_task(machinery.pipeline.cut(request(small_png(1)), within()))
        await machinery.until_queued(0, 0, 1)
        calls = [
            asyncio.create_task(machinery.pipeline.cut(request(small_png(seed)), within()))
            for seed in range(60)
        ]
        await machinery.until_queued(
            0, 56, 1
        )  # of one client alone; an eighth of the queue is kept for others

        error = await failure(machinery, request(b"never looked at"))
        engine.release()
        outcomes = await asyncio.gather(first, *calls, return_exceptions=True)

    assert isinstance(error, QueueFull)
    assert error.retry_after_s > 0
    assert sum(isinstance(outcome, QueueFull) for outcome in outcomes) == 4
