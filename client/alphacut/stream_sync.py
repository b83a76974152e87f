"""Drives a `StreamBook` with threads: one reads the caller's pictures, one each call's answers, the caller decides."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Protocol

import grpc

from alphacut.cutout import StreamResult
from alphacut.errors import AlphacutError
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


class Call(Protocol):
    """The call under way, as gRPC gives it."""

    def __iter__(self) -> Iterator[Response]:
        """Yield the answers; raises grpc.RpcError when the call fails."""
        ...

    def cancel(self) -> object:
        """End it now."""
        ...


class SyncStream:
    """One run over a source of pictures; `results()` is used once."""

    def __init__(
        self,
        *,
        open_call: Callable[[Iterator[Request]], Call],
        source: Iterable[tuple[str, ImageInput]],
        build: Callable[[ImageInput], Request],
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
        self._slots = threading.Semaphore(window)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._call: Call | None = None
        self._closed = threading.Event()

    def results(self) -> Generator[StreamResult, None, None]:
        """Yield the results as they come; closing the generator cancels what is under way."""
        # A daemon: a source that never yields again must not keep the process.
        threading.Thread(target=self._feed, name="alphacut-stream-feed", daemon=True).start()
        try:
            while True:
                yield from self._settle(self._book.expired())
                self._send_due()
                if self._book.is_done:
                    break
                event = self._next_event(self._book.wake_s())
                if isinstance(event, CallEnded):
                    self._hang_up()
                if event is not None:
                    yield from self._settle(self._book.handle(event))
            self._say_farewell()
        finally:
            self._close()

    def _settle(self, results: list[StreamResult]) -> Iterator[StreamResult]:
        for result in results:
            self._slots.release()
            yield result

    def _send_due(self) -> None:
        messages = self._book.due()
        if messages and self._call is None:
            self._outbox = queue.SimpleQueue()
            self._call = self._open_call(iter(self._outbox.get, None))
            reader = threading.Thread(
                target=self._read, args=(self._call,), name="alphacut-stream-read", daemon=True
            )
            reader.start()
        for message in messages:
            self._outbox.put(message)

    def _next_event(self, wake_s: float) -> Event | None:
        timeout_s = None if wake_s == NEVER else max(0.0, wake_s - self._timing.now())
        try:
            return self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _feed(self) -> None:
        """Read the source in its own thread, so that a slow source does not hold answers back."""
        failure: BaseException | None = None
        try:
            items = iter(self._source)
            while True:
                self._slots.acquire()
                if self._closed.is_set():
                    return
                try:
                    item_id, image = next(items)
                except StopIteration:
                    break
                try:
                    self._events.put(Loaded(item_id, self._build(image)))
                except (AlphacutError, OSError) as error:
                    self._events.put(Unreadable(item_id, error))
        except BaseException as error:  # noqa: BLE001 - the source is the caller's: raised in the caller's thread
            failure = error
        self._events.put(SourceEnded(failure))

    def _read(self, call: Call) -> None:
        try:
            for reply in call:
                self._events.put(Answered(reply))
        except grpc.RpcError as error:
            self._events.put(CallEnded(from_rpc_error(error)))
        else:
            self._events.put(CallEnded(None))

    def _hang_up(self) -> None:
        """Let go of the call; its sender must not wait for ever on the outbox."""
        self._outbox.put(None)
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _say_farewell(self) -> None:
        """End the call properly: half-close, and let the server finish it."""
        self._outbox.put(None)
        farewell_s = self._timing.now() + FAREWELL_S
        while self._call is not None:
            event = self._next_event(farewell_s)
            if event is None or isinstance(event, CallEnded):
                break

    def _close(self) -> None:
        self._closed.set()
        self._slots.release()
        self._hang_up()
