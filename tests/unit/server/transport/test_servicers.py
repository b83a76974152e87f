"""The methods behind a real port, in front of a pipeline that answers as told."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from alphacut_server.batching.policy import Priority
from alphacut_server.deadline import MonotonicClock
from alphacut_server.errors import AlphacutError, EngineFailed, QueueFull
from alphacut_server.pipeline.types import CutoutRequest, CutoutResult
from alphacut_server.settings import ServerSettings
from alphacut_server.transport.health import HealthState
from alphacut_server.transport.interceptors import CallLog, LastCatch
from alphacut_server.transport.server import build_server
from alphacut_server.transport.servicers import BackgroundRemovalServicer, Served, Timeouts
from support.rpc import REQUEST_ID_KEY, failure_of, failure_of_item, request_for, stream_item
from support.server import HANG_S
from support.transport import FakeObserver, FakePipeline, raising, result_of

if TYPE_CHECKING:  # a class of the stubs' types alone
    from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceAsyncStub

pytestmark = pytest.mark.timeout(20)

SECRET = "/srv/models/secret.onnx broke at 0x7f"


@dataclass(frozen=True, slots=True)
class Source:
    """What is loaded."""

    served: Served | None


@dataclass(frozen=True, slots=True)
class Port:
    """A port with the service behind it."""

    stub: "BackgroundRemovalServiceAsyncStub"
    pipeline: FakePipeline
    observer: FakeObserver


@asynccontextmanager
async def open_port(pipeline: FakePipeline | None = None) -> AsyncIterator[Port]:
    """Serve a fake pipeline; calls without a deadline get 30 s, none more than 100 s."""
    pipeline, observer, clock = pipeline or FakePipeline(), FakeObserver(), MonotonicClock()
    servicer = BackgroundRemovalServicer(
        Source(Served(pipeline, ())),
        version="1.2.3",
        timeouts=Timeouts(default_s=30.0, max_s=100.0),
        stream_window=4,
        clock=clock,
        log=CallLog(observer),
    )
    server = build_server(ServerSettings(), servicer, HealthState(), LastCatch(observer, clock))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Port(BackgroundRemovalServiceStub(channel), pipeline, observer)
    finally:
        await server.stop(None)


async def stream(port: Port, *keys: str) -> dict[str, service_pb2.RemoveBackgroundStreamResponse]:
    """Send a picture for each id whose bytes are the id; return the answers by id."""

    async def items() -> AsyncIterator[service_pb2.RemoveBackgroundStreamRequest]:
        for key in keys:
            yield stream_item(key, key.encode())

    return {answer.id: answer async for answer in port.stub.RemoveBackgroundStream(items(), timeout=HANG_S)}


@pytest.mark.parametrize(("timeout_s", "granted_s"), [(None, 30.0), (5.0, 5.0), (5000.0, 100.0)])
async def test_a_call_gets_its_own_deadline_within_bounds(timeout_s: float | None, granted_s: float) -> None:
    """Its own; the default when it brings none; the longest that is honoured when it asks for more."""
    async with open_port() as port:
        before_s = MonotonicClock().now()
        await port.stub.RemoveBackground(request_for(b"x"), timeout=timeout_s)

    ((request, deadline),) = port.pipeline.asked
    assert deadline.at_s - before_s == pytest.approx(granted_s, abs=2.0)
    assert request.priority is Priority.INTERACTIVE


async def test_callers_are_told_apart_by_address_not_by_port() -> None:
    """Fairness is between clients, and one client may have many connections."""
    async with open_port() as port:
        await port.stub.RemoveBackground(request_for(b"x"))

    ((request, _),) = port.pipeline.asked
    assert request.client == "127.0.0.1"


async def test_the_unknown_becomes_internal_without_a_word_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller gets a sentence and the request id; the log gets the cause, once."""
    async with open_port(FakePipeline(raising(ZeroDivisionError(SECRET)))) as port:
        with caplog.at_level(logging.ERROR), pytest.raises(grpc.aio.AioRpcError) as caught:
            await port.stub.RemoveBackground(request_for(b"x"), metadata=((REQUEST_ID_KEY, "order-7"),))

    failure = failure_of(caught.value)
    assert (failure.code, failure.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert failure.metadata == {"request_id": "order-7"}
    assert "secret" not in str(caught.value.trailing_metadata()) + failure.message
    assert [record.message for record in caplog.records] == ["call_failed"]
    assert caplog.records[0].exc_info is not None
    assert str(caplog.records[0].exc_info[1]) == SECRET


async def test_calls_are_counted_by_method_mode_code_and_reason() -> None:
    """Answered, refused before the mode was read, refused after."""
    async with open_port() as port:
        await port.stub.GetVersion(service_pb2.GetVersionRequest())
        await port.stub.RemoveBackground(request_for(b"x"))
        with pytest.raises(grpc.aio.AioRpcError):
            await port.stub.RemoveBackground(service_pb2.RemoveBackgroundRequest())
        port.pipeline.behave = raising(EngineFailed("It failed."))
        with pytest.raises(grpc.aio.AioRpcError):
            await port.stub.RemoveBackground(request_for(b"x"))

    assert port.observer.calls == [
        ("GetVersion", "", "OK", ""),
        ("RemoveBackground", "fg-mask", "OK", ""),
        ("RemoveBackground", "", "INVALID_ARGUMENT", "SOURCE_MISSING"),
        ("RemoveBackground", "fg-mask", "INTERNAL", "ENGINE_FAILED"),
    ]
    assert len(port.observer.started) == 4


async def test_a_call_cancelled_by_its_caller_is_counted_as_such() -> None:
    """And its work is cancelled with it."""
    entered, dropped = asyncio.Event(), asyncio.Event()

    class Patient(FakePipeline):
        async def cut(self, request: CutoutRequest, deadline: object, files: object = None) -> CutoutResult:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                dropped.set()
            return result_of(request)

    async with open_port(Patient()) as port:
        call = port.stub.RemoveBackground(request_for(b"x"))
        await entered.wait()
        call.cancel()
        await dropped.wait()
        await port.observer.ended.wait()
        with pytest.raises(asyncio.CancelledError):
            await call

    assert port.observer.calls == [("RemoveBackground", "fg-mask", "CANCELLED", "")]


async def test_a_stream_s_pictures_are_bulk_and_have_a_deadline_each() -> None:
    """The default counts from each picture; the stream's own deadline bounds it."""
    async with open_port() as port:
        answers = await stream(port, "a", "b", "c")

    assert {key: answer.response.image.content for key, answer in answers.items()} == {
        "a": b"a",
        "b": b"b",
        "c": b"c",
    }
    assert {request.priority for request, _ in port.pipeline.asked} == {Priority.BULK}


async def test_whatever_one_picture_of_a_stream_raises_its_neighbours_are_answered() -> None:
    """An error of the tree, or one that nobody foresaw: it is that picture's own."""

    def behave(request: CutoutRequest) -> CutoutResult:
        faults: dict[object, Exception] = {
            b"ours": EngineFailed("It failed."),
            b"odd": ZeroDivisionError(SECRET),
        }
        if request.source in faults:
            raise faults[request.source]
        return result_of(request)

    async with open_port(FakePipeline(behave)) as port:
        answers = await stream(port, "a", "ours", "b", "odd", "c", "d", "e", "f")

    assert {key for key, answer in answers.items() if answer.HasField("response")} == set("abcdef")
    assert failure_of_item(answers["ours"]).reason == "ENGINE_FAILED"
    odd = failure_of_item(answers["odd"])
    assert (odd.code, odd.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in answers["odd"].SerializeToString().decode(errors="replace")
    assert sorted(port.observer.items) == [("INTERNAL", "ENGINE_FAILED"), ("INTERNAL", "INTERNAL")]
    assert port.observer.calls == [("RemoveBackgroundStream", "", "OK", "")]


async def test_a_stream_waits_for_places_and_gives_up_when_time_does_not_allow() -> None:
    """A full queue is tried again after the time it named, unless the deadline would pass meanwhile."""
    refusals = iter([QueueFull("full", 0.001), QueueFull("full", 0.001)])

    def behave(request: CutoutRequest) -> CutoutResult:
        error: AlphacutError | None = next(refusals, None)
        if request.source == b"late":
            raise QueueFull("full", retry_after_s=1000.0)
        if error is not None:
            raise error
        return result_of(request)

    async with open_port(FakePipeline(behave)) as port:
        answers = await stream(port, "early")
        late = await stream(port, "late")

    assert answers["early"].HasField("response")
    assert len(port.pipeline.asked) == 3 + 1
    assert len(port.pipeline.fetched) == 1 + 1  # its files were kept while it waited
    failure = failure_of_item(late["late"])
    assert (failure.code, failure.retry_after_s) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1000.0)
