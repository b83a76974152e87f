"""The client for programs without an event loop; safe to share between threads."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar, Unpack

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from alphacut import health, wire
from alphacut.channel import DEFAULT_TARGET, Tls, channel_arguments, resolve_target
from alphacut.cutout import Cutout, ModeInfo, ModelInfo, StreamResult
from alphacut.errors import AlphacutError, Cancelled
from alphacut.options import Mode, Options, OptionWords, choose
from alphacut.pictures import ImageInput, load_picture
from alphacut.retry import RetryPolicy, Timing, call_with_retry
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
from alphacut.stream_sync import Call, SyncStream
from alphacut.streaming import StreamBook
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class Client:
    """A connection to an alphacut server.

    with Client("cutouts.internal:50051") as client:
        client.remove_background("photo.jpg").save("photo.png")

    target: HOST:PORT, [IPv6]:PORT, unix:PATH or any gRPC target; a host's every address is used in turn.
    timeout_s: what a call may take altogether, retries included, unless the call says otherwise; math.inf for ever.
    retry: how often and when failed calls are sent again. api_key: sent with every call. tls: None is plain text.
    Connects at the first call. Every method raises AlphacutError.
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
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._session = Session(
            target=target,
            timeout_s=timeout_s,
            retry=retry or RetryPolicy(),
            api_key=api_key,
            tls=tls,
            timing=timing or Timing(),
        )
        self._closed = threading.Event()
        # Waiting for a retry ends when another thread closes the client.
        self._sleep: Callable[[float], object] = sleep or self._closed.wait
        resolved = resolve_target(target)
        arguments = channel_arguments(resolved, tls)
        if tls is None:
            self._channel = grpc.insecure_channel(resolved, arguments)
        else:
            self._channel = grpc.secure_channel(resolved, tls.credentials(), arguments)
        self._stub = BackgroundRemovalServiceStub(self._channel)
        self._check: health.Check = self._channel.unary_unary(
            health.CHECK, StringValue.SerializeToString, Int32Value.FromString
        )

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way in other threads end with Cancelled. May be called again."""
        self._closed.set()
        self._channel.close()

    def remove_background(
        self,
        image: ImageInput,
        options: Options | None = None,
        *,
        name: str | None = None,
        timeout_s: float | None = None,
        metadata: Metadata = (),
        **words: Unpack[OptionWords],
    ) -> Cutout:
        """Cut one picture.

        image: a path, a file's bytes, a URL (http or https, fetched by the server), a uint8 array (H, W, 3), (H, W, 4)
        or (H, W) in RGB order, or a PIL image. A str from strangers goes in as `Url(text)`: never read as a file here.
        options, words: every field of `Options` is a keyword here, too, and wins over `options`: mode, quality, model,
        background, format, crop_margin, priority. name: echoed in the reply, by default the file's, or what the server
        makes of the URL. Raises OSError for a file that cannot be read.
        """
        chosen = choose(options, words)
        request = wire.build_request(image, name, chosen)
        reply = self.send(request, timeout_s=timeout_s, metadata=metadata)
        return wire.to_cutout(reply, Mode(chosen.mode))

    def send(
        self,
        request: service_pb2.RemoveBackgroundRequest,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> service_pb2.RemoveBackgroundResponse:
        """Send a request built by hand, with the same deadline, retries and errors."""
        return self._call(self._stub.RemoveBackground, request, timeout_s, metadata)

    def remove_background_stream(
        self,
        images: Iterable[tuple[str, ImageInput]],
        options: Options | None = None,
        *,
        window: int = DEFAULT_WINDOW,
        timeout_s: float = DEFAULT_STREAM_TIMEOUT_S,
        metadata: Metadata = (),
        **words: Unpack[OptionWords],
    ) -> Generator[StreamResult, None, None]:
        """Cut many pictures on one call; yields a result for each (id, image), as they are ready, out of order.

        At most `window` pictures are under way, so memory is bounded however many there are and however slowly the
        results are taken. `timeout_s` is for each picture, from its being read. A picture that fails, on the server or
        because its file cannot be read, yields a result with an error; what ends everything (no server, a wrong key,
        an exception of `images` itself) is raised. A broken connection is made anew, and what was unanswered sent
        again. `images` is read by another thread. One stream keeps to one replica; for several, call
        `remove_background` from several threads.
        Options and keywords are those of `remove_background`, the same for every picture; a background picture is read
        once, at this call, and sent with each.
        """
        check_timeout(timeout_s)
        if window < 1:
            raise ValueError(f"window must be at least 1, not {window}")
        recipe = wire.prepare(choose(options, words))

        def build(image: ImageInput) -> service_pb2.RemoveBackgroundStreamRequest:
            message = service_pb2.RemoveBackgroundStreamRequest()
            wire.fill_request(message.request, load_picture(image), recipe)
            return message

        def open_call(
            messages: Iterator[service_pb2.RemoveBackgroundStreamRequest],
        ) -> Call:
            return self._guard(
                lambda: self._stub.RemoveBackgroundStream(messages, metadata=self._session.metadata(metadata))
            )

        return SyncStream(
            open_call=open_call,
            source=images,
            build=build,
            book=StreamBook(self._session.retry, timeout_s, self._session.timing),
            window=window,
            timing=self._session.timing,
        ).results()

    def version(self, *, timeout_s: float | None = None, metadata: Metadata = ()) -> str:
        """Return the server's version, as v1.2.3."""
        return self._call(self._stub.GetVersion, service_pb2.GetVersionRequest(), timeout_s, metadata).version

    def modes(self, *, timeout_s: float | None = None, metadata: Metadata = ()) -> tuple[ModeInfo, ...]:
        """Return the modes the server serves, sorted by name."""
        return wire.to_modes(
            self._call(self._stub.ListModes, service_pb2.ListModesRequest(), timeout_s, metadata)
        )

    def models(self, *, timeout_s: float | None = None, metadata: Metadata = ()) -> tuple[ModelInfo, ...]:
        """Return the models the server serves, the default first."""
        return wire.to_models(
            self._call(self._stub.ListModels, service_pb2.ListModelsRequest(), timeout_s, metadata)
        )

    def is_serving(self, service: str = health.SERVICE, *, timeout_s: float = 5.0) -> bool:
        """Tell whether the server would cut a picture now; asked once, and False when it cannot be reached."""
        check_timeout(timeout_s)
        request = health.request_for(service)
        try:
            reply = self._guard(lambda: self._check(request, timeout=grpc_timeout(timeout_s)))
        except AlphacutError:
            return False
        return health.is_serving(reply)

    def _call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[RequestT, ResponseT]",
        request: RequestT,
        timeout_s: float | None,
        metadata: Metadata,
    ) -> ResponseT:
        carried = self._session.metadata(metadata)

        def attempt(remaining_s: float) -> ResponseT:
            return self._guard(lambda: method(request, timeout=grpc_timeout(remaining_s), metadata=carried))

        session = self._session
        return call_with_retry(
            attempt, session.retry, session.timeout_for(timeout_s), session.timing, self._sleep
        )

    def _guard(self, call: Callable[[], ResponseT]) -> ResponseT:
        """Return what the call returns; gRPC's exceptions become ours."""
        if self._closed.is_set():
            raise Cancelled("The client is closed.")
        try:
            return call()
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        except ValueError as error:
            # What gRPC raises when another thread closed the channel in between.
            if self._closed.is_set():
                raise Cancelled("The client is closed.") from error
            raise
