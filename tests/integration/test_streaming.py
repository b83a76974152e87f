"""Many pictures on one call: matched by id, each on its own, with bounded memory however the caller behaves."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import options_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from alphacut_server.settings import BatchingSettings, ServerSettings
from support.images import known_picture, png, read_png, small_png
from support.pictures import noise
from support.rpc import BIG_MESSAGES, Failure, failure_of_item, request_for, stream_item
from support.server import HANG_S, RunningApp, emulated_settings, running_app

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

Item = service_pb2.RemoveBackgroundStreamRequest
Answer = service_pb2.RemoveBackgroundStreamResponse


async def cut_all(running: RunningApp, items: list[Item]) -> list[Answer]:
    """Send the pictures on one stream and return the answers in order of arrival."""

    async def send() -> AsyncIterator[Item]:
        for item in items:
            yield item

    return [answer async for answer in running.stub.RemoveBackgroundStream(send(), timeout=HANG_S)]


def failures_of(answers: list[Answer]) -> dict[str, Failure]:
    """Return the failures by id."""
    return {answer.id: failure_of_item(answer) for answer in answers if answer.HasField("error")}


async def test_two_hundred_pictures_are_each_answered_once_by_id() -> None:
    """Large and small ones in turn, so that they overtake each other; every id has its own picture's mask."""
    pictures = {
        f"no {seed}": known_picture(seed, *((600, 500) if seed % 20 == 0 else (40, 48)))
        for seed in range(200)
    }

    async with running_app() as running:
        answers = await cut_all(running, [stream_item(key, each.content) for key, each in pictures.items()])

    assert sorted(answer.id for answer in answers) == sorted(pictures)
    assert [answer.id for answer in answers] != list(pictures), "nothing was overtaken"
    for answer in answers:
        assert np.array_equal(read_png(answer.response.image.content), pictures[answer.id].alpha)


async def test_a_bad_picture_fails_alone_and_is_counted() -> None:
    """What the unary call would have failed with comes as that picture's answer; the stream goes on."""
    items = [stream_item(str(seed), small_png(seed)) for seed in range(6)]
    items[2] = stream_item("broken", b"no picture")
    items[4] = Item(id="modeless", request=request_for(small_png(4), model="u3net"))
    long_id = "x" * 300
    items.append(stream_item(long_id, small_png(9)))

    async with running_app() as running:
        answers = await cut_all(running, items)
        metrics = running.metrics()

    failures = failures_of(answers)
    assert len(answers) == 7
    assert {key: failure.reason for key, failure in failures.items()} == {
        "broken": "IMAGE_NOT_LOADABLE",
        "modeless": "UNKNOWN_MODEL",
        long_id[:256]: "INVALID_OPTION",
    }
    assert {failure.code for failure in failures.values()} == {grpc.StatusCode.INVALID_ARGUMENT}
    assert metrics["alphacut_stream_item_failures_total"] == 3
    assert metrics["alphacut_requests_total{code=OK}"] == 1


async def test_a_slow_reader_bounds_what_the_server_works_on() -> None:
    """While nobody reads, so many pictures are cut as fit the window and the connection's own buffers; then all."""
    window, count = 4, 60
    # Noise does not shrink, and what stays of it is larger than the buffers of a connection that may not grow them.
    content = png(noise(512, 512, seed=1))
    small_buffers = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)]
    sent = 0

    async def send() -> AsyncIterator[Item]:
        nonlocal sent
        for seed in range(count):
            sent += 1
            yield Item(id=str(seed), request=request_for(content, mode=options_pb2.MODE_FG_IMAGE))

    settings = emulated_settings(
        server=ServerSettings(grpc_port=0, metrics_port=0, stream_window=window), base_ms=0, item_ms=0
    )
    async with (
        running_app(settings) as running,
        grpc.aio.insecure_channel(running.target, options=[*BIG_MESSAGES, *small_buffers]) as channel,
    ):
        stream = BackgroundRemovalServiceStub(channel).RemoveBackgroundStream(send(), timeout=HANG_S)
        # The stream's pictures that can be cut are cut before so many later calls have come and gone.
        for seed in range(40):
            await running.stub.RemoveBackground(request_for(small_png(seed)), timeout=HANG_S)
        unread = running.metrics()
        sent_unread = sent
        answers = [answer.id async for answer in stream]

    cut_unread = unread["alphacut_batch_size_sum"] - 40
    assert window <= cut_unread <= window + 4
    assert unread["alphacut_inflight_bytes"] == 0, "answers that wait to be read hold no decoded pictures"
    assert sent_unread < count
    assert sorted(answers, key=int) == [str(seed) for seed in range(count)]


async def test_cancelling_a_stream_takes_its_pictures_out_of_the_queue() -> None:
    """Those in work are dropped with it; the server goes on serving others."""
    settings = emulated_settings(base_ms=100, item_ms=0, batching=BatchingSettings(max_batch_size=1))
    async with running_app(settings) as running:
        arrived = asyncio.Event()

        async def send() -> AsyncIterator[Item]:
            for seed in range(50):
                yield stream_item(str(seed), small_png(seed))

        async def read() -> None:
            async for _ in stream:
                arrived.set()

        stream = running.stub.RemoveBackgroundStream(send(), timeout=HANG_S)
        reading = asyncio.create_task(read())
        await arrived.wait()
        stream.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        answer = await running.stub.RemoveBackground(request_for(small_png(99)), timeout=HANG_S)
        metrics = running.metrics()

    assert answer.batch_size == 1
    # The first, the one that was running when the stream was cancelled, maybe one more, and ours.
    assert metrics["alphacut_batch_size_sum"] <= 4
    assert metrics["alphacut_calls_open{method=RemoveBackgroundStream}"] == 0


async def test_a_full_queue_slows_a_stream_down_instead_of_failing_it() -> None:
    """A stream has flow control: its pictures wait for places while single calls are refused."""
    settings = emulated_settings(
        server=ServerSettings(grpc_port=0, metrics_port=0, stream_window=100),
        batching=BatchingSettings(max_queue=64, max_batch_size=4),
        base_ms=4,
    )
    items = [stream_item(str(seed), small_png(seed)) for seed in range(150)]

    async with running_app(settings) as running:
        answers = await cut_all(running, items)

    assert failures_of(answers) == {}
    assert len(answers) == 150


async def test_the_call_s_deadline_holds_for_each_picture() -> None:
    """What cannot be done in time is not begun: it is refused by its id, or the call ends; nothing is done in vain."""
    settings = emulated_settings(base_ms=50, item_ms=0, batching=BatchingSettings(max_batch_size=1))
    answers: list[Answer] = []
    async with running_app(settings) as running:

        async def send() -> AsyncIterator[Item]:
            for seed in range(40):
                yield stream_item(str(seed), small_png(seed))

        try:
            async for answer in running.stub.RemoveBackgroundStream(send(), timeout=0.4):
                answers.append(answer)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # noqa: PT017  it may end without, too
        after = await running.stub.RemoveBackground(request_for(small_png(99)), timeout=HANG_S)
        metrics = running.metrics()

    failures = failures_of(answers)
    assert {failure.reason for failure in failures.values()} <= {"OVERLOADED", "DEADLINE"}
    assert after.batch_size == 1
    # 0.4 s have room for eight, and one was ours, after the stream.
    assert 2 <= metrics["alphacut_batch_size_sum"] <= 9
