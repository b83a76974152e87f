"""The service's methods, a few lines each: convert, hand to the pipeline, convert back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

import grpc

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import background_removal_service_pb2_grpc as service_pb2_grpc
from alphacut_server.batching.policy import Priority
from alphacut_server.deadline import Clock, Deadline
from alphacut_server.errors import InvalidOption, ModelNotReady, QueueFull
from alphacut_server.pipeline.cutout import Pipeline
from alphacut_server.pipeline.types import CutoutRequest, CutoutResult
from alphacut_server.transport.convert import MODE_DESCRIPTIONS, MODES, to_request, to_response
from alphacut_server.transport.interceptors import (
    Call,
    CallLog,
    Context,
    LastCatch,
    current_call,
    one_of_ours,
)
from alphacut_server.transport.status import to_failure

MAX_STREAM_ID_LENGTH = 256

DoneT = TypeVar("DoneT")


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What ListModels tells of one served model."""

    id: str
    description: str
    weights_license: str
    side_px: int
    provider: str
    max_batch_size: int


@dataclass(frozen=True, slots=True)
class Served:
    """What there is to serve once the models are loaded."""

    pipeline: Pipeline
    models: Sequence[ModelDescription]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long calls may take."""

    default_s: float
    """For a call that brings no deadline, and for each picture of a stream."""
    max_s: float
    """A deadline without end would stand behind every other one for ever, so none is later than this."""

    def of_call(self, remaining_s: float | None) -> float:
        """Return what a call gets whose own deadline leaves `remaining_s`; None means it has none."""
        return min(self.default_s if remaining_s is None else remaining_s, self.max_s)


class ServedSource(Protocol):
    """Where the servicer finds what is loaded; None until then."""

    @property
    def served(self) -> Served | None:
        """Return what is loaded."""
        ...


class BackgroundRemovalServicer(service_pb2_grpc.BackgroundRemovalServiceServicer):
    """BackgroundRemovalService; errors of the tree pass through to the interceptor, which knows the status codes."""

    def __init__(
        self,
        source: ServedSource,
        *,
        version: str,
        timeouts: Timeouts,
        stream_window: int,
        clock: Clock,
        log: CallLog,
    ) -> None:
        self._source = source
        self._version = version
        self._timeouts = timeouts
        self._stream_window = stream_window
        self._clock = clock
        self._log = log

    async def GetVersion(
        self, request: service_pb2.GetVersionRequest, context: Context
    ) -> service_pb2.GetVersionResponse:
        """Tell the version."""
        return service_pb2.GetVersionResponse(version=f"v{self._version}")

    async def ListModes(
        self, request: service_pb2.ListModesRequest, context: Context
    ) -> service_pb2.ListModesResponse:
        """List the modes, sorted by name."""
        modes = sorted(
            (MODES[mode].value, mode, description) for mode, description in MODE_DESCRIPTIONS.items()
        )
        return service_pb2.ListModesResponse(
            modes=[
                service_pb2.ModeInfo(mode=mode, name=name, description=description)
                for name, mode, description in modes
            ]
        )

    async def ListModels(
        self, request: service_pb2.ListModelsRequest, context: Context
    ) -> service_pb2.ListModelsResponse:
        """List what is loaded, the default first."""
        return service_pb2.ListModelsResponse(
            models=[
                service_pb2.ModelInfo(
                    name=model.id,
                    description=model.description,
                    weights_license=model.weights_license,
                    side_px=model.side_px,
                    provider=model.provider,
                    max_batch_size=model.max_batch_size,
                    is_default=index == 0,
                )
                for index, model in enumerate(self._served().models)
            ]
        )

    async def RemoveBackground(
        self, request: service_pb2.RemoveBackgroundRequest, context: Context
    ) -> service_pb2.RemoveBackgroundResponse:
        """Cut one picture."""
        call = current_call()
        cut = _as_allowed(to_request(request, call.client, Priority.INTERACTIVE), call)
        call.mode = cut.mode.value
        timeout_s = self._timeouts.of_call(context.time_remaining())
        result = await self._served().pipeline.cut(cut, Deadline.after(timeout_s, self._clock))
        return to_response(result)

    async def RemoveBackgroundStream(  # type: ignore[override]  # it writes instead of yielding; the stub knows only the latter
        self,
        request_iterator: AsyncIterator[service_pb2.RemoveBackgroundStreamRequest],
        context: Context,
    ) -> None:
        """Cut many pictures; at most `stream_window` of them are in work or wait to be read at a time."""
        window = asyncio.Semaphore(self._stream_window)
        writing = asyncio.Lock()
        remaining_s = context.time_remaining()
        stream_deadline = (
            Deadline.never() if remaining_s is None else Deadline.after(remaining_s, self._clock)
        )

        async def answer(message: service_pb2.RemoveBackgroundStreamRequest) -> None:
            try:
                response = await self._answer_one(message, stream_deadline)
                async with (
                    writing
                ):  # a slow reader holds the write, the write the window, the window the reading
                    await context.write(response)
            finally:
                window.release()

        async with asyncio.TaskGroup() as group:
            async for message in request_iterator:
                await window.acquire()
                group.create_task(answer(message))

    async def _answer_one(
        self, message: service_pb2.RemoveBackgroundStreamRequest, stream_deadline: Deadline
    ) -> service_pb2.RemoveBackgroundStreamResponse:
        try:
            if len(message.id) > MAX_STREAM_ID_LENGTH:
                raise InvalidOption("id", f"id may have at most {MAX_STREAM_ID_LENGTH} characters.")
            call = current_call()
            cut = _as_allowed(to_request(message.request, call.client, Priority.BULK), call)
            own = Deadline.after(self._timeouts.default_s, self._clock)
            result = await self._cut_patiently(cut, min(own, stream_deadline, key=lambda one: one.at_s))
        except Exception as error:  # noqa: BLE001  the last catch again, for one picture: its neighbours go on
            ours = one_of_ours(error)
            failure = to_failure(ours, current_call().request_id)
            self._log.failed(ours, failure)
            return service_pb2.RemoveBackgroundStreamResponse(
                id=message.id[:MAX_STREAM_ID_LENGTH], error=failure.status
            )
        return service_pb2.RemoveBackgroundStreamResponse(id=message.id, response=to_response(result))

    async def _cut_patiently(self, cut: CutoutRequest, deadline: Deadline) -> CutoutResult:
        """Cut, waiting for a place: a stream has flow control, so a full queue slows it down instead of failing it."""
        pipeline = self._served().pipeline
        # Fetched but once, however often a place has to be asked for.
        files = await self._patiently(partial(pipeline.fetch, cut, deadline), deadline)
        return await self._patiently(partial(pipeline.cut, cut, deadline, files), deadline)

    async def _patiently(self, attempt: Callable[[], Awaitable[DoneT]], deadline: Deadline) -> DoneT:
        """Try until there is room, or until the deadline would pass before the next attempt."""
        while True:
            try:
                return await attempt()
            except QueueFull as full:
                if deadline.remaining_s(self._clock.now()) <= full.retry_after_s:
                    raise
                await asyncio.sleep(full.retry_after_s)

    def _served(self) -> Served:
        served = self._source.served
        if served is None:
            raise ModelNotReady("The model is being loaded; try again in a moment.", 1.0)
        return served


def _as_allowed(cut: CutoutRequest, call: Call) -> CutoutRequest:
    """Return the request with the priority that the call's key allows."""
    if call.key is None or not call.key.is_bulk:
        return cut
    return replace(cut, priority=Priority.BULK)


def add_to(server: grpc.aio.Server, servicer: BackgroundRemovalServicer, guard: LastCatch) -> None:
    """Register the service, every method behind the guard."""
    for method in service_pb2.DESCRIPTOR.services_by_name["BackgroundRemovalService"].methods:
        setattr(servicer, method.name, guard.wrap(method.name, getattr(servicer, method.name)))
    service_pb2_grpc.add_BackgroundRemovalServiceServicer_to_server(servicer, server)
