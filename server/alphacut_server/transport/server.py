"""The port: message limits, keepalive, TLS, which services answer."""

import ssl
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut_server.settings import ServerSettings
from alphacut_server.transport.health import HealthState
from alphacut_server.transport.interceptors import LastCatch
from alphacut_server.transport.servicers import BackgroundRemovalServicer, add_to

REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
MAX_REQUEST_BYTES = 32 << 20
MAX_RESPONSE_BYTES = 128 << 20


class PortUnavailable(Exception):
    """The port cannot be listened on, or TLS cannot be set up; the message says why."""


def channel_options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Return the options of the server's connections."""
    return [
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        ("grpc.max_send_message_length", MAX_RESPONSE_BYTES),
        ("grpc.max_concurrent_streams", settings.max_concurrent_calls),
        # A second server on the same port would share its calls in silence; let it fail instead.
        ("grpc.so_reuseport", 0),
        # Dead peers are found within a minute; clients may ping every 10 s, also between calls.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]


def build_server(
    settings: ServerSettings,
    servicer: BackgroundRemovalServicer,
    health: HealthState,
    guard: LastCatch,
) -> grpc.aio.Server:
    """Return a server with our service, health and reflection; no port yet."""
    server = grpc.aio.server(options=channel_options(settings))
    add_to(server, servicer, guard)
    names = [service_pb2.DESCRIPTOR.services_by_name["BackgroundRemovalService"].full_name]
    if settings.health:
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
        names.append(health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
    if settings.reflection:
        _add_reflection([*names, reflection.SERVICE_NAME], server)
    return server


def _add_reflection(names: list[str], server: grpc.aio.Server) -> None:
    """Answer reflection as v1alpha and as v1, whose messages are the same on the wire (the library knows only the former)."""
    reflection.enable_server_reflection(names, server)
    servicer = reflection.aio.ReflectionServicer(names)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    generic = grpc.method_handlers_generic_handler(REFLECTION_V1, {"ServerReflectionInfo": handler})
    server.add_generic_rpc_handlers((generic,))


def bind(server: grpc.aio.Server, settings: ServerSettings, address: str) -> int:
    """Listen on `address`, with TLS if it is configured; returns the port. Raises PortUnavailable."""
    try:
        credentials = tls_credentials(settings)
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        taken = f"Cannot listen on {address}: is another program using it? Choose another with --grpc-port."
        raise PortUnavailable(_tls_fault(settings) or taken) from error


def tls_credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    """Return credentials from the configured files, None when TLS is off. Raises PortUnavailable."""
    if settings.tls_cert_file is None and settings.tls_key_file is None:
        if settings.tls_client_ca_file is not None:
            raise PortUnavailable("server.tls_client_ca_file needs tls_cert_file and tls_key_file beside it.")
        return None
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        raise PortUnavailable("server.tls_cert_file and server.tls_key_file must be set together.")
    client_ca = _read(settings.tls_client_ca_file) if settings.tls_client_ca_file else None
    return grpc.ssl_server_credentials(
        [(_read(settings.tls_key_file), _read(settings.tls_cert_file))],
        root_certificates=client_ca,
        require_client_auth=client_ca is not None,
    )


def _tls_fault(settings: ServerSettings) -> str:
    """Say what is wrong with files that gRPC would not take, for it tells only that it does not listen; empty if nothing is."""
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, so that a locked key fails here instead of asking a terminal.
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file, password="")
    except ssl.SSLError as error:
        files = f"{settings.tls_cert_file} and {settings.tls_key_file}"
        cause = error.reason or "no PEM certificate and key"
        return f"{files} are no certificate and its unlocked private key, PEM ({cause})."
    try:
        if settings.tls_client_ca_file is not None:
            context.load_verify_locations(settings.tls_client_ca_file)
    except ssl.SSLError as error:
        return f"{settings.tls_client_ca_file} holds no PEM certificate of an authority ({error.reason or 'no PEM'})."
    return ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PortUnavailable(f"Cannot read {path}: {error.strerror}.") from error
