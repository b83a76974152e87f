"""SIGTERM loses nothing: what was admitted is answered, newcomers are sent elsewhere, the exit code is 0."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from support.health import health_status
from support.images import png, small_png
from support.pictures import noise
from support.rpc import BIG_MESSAGES, failure_of, failure_of_item, request_for, stream_item
from support.server import EMULATED, HANG_S, ServerProcess, starting_server

if TYPE_CHECKING:  # a class of the stubs' types alone
    from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceAsyncStub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

# 50 calls take 13 batches of 4, a second and a half.
DEVICE = {
    **EMULATED,
    "ALPHACUT_EMULATED_BASE_MS": "100",
    "ALPHACUT_EMULATED_ITEM_MS": "2",
    "ALPHACUT_BATCHING_MAX_BATCH_SIZE": "4",
}
CALLS = 50


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """Run a server that the test ends."""
    with starting_server(DEVICE) as server:
        server.await_serving()
        yield server


async def until_admitted(server: ServerProcess, count: int) -> None:
    """Wait off the loop until so many pictures have been let in; the first few may be answered by then."""

    def all_in(now: dict[str, float]) -> bool:
        return now["alphacut_queue_depth"] + now.get("alphacut_requests_total", 0) >= count

    await asyncio.to_thread(server.await_metrics, all_in)


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGTERM], [signal.SIGINT, signal.SIGTERM, signal.SIGTERM, signal.SIGINT]],
    ids=["term", "int-term-term-int"],
)
async def test_fifty_calls_in_flight_are_all_answered(
    server: ServerProcess, signals: list[signal.Signals]
) -> None:
    """However often and by which signal it is told; and a call that comes in after that is refused as retryable."""
    async with grpc.aio.insecure_channel(server.target) as channel:
        stub = BackgroundRemovalServiceStub(channel)
        calls = [asyncio.create_task(_batch_size(stub, seed)) for seed in range(CALLS)]
        await until_admitted(server, CALLS)

        server.send(signals[0])
        started = await asyncio.to_thread(server.log.await_event, "drain_started")
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await stub.RemoveBackground(request_for(small_png(99)), timeout=HANG_S)
        for number in signals[1:]:
            server.send(number)
        sizes = await asyncio.gather(*calls)

    code = await asyncio.to_thread(server.wait)
    assert len(sizes) == CALLS
    assert int(str(started["in_flight"])) >= CALLS // 2
    assert failure_of(late.value).code is grpc.StatusCode.UNAVAILABLE
    assert failure_of(late.value).reason == "DRAINING"
    assert code == 0, server.log.text
    assert server.log.await_event("drain_finished")["all_answered"] is True


async def test_calls_still_on_their_way_are_answered_or_sent_elsewhere(server: ServerProcess) -> None:
    """Fifty large pictures, the signal while most of them are being received: a retry elsewhere helps each that was refused."""
    content = png(noise(1000, 1000))
    async with grpc.aio.insecure_channel(server.target, options=BIG_MESSAGES) as channel:
        stub = BackgroundRemovalServiceStub(channel)
        calls = [stub.RemoveBackground(request_for(content), timeout=HANG_S) for _ in range(CALLS)]
        gathered = asyncio.gather(*calls, return_exceptions=True)
        await until_admitted(server, 3)

        server.send(signal.SIGTERM)
        outcomes = await gathered

    failures = [failure_of(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(failures) < CALLS
    assert {(failure.code, failure.reason) for failure in failures} <= {
        (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    }
    assert await asyncio.to_thread(server.wait) == 0


async def test_health_says_so_while_calls_are_still_being_answered(server: ServerProcess) -> None:
    """A balancer that asks learns at once that this replica is leaving."""
    async with grpc.aio.insecure_channel(server.target) as channel:
        stub = BackgroundRemovalServiceStub(channel)
        calls = [asyncio.create_task(_batch_size(stub, seed)) for seed in range(8)]
        await until_admitted(server, 8)

        server.send(signal.SIGTERM)
        await asyncio.to_thread(server.log.await_event, "drain_started")
        status = await health_status(channel)
        still_open = sum(not call.done() for call in calls)
        await asyncio.gather(*calls)

    assert status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert still_open > 0
    assert await asyncio.to_thread(server.wait) == 0


async def test_a_stream_s_pictures_in_work_are_answered_and_later_ones_are_refused(
    server: ServerProcess,
) -> None:
    """The stream itself goes on, so that its caller learns which pictures to send elsewhere."""
    sent_late = asyncio.Event()

    async def items() -> AsyncIterator[service_pb2.RemoveBackgroundStreamRequest]:
        for seed in range(8):
            yield stream_item(f"early-{seed}", small_png(seed))
        await sent_late.wait()
        yield stream_item("late", small_png(99))

    async with grpc.aio.insecure_channel(server.target) as channel:
        answers: dict[str, service_pb2.RemoveBackgroundStreamResponse] = {}
        stream = BackgroundRemovalServiceStub(channel).RemoveBackgroundStream(items())
        reading = asyncio.create_task(_read_all(stream, answers))
        await until_admitted(server, 8)

        server.send(signal.SIGTERM)
        await asyncio.to_thread(server.log.await_event, "drain_started")
        sent_late.set()
        await reading

    late = failure_of_item(answers.pop("late"))
    assert (late.code, late.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert sorted(answers) == [f"early-{seed}" for seed in range(8)]
    assert all(answer.WhichOneof("outcome") == "response" for answer in answers.values())
    assert await asyncio.to_thread(server.wait) == 0


async def test_calls_that_outlast_the_grace_period_are_told_and_the_exit_code_says_so() -> None:
    """With no time to drain, the device's batch ends and the rest fails as retryable; exit code 1."""
    with starting_server({**DEVICE, "ALPHACUT_SERVER_DRAIN_TIMEOUT_MS": "0"}) as server:
        server.await_serving()
        async with grpc.aio.insecure_channel(server.target) as channel:
            stub = BackgroundRemovalServiceStub(channel)
            calls = [asyncio.create_task(_batch_size(stub, seed)) for seed in range(CALLS)]
            await until_admitted(server, CALLS)

            server.send(signal.SIGTERM)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)

        failures = [failure_of(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
        assert failures
        assert {failure.code for failure in failures} == {grpc.StatusCode.UNAVAILABLE}
        assert await asyncio.to_thread(server.wait) == 1


async def _batch_size(stub: "BackgroundRemovalServiceAsyncStub", seed: int) -> int:
    response = await stub.RemoveBackground(request_for(small_png(seed)), timeout=HANG_S)
    return int(response.batch_size)


async def _read_all(
    stream: "grpc.aio.StreamStreamCall[service_pb2.RemoveBackgroundStreamRequest, service_pb2.RemoveBackgroundStreamResponse]",
    answers: dict[str, service_pb2.RemoveBackgroundStreamResponse],
) -> None:
    async for answer in stream:
        answers[answer.id] = answer
