"""What the gateway asks of the gRPC server behind it."""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from alphacut.cutout import ModeInfo
from alphacut.session import Metadata
from alphacut.v1 import background_removal_service_pb2 as service_pb2


class Backend(Protocol):
    """The part of `alphacut.AsyncClient` that the gateway uses. Failed calls raise AlphacutError."""

    async def version(self, *, metadata: Metadata = ()) -> str:
        """Return the server's version, as v1.2.3."""
        ...

    async def modes(self, *, metadata: Metadata = ()) -> Sequence[ModeInfo]:
        """Return the modes the server serves."""
        ...

    async def send(
        self, request: service_pb2.RemoveBackgroundRequest, *, metadata: Metadata = ()
    ) -> service_pb2.RemoveBackgroundResponse:
        """Cut a picture; cancelling the task cancels the call on the server."""
        ...

    async def is_serving(self, *, timeout_s: float) -> bool:
        """Tell whether the server would cut a picture now; False when it cannot be reached or says nothing in time."""
        ...


class NotReady(Enum):
    """Why /readyz says no; the value is what it answers."""

    DRAINING = "this gateway is shutting down"
    SERVER_NOT_SERVING = "the server is starting, shutting down or unreachable"
