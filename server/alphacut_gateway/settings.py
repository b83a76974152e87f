"""The gateway's settings: where it listens, which server it calls, how long it waits."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from alphacut.channel import resolve_target
from alphacut_service import known_names, settings
from alphacut_service.addresses import reachable
from alphacut_service.logs import LogSettings
from alphacut_service.settings import Section

PROGRAM = "alphacut gateway"
DESCRIPTION = "Answers the REST API by calling the gRPC server."

# One request of the contract's 32 MiB in all its copies, and what it needs besides: less would never let such a one in.
MIN_INFLIGHT_BYTES = 136_314_880

ALIASES = {
    "ALPHACUT_HOST": "gateway.host",
    "ALPHACUT_HTTP_PORT": "gateway.http_port",
    "ALPHACUT_GRPC_PORT": "gateway.grpc_port",
    "ALPHACUT_LOG_LEVEL": "observability.log_level",
    "ALPHACUT_LOG_FORMAT": "observability.log_format",
}


class GatewaySection(Section):
    """The HTTP side and the way to the gRPC server."""

    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 is every one."
    )
    http_port: int = Field(
        default=8080, ge=0, le=65535, description="Port of the REST API; 0 lets the system choose."
    )
    metrics_port: int = Field(
        default=9091, ge=0, le=65535, description="Port of /metrics; 0 switches it off."
    )
    target: str | None = Field(
        default=None,
        description="gRPC server as HOST:PORT or a gRPC target. Unset: this machine, at ALPHACUT_GRPC_PORT.",
    )
    grpc_port: int = Field(
        default=50051,
        ge=1,
        le=65535,
        description="Port of the gRPC server on this machine, when no target is set.",
    )
    tls: bool = Field(default=False, description="Call the server over TLS; setting a file below does, too.")
    tls_ca_file: Path | None = Field(
        default=None,
        description="PEM authorities the server's certificate must come from; unset: gRPC's own.",
    )
    tls_cert_file: Path | None = Field(
        default=None, description="PEM certificate shown to a server that asks for one."
    )
    tls_key_file: Path | None = Field(default=None, description="PEM private key of that certificate.")
    tls_server_name: str = Field(
        default="", description="Name the server's certificate must bear, when it is not the target's."
    )
    call_timeout_ms: int = Field(
        default=60_000,
        ge=100,
        le=3_600_000,
        description="Deadline of a call to the server; later callers get 504.",
    )
    ready_timeout_ms: int = Field(
        default=1_000,
        ge=50,
        le=60_000,
        description="How long /readyz waits for the server's word before it says no.",
    )
    keep_alive_ms: int = Field(
        default=15_000,
        ge=1_000,
        le=600_000,
        description="How long an idle connection is kept open for the next request.",
    )
    max_connections: int = Field(
        default=800,
        ge=1,
        le=1_000_000,
        description="Connections at a time, idle ones included; requests on more get 503. Needs as many open files.",
    )
    header_timeout_ms: int = Field(
        default=10_000,
        ge=100,
        le=600_000,
        description="How long a caller may take to send a request's headers, and a new connection to send anything.",
    )
    upload_timeout_ms: int = Field(
        default=120_000,
        ge=1_000,
        le=3_600_000,
        description="How long a caller may take to send a request's body; slower ones get 408.",
    )
    upload_grace_ms: int = Field(
        default=10_000,
        ge=100,
        le=600_000,
        description="How long a body may come at any rate, or not at all, before the rate below is asked for.",
    )
    min_upload_bytes_per_s: int = Field(
        default=8_192,
        ge=1,
        le=1_000_000_000,
        description="Average rate at which a body must come after that; slower callers get 408.",
    )
    send_timeout_ms: int = Field(
        default=30_000,
        ge=100,
        le=3_600_000,
        description="How long a caller may leave a quarter of a MiB of its answer unread before it is cut off.",
    )
    max_inflight_bytes: int = Field(
        default=536_870_912,
        ge=MIN_INFLIGHT_BYTES,
        le=1_099_511_627_776,
        description="Memory for requests in work, about four times the bytes of their bodies; further ones wait unread.",
    )
    room_timeout_ms: int = Field(
        default=30_000,
        ge=0,
        le=600_000,
        description="How long a request waits for that memory before it gets 503.",
    )
    max_waiting: int = Field(
        default=256,
        ge=0,
        le=1_000_000,
        description="Requests that may wait for that memory at a time; more get 503 at once.",
    )
    drain_delay_ms: int = Field(
        default=0,
        ge=0,
        le=300_000,
        description="After SIGTERM, how long requests are still served while /readyz says no, so that balancers notice.",
    )
    drain_timeout_ms: int = Field(
        default=25_000,
        ge=0,
        le=600_000,
        description="How long requests in work may take to finish after that.",
    )

    @field_validator("target")
    @classmethod
    def _is_address(cls, target: str | None) -> str | None:
        if target is not None:
            resolve_target(target)
        return target

    @model_validator(mode="after")
    def _has_whole_client_certificate(self) -> "GatewaySection":
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together; set both or neither")
        return self

    @property
    def server_target(self) -> str:
        """Return the gRPC server's address."""
        return self.target or reachable(self.host, self.grpc_port)

    @property
    def is_tls(self) -> bool:
        """Tell whether the server is called over TLS."""
        return self.tls or self.tls_ca_file is not None or self.tls_cert_file is not None


class Settings(Section):
    """All that the gateway can be told."""

    gateway: GatewaySection = GatewaySection()
    observability: LogSettings = LogSettings()


def load(argv: Sequence[str], environ: Mapping[str, str]) -> settings.Loaded[Settings]:
    """Return the gateway's settings. Raises SettingsError and HelpRequested."""
    return settings.load(
        Settings,
        argv=argv,
        environ=environ,
        aliases=ALIASES,
        known_elsewhere=known_names.EVERYWHERE,
        program=PROGRAM,
        description=DESCRIPTION,
    )
