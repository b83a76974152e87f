"""gRPC health, per service and per model; once shutdown has begun nothing serves again (a one-way door)."""

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio

SERVICE = "alphacut.v1.BackgroundRemovalService"


class HealthState:
    """Serving state of the server, the service and each model (`alphacut.v1.BackgroundRemovalService/<model>`)."""

    def __init__(self) -> None:
        self.servicer = health_aio.HealthServicer()
        self.is_over = False
        """Whether shutdown has begun."""

    async def begin(self) -> None:
        """Say NOT_SERVING; to be called before the port opens, for the library says SERVING from construction."""
        for name in ("", SERVICE):
            await self.servicer.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)

    async def ready(self, models: tuple[str, ...]) -> None:
        """Say SERVING for everything; without effect once shutdown has begun."""
        for name in ("", SERVICE, *(f"{SERVICE}/{model}" for model in models)):
            await self.servicer.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def shut_down(self) -> None:
        """Say NOT_SERVING for ever."""
        self.is_over = True
        await self.servicer.enter_graceful_shutdown()
