"""A scripted BackgroundRemovalService behind a real loopback socket, for tests of its callers.

`python -m support.fake_service PORT [hold]` serves it in a process of its own, for tests that kill it.
"""

import hashlib
import io
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from PIL import Image

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import background_removal_service_pb2_grpc as service_grpc
from alphacut.v1 import image_pb2, options_pb2

Request = service_pb2.RemoveBackgroundRequest
Response = service_pb2.RemoveBackgroundResponse
StreamRequest = service_pb2.RemoveBackgroundStreamRequest
StreamResponse = service_pb2.RemoveBackgroundStreamResponse
# The generated servicer's context is both the sync and the aio one, which no annotation of ours can name.
Context = Any
Step = Callable[[Request, Context], Response]
StreamStep = Callable[[Iterator[StreamRequest], Context], Iterator[StreamResponse]]

SERVICE = "alphacut.v1.BackgroundRemovalService"
WIDTH, HEIGHT = 4, 3


_PIL_FORMATS: dict[int, str] = {
    image_pb2.IMAGE_FORMAT_PNG: "PNG",
    image_pb2.IMAGE_FORMAT_WEBP: "WEBP",
    image_pb2.IMAGE_FORMAT_JPEG: "JPEG",
}


def make_file(
    content: bytes,
    mode: int,
    image_format: int,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    alpha: int | None = None,
) -> bytes:
    """Return the cut-out the fake answers for a picture: a colour derived from its bytes, so that a mix-up shows.

    size: width and height, px. alpha: in place of one derived from the bytes.
    """
    red, green, blue, opacity = hashlib.md5(content).digest()[:4]
    opacity = opacity if alpha is None else alpha
    image = (
        Image.new("L", size, red)
        if mode == options_pb2.MODE_FG_MASK
        else Image.new("RGBA", size, (red, green, blue, opacity))
    )
    if image_format == image_pb2.IMAGE_FORMAT_JPEG and image.mode == "RGBA":
        image = image.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, _PIL_FORMATS[image_format], lossless=True)
    return buffer.getvalue()


def make_png(content: bytes, mode: int = options_pb2.MODE_FG_IMAGE) -> bytes:
    """Return the whole cut-out of a picture as the fake answers it by default."""
    return make_file(content, mode, image_pb2.IMAGE_FORMAT_PNG)


def answer(request: Request, context: Context = None) -> Response:
    """Answer as the service does; what a URL holds is its own text."""
    is_url = request.image.WhichOneof("source") == "url"
    content = request.image.url.encode() if is_url else request.image.content
    image_format = request.output.format or image_pb2.IMAGE_FORMAT_PNG
    box = image_pb2.Box(x=0.25, y=0.0, width=0.5, height=1.0)
    # Margins are the real server's to lay out; the fake cuts to the box.
    width = int(WIDTH * box.width) if request.output.HasField("crop") else WIDTH
    return Response(
        image=image_pb2.OutputImage(
            content=make_file(content, request.mode, image_format, (width, HEIGHT)),
            format=image_format,
            width=width,
            height=HEIGHT,
        ),
        objects=[image_pb2.DetectedObject(box=box)],
        name=request.image.name or (request.image.url.rpartition("/")[2] if is_url else ""),
        md5=hashlib.md5(content).hexdigest(),
        width=WIDTH,
        height=HEIGHT,
        model=request.model or "fake",
        batch_size=2,
        timings=[
            service_pb2.StageTiming(stage="inference", duration=duration_pb2.Duration(nanos=250_000_000))
        ],
    )


def make_status(
    code: grpc.StatusCode,
    message: str = "It failed.",
    *,
    reason: str = "",
    domain: str = "alphacut",
    metadata: dict[str, str] | None = None,
    retry_after_s: float | None = None,
    field: str = "",
    request_id: str = "",
) -> status_pb2.Status:
    """Return a status with the details that fit, packed by the official classes."""
    status = status_pb2.Status(code=code.value[0], message=message)
    details: list[Any] = []
    if reason:
        details.append(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata or {}))
    if retry_after_s is not None:
        delay = duration_pb2.Duration(seconds=int(retry_after_s), nanos=round(retry_after_s % 1 * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if request_id:
        details.append(error_details_pb2.RequestInfo(request_id=request_id))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def fail(status: status_pb2.Status) -> Step:
    """Return a step that fails the call with the status."""

    def step(request: Request, context: Context) -> Response:
        context.abort_with_status(rpc_status.to_status(status))
        raise AssertionError("abort raises")

    return step


def fail_plainly(code: grpc.StatusCode, message: str = "no details") -> Step:
    """Return a step that fails the call without any details, as a proxy does."""

    def step(request: Request, context: Context) -> Response:
        context.abort(code, message)
        raise AssertionError("abort raises")

    return step


UNAVAILABLE = make_status(grpc.StatusCode.UNAVAILABLE, "Draining.", reason="DRAINING")
NOT_LOADABLE = make_status(grpc.StatusCode.INVALID_ARGUMENT, "Can't load image.", reason="IMAGE_NOT_LOADABLE")


def answer_in_order(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
    """Answer each picture of a stream as it comes."""
    for each in requests:
        yield StreamResponse(id=each.id, response=answer(each.request))


def answer_backwards(size: int) -> StreamStep:
    """Return a step that answers in groups of `size`, the last of each first."""

    def step(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
        group: list[StreamRequest] = []
        for each in requests:
            group.append(each)
            if len(group) == size:
                yield from (
                    StreamResponse(id=one.id, response=answer(one.request)) for one in reversed(group)
                )
                group.clear()
        yield from (StreamResponse(id=one.id, response=answer(one.request)) for one in reversed(group))

    return step


class Hold:
    """A step that waits: `arrived` is set when a call is in it, and it answers once `release` is set."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.release = threading.Event()
        self.cancelled = threading.Event()

    def __call__(self, request: Request, context: Context) -> Response:
        """Wait, then answer; a cancelled call stops waiting."""

        def end() -> None:
            if not self.release.is_set():
                self.cancelled.set()
            self.release.set()

        context.add_callback(end)
        self.arrived.set()
        self.release.wait(60)
        return answer(request)


class FakeService(service_grpc.BackgroundRemovalServiceServicer):
    """Answers by script, one step a call; an empty script answers well. Keeps what it was asked."""

    def __init__(self) -> None:
        self.script: deque[Step] = deque()
        self.stream_script: deque[StreamStep] = deque()
        self.version_script: deque[Step] = deque()
        self.requests: list[Request] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self.streams: queue.SimpleQueue[str] = queue.SimpleQueue()

    def RemoveBackground(self, request: Request, context: Context) -> Response:
        """Do the script's next step."""
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        step = self.script.popleft() if self.script else answer
        return step(request, context)

    def RemoveBackgroundStream(
        self, request_iterator: Iterator[StreamRequest], context: Context
    ) -> Iterator[StreamResponse]:
        """Do the stream script's next step."""
        self.metadata.append(dict(context.invocation_metadata()))
        step = self.stream_script.popleft() if self.stream_script else answer_in_order
        return step(request_iterator, context)

    def GetVersion(
        self, request: service_pb2.GetVersionRequest, context: Context
    ) -> service_pb2.GetVersionResponse:
        """Answer v1.2.3, unless scripted to fail."""
        self.metadata.append(dict(context.invocation_metadata()))
        if self.version_script:
            self.version_script.popleft()(Request(), context)
        return service_pb2.GetVersionResponse(version="v1.2.3")

    def ListModes(
        self, request: service_pb2.ListModesRequest, context: Context
    ) -> service_pb2.ListModesResponse:
        """Answer two modes."""
        return service_pb2.ListModesResponse(
            modes=[
                service_pb2.ModeInfo(
                    mode=options_pb2.MODE_FG_IMAGE, name="fg-image", description="The foreground."
                ),
                service_pb2.ModeInfo(mode=options_pb2.MODE_FG_MASK, name="fg-mask", description="Its alpha."),
            ]
        )

    def ListModels(
        self, request: service_pb2.ListModelsRequest, context: Context
    ) -> service_pb2.ListModelsResponse:
        """Answer one model."""
        model = service_pb2.ModelInfo(
            name="fake",
            description="For tests.",
            weights_license="none",
            side_px=320,
            provider="cpu",
            max_batch_size=2,
            is_default=True,
        )
        return service_pb2.ListModelsResponse(models=[model])


class FakeServer:
    """The fake service on a port of the loopback, or on any address; a context manager."""

    def __init__(
        self,
        service: FakeService | None = None,
        *,
        address: str = "127.0.0.1:0",
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self.service = service or FakeService()
        self.health = health.HealthServicer()
        self._server = grpc.server(
            ThreadPoolExecutor(32),
            options=[("grpc.max_receive_message_length", 64 << 20), ("grpc.so_reuseport", 0)],
        )
        service_grpc.add_BackgroundRemovalServiceServicer_to_server(self.service, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        self.port = (
            self._server.add_insecure_port(address)
            if credentials is None
            else self._server.add_secure_port(address, credentials)
        )
        self.target = address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{self.port}"
        self.set_serving(True)
        self._server.start()

    def set_serving(self, is_serving: bool) -> None:
        """Set what health answers for the service."""
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if is_serving
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        self.health.set(SERVICE, status)
        self.health.set("", status)

    def stop(self) -> None:
        """Stop at once, cancelling what runs."""
        self._server.stop(None).wait()

    def __enter__(self) -> Self:
        """Return the server, which runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()


def run() -> None:
    """Serve until killed; with `hold`, never answer a picture, and say on stdout when one has come."""

    def hold_for_ever(request: Request, context: Context) -> Response:
        sys.stdout.write("arrived\n")
        sys.stdout.flush()
        threading.Event().wait()
        raise AssertionError("never released")

    server = FakeServer(address=f"127.0.0.1:{sys.argv[1]}")
    if "hold" in sys.argv:
        server.service.script.extend([hold_for_ever] * 64)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    run()
