"""The gateway's life in one process: open the ports, serve, and on the first signal drain and end."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from prometheus_client import CollectorRegistry, start_http_server
from starlette.types import ASGIApp

from alphacut import AsyncClient, RetryPolicy, Tls
from alphacut_gateway.app import create_app
from alphacut_gateway.delivery import Deliver
from alphacut_gateway.http_protocol import ConnectionLimits, protocol_with
from alphacut_gateway.intake import BodyLimits
from alphacut_gateway.metrics import Metrics
from alphacut_gateway.room import Room, RoomLimits
from alphacut_gateway.settings import GatewaySection
from alphacut_gateway.traffic import Traffic
from alphacut_service.addresses import open_listener, port_unusable
from alphacut_service.signals import stop_requested

log = logging.getLogger(__name__)

# Enough to step over one replica that is just leaving; more would keep the HTTP caller from its 503.
RETRY = RetryPolicy(max_attempts=3)
# What is still open after our own drain is cut; uvicorn wants whole seconds.
CUT_TIMEOUT_S = 1


class TlsFileUnreadable(Exception):
    """A certificate or key cannot be read; the message names the file."""


async def serve(settings: GatewaySection) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises PortUnusable and TlsFileUnreadable."""
    registry = CollectorRegistry()
    traffic, metrics = Traffic(), Metrics(registry)
    with stop_requested() as stop, _metrics_endpoint(settings, registry):
        room = Room(room_limits(settings))
        metrics.watch_room(room)
        async with _connect(settings) as client:
            listener = open_listener(settings.host, settings.http_port, setting="ALPHACUT_HTTP_PORT")
            app = create_app(
                backend=client,
                traffic=traffic,
                metrics=metrics,
                room=room,
                body_limits=body_limits(settings),
                ready_timeout_s=settings.ready_timeout_ms / 1000,
            )
            delivery = Deliver(app)
            server = _HttpServer(_http_config(delivery, settings))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            log.info("gateway_started", extra=_started_fields(settings, listener))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            await _drain(settings, traffic)
            server.should_exit = True
            delivery.stop_lingering()
            await serving
    log.info("gateway_stopped")


async def _drain(settings: GatewaySection, traffic: Traffic) -> None:
    log.info("drain_started", extra={"in_work": traffic.in_work})
    traffic.begin_leaving()
    await asyncio.sleep(settings.drain_delay_ms / 1000)
    is_drained = await traffic.drain(settings.drain_timeout_ms / 1000)
    if not is_drained:
        log.warning("drain_cut_short", extra={"in_work": traffic.in_work})


@contextmanager
def _metrics_endpoint(settings: GatewaySection, registry: CollectorRegistry) -> Iterator[None]:
    """Answer /metrics on its own port, in a thread, until the block ends; port 0 means not at all."""
    if settings.metrics_port == 0:
        yield
        return
    try:
        server, thread = start_http_server(settings.metrics_port, settings.host, registry)
    except OSError as error:
        raise port_unusable(
            error, settings.host, settings.metrics_port, setting="ALPHACUT_GATEWAY_METRICS_PORT"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _connect(settings: GatewaySection) -> AsyncClient:
    tls = _tls(settings) if settings.is_tls else None
    return AsyncClient(
        settings.server_target, timeout_s=settings.call_timeout_ms / 1000, retry=RETRY, tls=tls
    )


def _tls(settings: GatewaySection) -> Tls:
    try:
        return Tls.from_files(
            ca=settings.tls_ca_file,
            certificate=settings.tls_cert_file,
            key=settings.tls_key_file,
            server_name=settings.tls_server_name,
        )
    except OSError as error:
        raise TlsFileUnreadable(f"{error.filename}: {error.strerror}") from error


def body_limits(settings: GatewaySection) -> BodyLimits:
    """Return what the settings say of a request's body."""
    return BodyLimits(
        upload_timeout_s=settings.upload_timeout_ms / 1000,
        grace_s=settings.upload_grace_ms / 1000,
        min_bytes_per_s=settings.min_upload_bytes_per_s,
    )


def room_limits(settings: GatewaySection) -> RoomLimits:
    """Return what the settings say of the memory for requests."""
    return RoomLimits(
        max_bytes=settings.max_inflight_bytes,
        max_waiting=settings.max_waiting,
        timeout_s=settings.room_timeout_ms / 1000,
    )


def connection_limits(settings: GatewaySection) -> ConnectionLimits:
    """Return what the settings say of a connection."""
    return ConnectionLimits(
        header_timeout_s=settings.header_timeout_ms / 1000,
        send_timeout_s=settings.send_timeout_ms / 1000,
        max_connections=settings.max_connections,
    )


def _http_config(app: ASGIApp, settings: GatewaySection) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol_with(connection_limits(settings)),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=round(settings.keep_alive_ms / 1000),
        timeout_graceful_shutdown=CUT_TIMEOUT_S,
    )


def _started_fields(settings: GatewaySection, listener: socket.socket) -> dict[str, object]:
    return {
        "host": settings.host,
        "http_port": listener.getsockname()[1],
        "metrics_port": settings.metrics_port,
        "server": settings.server_target,
    }


class _HttpServer(uvicorn.Server):
    """uvicorn with the signals left to us: its own would end the process by the signal, and cut at the second one."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
