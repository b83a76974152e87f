"""Which key a call brings, and how calls are let in by it, behind a real port."""

import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from alphacut_server.batching.policy import Priority
from alphacut_server.deadline import MonotonicClock
from alphacut_server.errors import EngineFailed
from alphacut_server.key_file import KeyFile
from alphacut_server.pipeline.types import CutoutRequest, CutoutResult
from alphacut_server.settings import ServerSettings
from alphacut_server.transport.health import HealthState
from alphacut_server.transport.interceptors import CallLog, LastCatch
from alphacut_server.transport.keys import KeyCheck, presented_key
from alphacut_server.transport.server import build_server
from alphacut_server.transport.servicers import BackgroundRemovalServicer, Served, Timeouts
from support.api_keys import ARCHIVE_KEY, SHOP_KEY, FakeKeyObserver, line_of, write_keys
from support.rpc import Failure, failure_of, request_for
from support.server import HANG_S
from support.transport import FakeObserver, FakePipeline, raising, result_of

if TYPE_CHECKING:  # a class of the stubs' types alone
    from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceAsyncStub

pytestmark = pytest.mark.timeout(20)

Metadata = tuple[tuple[str, str | bytes], ...]
SHOP = (("x-api-key", SHOP_KEY),)
ARCHIVE = (("x-api-key", ARCHIVE_KEY),)


@dataclass(frozen=True, slots=True)
class Source:
    """What is loaded."""

    served: Served | None


@dataclass(frozen=True, slots=True)
class KeyedPort:
    """A port that asks for a key, with the service behind it."""

    stub: "BackgroundRemovalServiceAsyncStub"
    pipeline: FakePipeline
    observer: FakeObserver
    key_observer: FakeKeyObserver


@asynccontextmanager
async def keyed_port(folder: Path, pipeline: FakePipeline | None = None) -> AsyncIterator[KeyedPort]:
    """Serve the shop, and the archive as bulk only."""
    pipeline, observer, clock = pipeline or FakePipeline(), FakeObserver(), MonotonicClock()
    key_observer = FakeKeyObserver()
    lines = (line_of("shop", SHOP_KEY), line_of("archive", ARCHIVE_KEY, is_bulk=True))
    file = KeyFile(write_keys(folder / "keys", *lines), clock, key_observer)
    file.load()
    servicer = BackgroundRemovalServicer(
        Source(Served(pipeline, ())),
        version="1.2.3",
        timeouts=Timeouts(default_s=30.0, max_s=100.0),
        stream_window=4,
        clock=clock,
        log=CallLog(observer),
    )
    guard = LastCatch(observer, clock, KeyCheck(file, key_observer))
    server = build_server(ServerSettings(), servicer, HealthState(), guard)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield KeyedPort(BackgroundRemovalServiceStub(channel), pipeline, observer, key_observer)
    finally:
        await server.stop(None)


def asking(
    priority: options_pb2.Priority.ValueType, content: bytes = b"x"
) -> service_pb2.RemoveBackgroundRequest:
    """Return a request with a priority."""
    return service_pb2.RemoveBackgroundRequest(
        image=image_pb2.ImageSource(content=content), priority=priority
    )


async def refusal(call: Awaitable[object]) -> Failure:
    """Return what a refused call told."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return failure_of(caught.value)


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        ((), ""),
        ((("user-agent", "grpc"),), ""),
        ((("x-api-key", "abc"),), "abc"),
        ((("x-api-key", " abc "),), "abc"),
        ((("x-api-key", "one"), ("x-api-key", "two")), "one"),
        ((("x-api-key", ""),), ""),
        ((("x-api-key-bin", b"abc"),), ""),
        ((("authorization", "Bearer abc"),), "abc"),
        ((("authorization", "bearer  abc"),), "abc"),
        ((("authorization", "Basic abc"),), ""),
        ((("authorization", "Bearer"),), ""),
        ((("authorization", "abc"),), ""),
        ((("authorization", "Bearer mesh"), ("x-api-key", "abc")), "abc"),
        ((("x-api-key", ""), ("authorization", "Bearer abc")), "abc"),
        ((("authorization", "Basic mesh"), ("authorization", "Bearer abc")), "abc"),
    ],
)
def test_a_key_is_found_in_the_metadata(metadata: Metadata, key: str) -> None:
    """`x-api-key` wins over a bearer token, whichever stands first; the first of each counts, an empty one not."""
    assert presented_key(metadata) == key


@pytest.mark.parametrize("metadata", [(), (("x-api-key", SHOP_KEY + "x"),), (("x-api-key", "shop"),)])
async def test_every_method_refuses_a_call_without_a_valid_key(tmp_path: Path, metadata: Metadata) -> None:
    """None and a wrong one are told the same words, and nothing reaches the pipeline."""
    async with keyed_port(tmp_path) as port:
        stub = port.stub
        failures = [
            await refusal(stub.GetVersion(service_pb2.GetVersionRequest(), metadata=metadata)),
            await refusal(stub.ListModes(service_pb2.ListModesRequest(), metadata=metadata)),
            await refusal(stub.ListModels(service_pb2.ListModelsRequest(), metadata=metadata)),
            await refusal(stub.RemoveBackground(request_for(b"x"), metadata=metadata)),
            await refusal(
                stub.RemoveBackgroundStream(iter(()), metadata=metadata, timeout=HANG_S).read(),
            ),
        ]

    assert {failure.code for failure in failures} == {grpc.StatusCode.UNAUTHENTICATED}
    assert {failure.reason for failure in failures} == {"UNAUTHENTICATED"}
    assert {failure.message for failure in failures} == {"A valid API key is needed; send it as x-api-key."}
    assert port.pipeline.asked == []
    assert port.key_observer.used == []
    assert {call[0] for call in port.observer.calls} == {
        method.name for method in service_pb2.DESCRIPTOR.services_by_name["BackgroundRemovalService"].methods
    }


async def test_a_call_with_a_key_is_counted_against_its_holder(tmp_path: Path) -> None:
    """Fairness knows the key's name and not the address, in streams too."""
    async with keyed_port(tmp_path) as port:
        await port.stub.RemoveBackground(request_for(b"x"), metadata=SHOP)
        item = service_pb2.RemoveBackgroundStreamRequest(id="1", request=request_for(b"y"))
        bearer = (("authorization", f"Bearer {ARCHIVE_KEY}"),)
        async for _ in port.stub.RemoveBackgroundStream(iter([item]), metadata=bearer, timeout=HANG_S):
            pass

    assert [request.client for request, _ in port.pipeline.asked] == ["shop", "archive"]
    assert port.key_observer.used == [("shop", "OK"), ("archive", "OK")]


@pytest.mark.parametrize(
    ("metadata", "granted"), [(SHOP, [Priority.INTERACTIVE] * 2), (ARCHIVE, [Priority.BULK] * 2)]
)
async def test_a_key_capped_to_bulk_gets_bulk_whatever_it_asks(
    tmp_path: Path, metadata: Metadata, granted: list[Priority]
) -> None:
    """A call and a picture of a stream that both ask to be interactive."""
    wanted = asking(options_pb2.PRIORITY_INTERACTIVE)
    async with keyed_port(tmp_path) as port:
        await port.stub.RemoveBackground(wanted, metadata=metadata)
        item = service_pb2.RemoveBackgroundStreamRequest(id="1", request=wanted)
        async for _ in port.stub.RemoveBackgroundStream(iter([item]), metadata=metadata, timeout=HANG_S):
            pass

    assert [request.priority for request, _ in port.pipeline.asked] == granted


async def test_a_key_that_may_be_interactive_may_ask_for_bulk(tmp_path: Path) -> None:
    """A cap takes nothing from those who have none."""
    async with keyed_port(tmp_path) as port:
        await port.stub.RemoveBackground(asking(options_pb2.PRIORITY_BULK), metadata=SHOP)

    ((request, _),) = port.pipeline.asked
    assert request.priority is Priority.BULK


async def test_a_revoked_key_does_not_end_a_stream_that_runs(tmp_path: Path) -> None:
    """The key is asked for once, at a call's start."""
    async with keyed_port(tmp_path) as port:
        call = port.stub.RemoveBackgroundStream(metadata=SHOP, timeout=HANG_S)
        answered = []
        for key in ("before", "after"):
            await call.write(service_pb2.RemoveBackgroundStreamRequest(id=key, request=request_for(b"x")))
            answer = await call.read()
            assert isinstance(answer, service_pb2.RemoveBackgroundStreamResponse)
            answered.append(answer.id)
            write_keys(tmp_path / "keys", line_of("archive", ARCHIVE_KEY))
        await call.done_writing()

    assert answered == ["before", "after"]


async def test_the_log_tells_the_key_s_name_and_never_the_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of an answer, of a failure of ours, and of refused calls."""

    def behave(request: CutoutRequest) -> CutoutResult:
        if request.source == b"bad":
            return raising(EngineFailed("It failed."))(request)  # type: ignore[no-any-return]  # it never returns
        return result_of(request)

    wrong = (("x-api-key", "alphacut_wrong-key-of-a-stranger"),)
    with caplog.at_level(logging.DEBUG, "alphacut_server"):
        async with keyed_port(tmp_path, FakePipeline(behave)) as port:
            await port.stub.RemoveBackground(request_for(b"good"), metadata=SHOP)
            shown = ""
            for content, metadata in ((b"bad", SHOP), (b"good", wrong)):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await port.stub.RemoveBackground(request_for(content), metadata=metadata)
                shown += str(caught.value) + str(caught.value.trailing_metadata())

    told = [
        (record.message, getattr(record, "key_name", None), getattr(record, "code", None))
        for record in caplog.records
        if hasattr(record, "code")
    ]
    assert told == [
        ("call_answered", "shop", "OK"),
        ("call_failed", "shop", "INTERNAL"),
        ("call_answered", "shop", "INTERNAL"),
        ("call_refused", None, "UNAUTHENTICATED"),
    ]
    assert port.key_observer.used == [("shop", "OK"), ("shop", "INTERNAL")]
    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in (SHOP_KEY, "wrong-key-of-a-stranger"):
        assert secret not in logged + shown
