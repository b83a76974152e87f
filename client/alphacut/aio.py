"""The client for programs with an event loop; belongs to the loop of its first call."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

import grpc
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from alphacut import health, wire
from alphacut.channel import DEFAULT_TARGET, Tls, channel_arguments, resolve_target
from alphacut.cutout import Cutout, ModeInfo, ModelInfo, StreamResult
from alphacut.errors import AlphacutError, Cancelled
from alphacut.options import Mode, Options, OptionWords, choose
from alphacut.pictures import ImageInput, load_picture
from alphacut.retry import RetryPolicy, Timing, call_with_retry_async
from alphacut.session import (
    DEFAULT_STREAM_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    DEFAULT_WINDOW,
    Metadata,
    Session,
    check_timeout,
    grpc_timeout,
)
from alphacut.status import from_rpc_error
from alphacut.stream_aio import AsyncStream, Call, Source
from alphacut.streaming import StreamBook
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub

if TYPE_CHECKING:
    from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceAsyncStub

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


class AsyncClient:
    """A connection to an alphacut server, for asyncio.

    async with AsyncClient("cutouts.internal:50051") as client:
        (await client.remove_background("photo.jpg")).save("photo.png")

    target: HOST:PORT, [IPv6]:PORT, unix:PATH or any gRPC target; a host's every address is used in turn.
    timeout_s: what a call may take altogether, retries included, unless the call says otherwise; math.inf for ever.
    retry: how often and when failed calls are sent again. api_key: sent with every call. tls: None is plain text.
    Connects at the first call. Every method raises AlphacutError; cancelling its task cancels the call on the server.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retry: RetryPolicy | None = None,
        api_key: str | None = None,
        tls: Tls | None = None,
        timing: Timing | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._session = Session(
            target=target,
            timeout_s=timeout_s,
            retry=retry or RetryPolicy(),
            api_key=api_key,
            tls=tls,
            timing=timing or Timing(),
        )
        self._sleep = sleep
        self._closed = asyncio.Event()
        self._open_channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way in other tasks end with Cancelled. May be called again."""
        self._closed.set()
        if self._open_channel is not None:
            await self._open_channel.close()

    async def remove_background(
        self,
        image: ImageInput,
        options: Options | None = None,
        *,
        name: str | None = None,
        timeout_s: float | None = None,
        metadata: Metadata = (),
        **words: Unpack[OptionWords],
    ) -> Cutout:
        """Cut one picture; takes and gives what `Client.remove_background` does. Files are read off the loop."""
        chosen = choose(options, words)
        request = await asyncio.to_thread(wire.build_request, image, name, chosen)
        reply = await self.send(request, timeout_s=timeout_s, metadata=metadata)
        return wire.to_cutout(reply, Mode(chosen.mode))

    async def send(
        self,
        request: service_pb2.RemoveBackgroundRequest,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> service_pb2.RemoveBackgroundResponse:
        """Send a request built by hand, with the same deadline, retries and errors."""
        return await self._call(self._stub.RemoveBackground, request, timeout_s, metadata)

    def remove_background_stream(
        self,
        images: Source,
        options: Options | None = None,
        *,
        window: int = DEFAULT_WINDOW,
        timeout_s: float = DEFAULT_STREAM_TIMEOUT_S,
        metadata: Metadata = (),
        **words: Unpack[OptionWords],
    ) -> AsyncGenerator[StreamResult, None]:
        """Cut many pictures on one call, as `Client.remove_background_stream` does.

        `images` may be a plain or an asynchronous iterable of (id, image). A background picture is read before the first
        result. Leave the loop over the results early only under `contextlib.aclosing`, or what is under way is cancelled
        late.
        """
        check_timeout(timeout_s)
        if window < 1:
            raise ValueError(f"window must be at least 1, not {window}")
        chosen = choose(options, words)

        def open_call(messages: AsyncIterator[service_pb2.RemoveBackgroundStreamRequest]) -> Call:
            if self._closed.is_set():
                raise Cancelled("The client is closed.")
            return self._stub.RemoveBackgroundStream(messages, metadata=self._session.metadata(metadata))

        async def results() -> AsyncGenerator[StreamResult, None]:
            recipe = await asyncio.to_thread(wire.prepare, chosen)

            async def build(image: ImageInput) -> service_pb2.RemoveBackgroundStreamRequest:
                message = service_pb2.RemoveBackgroundStreamRequest()
                picture = await asyncio.to_thread(load_picture, image)
                wire.fill_request(message.request, picture, recipe)
                return message

            stream = AsyncStream(
                open_call=open_call,
                source=images,
                build=build,
                book=StreamBook(self._session.retry, timeout_s, self._session.timing),
                window=window,
                timing=self._session.timing,
            )
            async with aclosing(stream.results()) as settled:
                async for result in settled:
                    yield result

        return results()

    async def version(self, *, timeout_s: float | None = None, metadata: Metadata = ()) -> str:
        """Return the server's version, as v1.2.3."""
        reply = await self._call(self._stub.GetVersion, service_pb2.GetVersionRequest(), timeout_s, metadata)
        return reply.version

    async def modes(self, *, timeout_s: float | None = None, metadata: Metadata = ()) -> tuple[ModeInfo, ...]:
        """Return the modes the server serves, sorted by name."""
        return wire.to_modes(
            await self._call(self._stub.ListModes, service_pb2.ListModesRequest(), timeout_s, metadata)
        )

    async def models(
        self, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> tuple[ModelInfo, ...]:
        """Return the models the server serves, the default first."""
        return wire.to_models(
            await self._call(self._stub.ListModels, service_pb2.ListModelsRequest(), timeout_s, metadata)
        )

    async def is_serving(self, service: str = health.SERVICE, *, timeout_s: float = 5.0) -> bool:
        """Tell whether the server would cut a picture now; asked once, and False when it cannot be reached."""
        check_timeout(timeout_s)
        check: grpc.aio.UnaryUnaryMultiCallable[StringValue, Int32Value] = self._channel.unary_unary(
            health.CHECK, StringValue.SerializeToString, Int32Value.FromString
        )
        try:
            reply = await self._guard(
                lambda: check(health.request_for(service), timeout=grpc_timeout(timeout_s))
            )
        except AlphacutError:
            return False
        return health.is_serving(reply)

    @property
    def _channel(self) -> grpc.aio.Channel:
        """The channel, made at the first call: before it there may be no event loop to bind to."""
        if self._open_channel is None:
            resolved = resolve_target(self._session.target)
            tls = self._session.tls
            arguments = channel_arguments(resolved, tls)
            self._open_channel = (
                grpc.aio.insecure_channel(resolved, arguments)
                if tls is None
                else grpc.aio.secure_channel(resolved, tls.credentials(), arguments)
            )
        return self._open_channel

    @property
    def _stub(self) -> "BackgroundRemovalServiceAsyncStub":
        return BackgroundRemovalServiceStub(self._channel)

    async def _call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout_s: float | None,
        metadata: Metadata,
    ) -> ResponseT:
        session = self._session
        carried = session.metadata(metadata)

        async def attempt(remaining_s: float) -> ResponseT:
            return await self._guard(
                lambda: method(request, timeout=grpc_timeout(remaining_s), metadata=carried)
            )

        return await call_with_retry_async(
            attempt, session.retry, session.timeout_for(timeout_s), session.timing, self._sleep
        )

    async def _guard(self, call: Callable[[], Awaitable[ResponseT]]) -> ResponseT:
        """Return what the call returns; gRPC's exceptions become ours, this task's own cancellation stays."""
        if self._closed.is_set():
            raise Cancelled("The client is closed.")
        try:
            return await call()
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        except asyncio.CancelledError as error:
            # gRPC raises the same when another task closed the channel; nobody asked this task to end.
            task = asyncio.current_task()
            if self._closed.is_set() and (task is None or not task.cancelling()):
                raise Cancelled("The client is closed.") from error
            raise
