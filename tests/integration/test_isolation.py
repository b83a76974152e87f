"""Whatever is batched with whatever: each caller gets the answer of its own picture, and nobody is left out."""

import asyncio
from random import Random

import grpc
import numpy as np
import pytest

from alphacut.v1 import options_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from alphacut_server.settings import BatchingSettings
from support.images import KnownPicture, known_picture, read_png, small_png, tight_box
from support.rpc import BIG_MESSAGES, failure_of, request_for
from support.server import HANG_S, RunningApp, ServerProcess, emulated_settings, running_app

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

CALLERS = 64
CALLS = 512
# Height and width: below and above the network's side, wide and high, decoded on the loop and on threads.
SIZES = ((40, 64), (64, 64), (97, 33), (130, 150), (300, 200), (31, 400))
MODES = (options_pb2.MODE_FG_MASK, options_pb2.MODE_FG_IMAGE, options_pb2.MODE_FG_IMAGE_SHADOW)


async def test_five_hundred_calls_of_64_callers_get_their_own_answers() -> None:
    """Sizes, formats and modes are mixed within batches; every pixel of every answer is the one its own input gives."""
    random = Random(7)
    pictures = [
        known_picture(seed, *random.choice(SIZES), is_jpeg=random.random() < 0.3) for seed in range(CALLS)
    ]
    todo = iter(enumerate(pictures))
    sizes: list[int] = []

    async def caller(running: RunningApp) -> None:
        for index, picture in todo:
            mode = MODES[index % len(MODES)]
            response = await running.stub.RemoveBackground(
                request_for(picture.content, mode=mode, name=f"{index}"), timeout=HANG_S
            )
            assert response.name == f"{index}"
            assert_own_answer(picture, mode, response.image.content)
            (found,) = response.objects
            box = (found.box.x, found.box.y, found.box.width, found.box.height)
            assert box == pytest.approx(tight_box(picture.alpha), abs=1e-12)
            sizes.append(response.batch_size)

    async with running_app(emulated_settings(base_ms=8)) as running:
        await asyncio.gather(*(caller(running) for _ in range(CALLERS)))
        metrics = running.metrics()

    assert len(sizes) == metrics["alphacut_batch_size_sum"] == CALLS
    assert max(sizes) > 4, "nothing was batched, so nothing could have been mixed up"


def assert_own_answer(picture: KnownPicture, mode: "options_pb2.Mode.ValueType", content: bytes) -> None:
    """See that a reply is what the emulated model gives for that picture and no other."""
    pixels = read_png(content)
    if mode == options_pb2.MODE_FG_MASK:
        assert np.array_equal(pixels, picture.alpha)
        return
    solid = picture.alpha == 255
    assert np.array_equal(pixels[solid][:, :3], picture.rgb[solid])
    if mode == options_pb2.MODE_FG_IMAGE:
        assert np.array_equal(pixels[..., 3], picture.alpha)
    else:
        assert (pixels[..., 3] >= picture.alpha).all()


async def test_a_hundred_calls_at_once_on_one_connection_all_succeed(
    emulated_server: ServerProcess,
) -> None:
    """One connection carries them all, and the queue has room for them."""
    async with grpc.aio.insecure_channel(emulated_server.target, options=BIG_MESSAGES) as channel:
        stub = BackgroundRemovalServiceStub(channel)

        answers = await asyncio.gather(
            *(stub.RemoveBackground(request_for(small_png(seed)), timeout=HANG_S) for seed in range(100))
        )

    assert len(answers) == 100
    assert all(answer.image.content for answer in answers)


async def test_calls_beyond_the_queue_are_refused_at_once_and_the_rest_is_served() -> None:
    """The newest are told when to come back; whoever was admitted is answered."""
    settings = emulated_settings(base_ms=30, batching=BatchingSettings(max_queue=64, max_batch_size=4))
    async with running_app(settings) as running:
        calls = [
            running.stub.RemoveBackground(request_for(small_png(seed)), timeout=HANG_S) for seed in range(150)
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    # Only now: a caller may hear of its refusal a moment before it is counted.
    metrics = running.metrics()

    failures = [failure_of(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
    assert 0 < len(failures) < 150 - 40
    assert {(failure.code, failure.reason) for failure in failures} == {
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    }
    assert all(failure.kinds == ("ErrorInfo", "RetryInfo") for failure in failures)
    assert all(0 < (failure.retry_after_s or 0) < 10 for failure in failures)
    assert metrics["alphacut_dropped_total{reason=overloaded}"] == len(failures)
    assert metrics["alphacut_batch_size_sum"] == 150 - len(failures)
