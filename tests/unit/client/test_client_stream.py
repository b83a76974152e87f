"""Streams over a socket: order, failures, the bound on memory, broken connections, leaving early."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest

from alphacut import AsyncClient, Client, Priority, RetryPolicy, StreamResult, errors
from alphacut.pictures import ImageInput
from alphacut.stream_aio import Source
from alphacut.v1 import options_pb2
from support.fake_service import (
    NOT_LOADABLE,
    Context,
    FakeServer,
    StreamRequest,
    StreamResponse,
    StreamStep,
    answer,
    answer_backwards,
    answer_in_order,
    make_png,
)

FAST = RetryPolicy(initial_backoff_s=0.001, max_backoff_s=0.02, max_attempts=12)


def make_pictures(count: int) -> list[tuple[str, ImageInput]]:
    """Make pictures whose id tells their bytes."""
    return [(str(number), f"picture {number}".encode()) for number in range(count)]


def all_right(results: list[StreamResult], count: int) -> bool:
    """Tell whether each of the pictures has its own cut-out, once."""
    expected = {str(number): make_png(f"picture {number}".encode()) for number in range(count)}
    return len(results) == count and {each.id: each.unwrap().content for each in results} == expected


def collect_async(server: FakeServer, source: Source, **options: Any) -> list[StreamResult]:
    """Run a stream of the asyncio client to its end."""

    async def run() -> list[StreamResult]:
        async with AsyncClient(server.target, retry=FAST) as client:
            return [each async for each in client.remove_background_stream(source, **options)]

    return asyncio.run(run())


def collect_sync(
    server: FakeServer, source: Iterable[tuple[str, ImageInput]], **options: Any
) -> list[StreamResult]:
    """Run a stream of the sync client to its end."""
    with Client(server.target, retry=FAST) as client:
        return list(client.remove_background_stream(source, **options))


both = pytest.mark.parametrize("collect", [collect_sync, collect_async], ids=["sync", "async"])
Collect = Callable[..., list[StreamResult]]


@both
def test_answers_out_of_order_find_their_pictures(server: FakeServer, collect: Collect) -> None:
    """Answers that come backwards bear the right ids, in the order of their coming."""
    server.service.stream_script.append(answer_backwards(5))

    results = collect(server, make_pictures(20), window=5, mode="fg-image")

    assert all_right(results, 20)
    assert [each.id for each in results[:5]] == ["4", "3", "2", "1", "0"]


@both
def test_options_ride_on_each_picture(server: FakeServer, collect: Collect) -> None:
    """Model and priority are sent with each; a priority left open is the server's, which takes streams for bulk."""
    seen: list[StreamRequest] = []

    def look(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
        for each in requests:
            seen.append(each)
            yield StreamResponse(id=each.id, response=answer(each.request))

    server.service.stream_script.extend([look, look])
    collect(server, make_pictures(1), model="m")
    collect(server, make_pictures(1), priority=Priority.INTERACTIVE)

    assert [each.request.priority for each in seen] == [
        options_pb2.PRIORITY_UNSPECIFIED,
        options_pb2.PRIORITY_INTERACTIVE,
    ]
    assert seen[0].request.model == "m"


@both
def test_bad_pictures_fail_alone(server: FakeServer, tmp_path: Path, collect: Collect) -> None:
    """Refused by the server, or not readable here: one result with an error, the others go on."""

    def refuse_one(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
        for each in requests:
            if each.request.image.content == b"bad":
                yield StreamResponse(id=each.id, error=NOT_LOADABLE)
            else:
                yield StreamResponse(id=each.id, response=answer(each.request))

    server.service.stream_script.append(refuse_one)
    source = [("good", b"good"), ("bad", b"bad"), ("missing", tmp_path / "missing.jpg"), ("too", b"good")]

    results = {each.id: each for each in collect(server, source)}

    assert results["good"].cutout
    assert results["too"].cutout
    assert isinstance(results["bad"].error, errors.ImageNotLoadable)
    assert isinstance(results["missing"].error, FileNotFoundError)


@both
def test_window_bounds_what_is_under_way(server: FakeServer, collect: Collect) -> None:
    """The source is never asked for more than the window beyond what was answered."""
    ahead: list[int] = []
    pulled = replied = 0

    def count_replies(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
        nonlocal replied
        for each in answer_backwards(3)(requests, context):
            replied += 1
            yield each

    def source() -> Iterator[tuple[str, ImageInput]]:
        nonlocal pulled
        for picture in make_pictures(30):
            pulled += 1
            ahead.append(pulled - replied)
            yield picture

    server.service.stream_script.append(count_replies)

    results = collect(server, source(), window=3)

    assert all_right(results, 30)
    assert max(ahead) <= 3


def test_slow_reader_stops_the_source(server: FakeServer) -> None:
    """Results that nobody takes hold their slots: the source is asked for the window and no more."""
    pulled: list[str] = []

    def source() -> Iterator[tuple[str, ImageInput]]:
        for picture in make_pictures(100):
            pulled.append(picture[0])
            yield picture

    with Client(server.target) as client:
        results = client.remove_background_stream(source(), window=4)
        for taken, _ in enumerate(results, start=1):
            # One slot is given back as a result is handed out.
            assert len(pulled) <= taken + 4


@both
def test_broken_stream_goes_on_with_what_was_unanswered(server: FakeServer, collect: Collect) -> None:
    """Calls that break in the middle cost no picture and double none."""

    def break_after(count: int) -> StreamStep:
        def step(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
            for _ in range(count):
                each = next(requests)
                yield StreamResponse(id=each.id, response=answer(each.request))
            context.abort(grpc.StatusCode.UNAVAILABLE, "going away")

        return step

    server.service.stream_script.extend([break_after(3), break_after(0), break_after(7)])

    results = collect(server, make_pictures(40), window=8)

    assert all_right(results, 40)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_replaced_server_goes_on_with_what_was_unanswered(is_async: bool) -> None:
    """The server stops in the middle of a stream, another takes its port: every picture is answered once."""
    first = FakeServer()
    stopped = threading.Event()

    def answer_two(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
        for _ in range(2):
            each = next(requests)
            yield StreamResponse(id=each.id, response=answer(each.request))
        stopped.set()
        threading.Event().wait(20)

    first.service.stream_script.append(answer_two)
    second: list[FakeServer] = []

    def replace() -> None:
        stopped.wait(20)
        first.stop()
        second.append(FakeServer(address=f"127.0.0.1:{first.port}"))

    replacer = threading.Thread(target=replace)
    replacer.start()
    collect = collect_async if is_async else collect_sync
    try:
        results = collect(first, make_pictures(12), window=4)
    finally:
        replacer.join(30)
        second[0].stop()

    assert all_right(results, 12)


@both
def test_refused_key_ends_the_stream(server: FakeServer, collect: Collect) -> None:
    """What concerns the whole call is raised, not repeated for each picture.

    Several times: grpc.aio loses the status to a write that fails just then, about every second time.
    """

    def refuse(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no key")
        yield StreamResponse()

    server.service.stream_script.extend([refuse] * 5)

    for _ in range(5):
        with pytest.raises(errors.Unauthenticated):
            collect(server, make_pictures(50))


@both
def test_no_server_ends_the_stream(collect: Collect) -> None:
    """A server that never answers is given up after the policy's attempts."""
    with FakeServer() as server:
        pass

    with pytest.raises(errors.Unavailable):
        collect(server, make_pictures(50))


@both
def test_exception_of_the_source_reaches_the_caller(server: FakeServer, collect: Collect) -> None:
    """What the caller's iterable raises ends the stream with just that."""

    def source() -> Iterator[tuple[str, ImageInput]]:
        yield "a", b"x"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        collect(server, source())


@both
def test_wrong_type_of_picture_is_raised(server: FakeServer, collect: Collect) -> None:
    """A bug of the caller is no picture's failure."""
    with pytest.raises(TypeError, match="image must be"):
        collect(server, [("a", 5)])


@both
def test_unanswered_picture_times_out_alone(server: FakeServer, collect: Collect) -> None:
    """A picture that gets no answer fails after its own timeout, the others are answered."""

    def forget_one(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
        for each in requests:
            if each.request.image.content != b"forgotten":
                yield StreamResponse(id=each.id, response=answer(each.request))

    server.service.stream_script.append(forget_one)

    results = {each.id: each for each in collect(server, [("f", b"forgotten"), ("a", b"a")], timeout_s=0.3)}

    assert isinstance(results["f"].error, errors.DeadlineExceeded)
    assert results["a"].cutout


@both
def test_empty_source_asks_nothing(server: FakeServer, collect: Collect) -> None:
    """No pictures, no call."""
    assert collect(server, []) == []
    assert server.service.metadata == []


@both
@pytest.mark.parametrize("options", [{"window": 0}, {"timeout_s": 0}])
def test_impossible_options_are_refused(
    server: FakeServer, collect: Collect, options: dict[str, int]
) -> None:
    """A stream that could never move is a bug where it is made."""
    with pytest.raises(ValueError, match=r"window|timeout_s"):
        collect(server, [], **options)


def wait_cancelled(ended: threading.Event) -> StreamStep:
    """Return a stream step that answers, and sets the event when its call is over."""

    def step(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
        context.add_callback(ended.set)
        yield from answer_in_order(requests, context)

    return step


def test_leaving_early_ends_the_call(server: FakeServer) -> None:
    """Closing the iterator cancels the call and asks the source for no more than was under way."""
    ended = threading.Event()
    server.service.stream_script.append(wait_cancelled(ended))

    with Client(server.target) as client:
        results = client.remove_background_stream(make_pictures(1000), window=4)
        next(iter(results))
        results.close()
        assert ended.wait(10)


async def test_leaving_early_ends_the_call_async(server: FakeServer) -> None:
    """Leaving under aclosing cancels the call."""
    ended = threading.Event()
    server.service.stream_script.append(wait_cancelled(ended))

    async with AsyncClient(server.target) as client:
        async with aclosing(client.remove_background_stream(make_pictures(1000), window=4)) as results:
            await anext(results)
        assert await asyncio.to_thread(ended.wait, 10)


async def test_async_source_may_depend_on_results(server: FakeServer) -> None:
    """A source that waits for an earlier answer before it gives the next picture does not lock."""
    answered = asyncio.Event()

    async def source() -> AsyncIterator[tuple[str, ImageInput]]:
        for picture in make_pictures(5):
            yield picture
            await answered.wait()
            answered.clear()

    async with AsyncClient(server.target) as client:
        results = []
        async for each in client.remove_background_stream(source(), window=3):
            results.append(each)
            answered.set()

    assert all_right(results, 5)


def test_sync_source_may_depend_on_results(server: FakeServer) -> None:
    """A source that waits for an earlier answer before it gives the next picture does not lock."""
    answered = threading.Event()

    def source() -> Iterator[tuple[str, ImageInput]]:
        for picture in make_pictures(5):
            yield picture
            assert answered.wait(20)
            answered.clear()

    with Client(server.target) as client:
        results = []
        for each in client.remove_background_stream(source(), window=3):
            results.append(each)
            answered.set()

    assert all_right(results, 5)


def test_closing_the_client_ends_its_streams(server: FakeServer) -> None:
    """A stream under way when its client is closed raises Cancelled."""
    client = Client(server.target, retry=FAST)
    results = client.remove_background_stream(make_pictures(1000), window=2)
    next(iter(results))

    client.close()

    with pytest.raises(errors.Cancelled):
        list(results)
