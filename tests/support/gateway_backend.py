"""A gRPC server as the gateway sees it, without one, and a gateway before it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from alphacut.cutout import ModeInfo
from alphacut.errors import Unavailable
from alphacut.session import Metadata
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2
from alphacut_gateway.app import create_app
from alphacut_gateway.intake import BodyLimits
from alphacut_gateway.metrics import Metrics
from alphacut_gateway.room import Room, RoomLimits
from alphacut_gateway.traffic import Traffic

MD5 = "900150983cd24fb0d6963f7d28e17f72"
PATIENT = BodyLimits(upload_timeout_s=30, min_bytes_per_s=1, grace_s=30)


class FakeBackend:
    """Answers as told, keeps what calls carried, and can hold calls back.

    failure: raised by every call but is_serving, which never raises. hold: makes calls wait until `release` is set.
    response: what a picture is answered.
    """

    def __init__(
        self,
        *,
        serves: bool = True,
        failure: Exception | None = None,
        hold: bool = False,
        response: service_pb2.RemoveBackgroundResponse | None = None,
    ) -> None:
        self.serves = serves
        self.failure = failure
        self.response = response or cut_picture()
        self.carried: list[Metadata] = []
        self.requests: list[service_pb2.RemoveBackgroundRequest] = []
        self.asked_timeout_s: list[float] = []
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.was_cancelled = False
        if not hold:
            self.release.set()

    async def version(self, *, metadata: Metadata = ()) -> str:
        """Return v1.2.3."""
        await self._answer(metadata)
        return "v1.2.3"

    async def modes(self, *, metadata: Metadata = ()) -> Sequence[ModeInfo]:
        """Return the three modes, unsorted."""
        await self._answer(metadata)
        return [ModeInfo(name, "") for name in ("fg-mask", "fg-image", "fg-image-shadow")]

    async def send(
        self, request: service_pb2.RemoveBackgroundRequest, *, metadata: Metadata = ()
    ) -> service_pb2.RemoveBackgroundResponse:
        """Return what was told."""
        self.requests.append(request)
        await self._answer(metadata)
        return self.response

    async def is_serving(self, *, timeout_s: float) -> bool:
        """Return what was told."""
        self.asked_timeout_s.append(timeout_s)
        return self.serves

    async def _answer(self, metadata: Metadata) -> None:
        self.carried.append(metadata)
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if self.failure is not None:
            raise self.failure


def cut_picture(
    content: bytes = b"\x89PNG cut",
    *,
    name: str = "",
    box: tuple[float, float, float, float] | None = (0.125, 0.37, 2 / 3, 0.456),
    image_format: "image_pb2.ImageFormat.ValueType" = image_pb2.IMAGE_FORMAT_PNG,
) -> service_pb2.RemoveBackgroundResponse:
    """Return what a server answers to a picture of 1024x768 px; `name` is what it derived from a URL."""
    response = service_pb2.RemoveBackgroundResponse(
        image=image_pb2.OutputImage(content=content, format=image_format, width=1024, height=768),
        name=name,
        md5=MD5,
        width=1024,
        height=768,
    )
    if box is not None:
        x, y, width, height = box
        response.objects.add(box=image_pb2.Box(x=x, y=y, width=width, height=height))
    for stage, nanos in (("decode", 4_200_000), ("inference", 61_000_000)):
        response.timings.add(stage=stage).duration.nanos = nanos
    return response


def gateway_app(
    backend: FakeBackend,
    *,
    traffic: Traffic | None = None,
    registry: CollectorRegistry | None = None,
    room: Room | None = None,
    body_limits: BodyLimits = PATIENT,
) -> Starlette:
    """Return a gateway before the backend, ample and patient if not told otherwise."""
    return create_app(
        backend=backend,
        traffic=traffic or Traffic(),
        metrics=Metrics(registry or CollectorRegistry()),
        room=room or Room(RoomLimits(max_bytes=1 << 30, max_waiting=10, timeout_s=5)),
        body_limits=body_limits,
        ready_timeout_s=0.5,
    )


@asynccontextmanager
async def calling(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Give an HTTP client of an application, without a socket."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


def unreachable() -> Unavailable:
    """Return what the client raises for a server that is not there, address and all."""
    return Unavailable("The server cannot be reached: failed to connect to ipv4:10.0.0.7:50051")
