"""Drives a `StreamBook` on the event loop: a task reads the pictures, one each call's answers, the caller decides."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

import grpc

from alphacut.cutout import StreamResult
from alphacut.errors import AlphacutError, Cancelled, Unavailable
from alphacut.pictures import ImageInput
from alphacut.retry import Timing
from alphacut.status import from_rpc_error
from alphacut.streaming import (
    FAREWELL_S,
    NEVER,
    Answered,
    CallEnded,
    Event,
    Loaded,
    SourceEnded,
    StreamBook,
    Unreadable,
)
from alphacut.v1 import background_removal_service_pb2 as service_pb2

Request = service_pb2.RemoveBackgroundStreamRequest
Response = service_pb2.RemoveBackgroundStreamResponse
Call = grpc.aio.StreamStreamCall[Request, Response]
Source = Iterable[tuple[str, ImageInput]] | AsyncIterable[tuple[str, ImageInput]]


T = TypeVar("T")

# What grpc.aio says of a write that its core refused.
_BROKEN_WRITE = "Internal error from Core"


class AsyncStream:
    """One run over a source of pictures; `results()` is used once."""

    def __init__(
        self,
        *,
        open_call: Callable[[AsyncIterator[Request]], Call],
        source: Source,
        build: Callable[[ImageInput], Awaitable[Request]],
        book: StreamBook,
        window: int,
        timing: Timing,
    ) -> None:
        self._open_call = open_call
        self._source = source
        self._build = build
        self._book = book
        self._timing = timing
        # Each picture holds a slot from before it is read until its result is handed out: the bound on memory, and
        # on the two queues below.
        self._slots = asyncio.Semaphore(window)
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._outbox: asyncio.Queue[Request | None] = asyncio.Queue()
        self._call: Call | None = None
        self._reader: asyncio.Task[None] | None = None

    async def results(self) -> AsyncGenerator[StreamResult, None]:
        """Yield the results as they come; closing the generator cancels what is under way."""
        feeder = asyncio.create_task(self._feed(), name="alphacut-stream-feed")
        try:
            while True:
                for result in self._book.expired():
                    self._slots.release()
                    yield result
                self._send_due()
                if self._book.is_done:
                    break
                event = await self._next_event(self._book.wake_s())
                if isinstance(event, CallEnded):
                    self._hang_up()
                if event is not None:
                    for result in self._book.handle(event):
                        self._slots.release()
                        yield result
            await self._say_farewell()
        finally:
            feeder.cancel()
            reader = self._reader
            self._hang_up()
            if reader is not None:
                reader.cancel()
            await asyncio.gather(feeder, *([] if reader is None else [reader]), return_exceptions=True)

    def _send_due(self) -> None:
        messages = self._book.due()
        if messages and self._call is None:
            outbox: asyncio.Queue[Request | None] = asyncio.Queue()
            self._outbox = outbox
            self._call = self._open_call(_drain(outbox))
            self._reader = asyncio.create_task(self._read(self._call), name="alphacut-stream-read")
        for message in messages:
            self._outbox.put_nowait(message)

    async def _next_event(self, wake_s: float) -> Event | None:
        timeout_s = None if wake_s == NEVER else max(0.0, wake_s - self._timing.now())
        try:
            async with asyncio.timeout(timeout_s):
                return await self._events.get()
        except TimeoutError:
            return None

    async def _feed(self) -> None:
        """Read the source in its own task, so that a slow source does not hold answers back."""
        failure: Exception | None = None
        items = _as_async(self._source)
        try:
            while True:
                await self._slots.acquire()
                try:
                    item_id, image = await anext(items)
                except StopAsyncIteration:
                    break
                try:
                    self._events.put_nowait(Loaded(item_id, await self._build(image)))
                except (AlphacutError, OSError) as error:
                    self._events.put_nowait(Unreadable(item_id, error))
        except Exception as error:  # noqa: BLE001 - the source is the caller's: raised to the caller by `handle`
            failure = error
        self._events.put_nowait(SourceEnded(failure))

    async def _read(self, call: Call) -> None:
        ending = _Ending(call)
        try:
            async for reply in call:
                self._events.put_nowait(Answered(reply))
        except grpc.RpcError as error:
            self._events.put_nowait(CallEnded(ending.first or _tell(error)))
        except asyncio.CancelledError:
            # The channel was closed under the call, which the caller is told; or this task was cancelled, and nobody
            # listens any more.
            self._events.put_nowait(CallEnded(Cancelled("The client is closed.")))
            raise
        else:
            self._events.put_nowait(CallEnded(None))

    def _hang_up(self) -> None:
        """Let go of the call; its sender must not wait for ever on the outbox."""
        self._outbox.put_nowait(None)
        if self._call is not None:
            self._call.cancel()
            self._call = None

    async def _say_farewell(self) -> None:
        """End the call properly: half-close, and let the server finish it."""
        self._outbox.put_nowait(None)
        farewell_s = self._timing.now() + FAREWELL_S
        while self._call is not None:
            event = await self._next_event(farewell_s)
            if event is None or isinstance(event, CallEnded):
                break


class _Ending:
    """Keeps how a call ended first, as an error; None while it runs and when it ended well.

    A write that fails because the server has just ended the call makes grpc.aio replace the server's status by an
    INTERNAL of its own, about every second time (github.com/grpc/grpc/issues/36066; seen with grpcio 1.85.1). Its
    callbacks run as soon as the status is there, before any write can fail of it.
    """

    def __init__(self, call: Call) -> None:
        self.first: AlphacutError | None = None
        self._is_over = False
        call.add_done_callback(self._keep)

    def _keep(self, call: Call) -> None:
        if self._is_over:
            return
        self._is_over = True
        code = _result_of(call.code())
        if code is not grpc.StatusCode.OK:
            trailers = _result_of(call.trailing_metadata())
            error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, _result_of(call.details()))
            self.first = _tell(error)


def _result_of(coroutine: Awaitable[T]) -> T:
    """Return what a coroutine gives that has nothing to wait for: a callback cannot await."""
    steps = coroutine.__await__()
    try:
        next(steps)
    except StopIteration as ended:
        result: T = ended.value
        return result
    raise RuntimeError("the call is not over")


def _tell(error: grpc.RpcError) -> AlphacutError:
    """Return the error; a write that failed here is a broken connection, not a fault of the server."""
    told = from_rpc_error(error)
    if told.code is grpc.StatusCode.INTERNAL and told.message == _BROKEN_WRITE:
        return Unavailable("The connection broke while a picture was being sent.", code=told.code)
    return told


async def _drain(outbox: "asyncio.Queue[Request | None]") -> AsyncIterator[Request]:
    while (message := await outbox.get()) is not None:
        yield message


async def _as_async(source: Source) -> AsyncIterator[tuple[str, ImageInput]]:
    if isinstance(source, AsyncIterable):
        async for item in source:
            yield item
    else:
        for item in source:
            yield item
