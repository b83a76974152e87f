"""The server's settings: frozen sections; `load` in alphacut_service reads flags, environment and file, once.

Defaults suit a laptop's CPU. Every field is a flag, an environment variable and a key of the configuration file; the reference
page is generated from these descriptions.
"""

import re
from enum import Enum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from alphacut_service.logs import LogSettings
from alphacut_service.settings import Section

Port = Annotated[int, Field(ge=0, le=65535)]

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PLACE_NAME = re.compile(rf"\.?{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PROXY = re.compile(
    rf"http://(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]):(?P<port>[1-9][0-9]{{0,4}})/?",
    re.ASCII | re.IGNORECASE,
)


class Profile(Enum):
    """A row of the profile table (`profiles.py`): which model, for which purpose."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class Device(Enum):
    """Where the network shall run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


class ServerSettings(Section):
    """The gRPC door."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    grpc_port: Port = Field(default=50051, description="Port of the gRPC server; 0 lets the system choose.")
    metrics_port: Port = Field(default=9090, description="Port of /metrics; 0 switches it off.")
    reflection: bool = Field(default=True, description="Whether gRPC reflection answers.")
    health: bool = Field(
        default=True,
        description="Whether the gRPC health service answers; `alphacut serve` and the gateway's /readyz need it.",
    )
    max_concurrent_calls: int = Field(
        default=1024, ge=100, le=65536, description="Calls one connection may have open."
    )
    default_timeout_ms: int = Field(
        default=60_000, ge=100, le=3_600_000, description="Deadline of a call that brings none."
    )
    max_timeout_ms: int = Field(
        default=600_000,
        ge=100,
        le=3_600_000,
        description="Longest deadline that is honoured; a call that brings a later one gets this.",
    )
    drain_timeout_ms: int = Field(
        default=25_000,
        ge=0,
        le=600_000,
        description="How long admitted calls may take to finish after SIGTERM.",
    )
    stream_window: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="Pictures of one stream in work or waiting to be read by its caller.",
    )
    tls_cert_file: Path | None = Field(default=None, description="PEM certificate chain; switches TLS on.")
    tls_key_file: Path | None = Field(default=None, description="PEM private key of the certificate.")
    tls_client_ca_file: Path | None = Field(
        default=None, description="PEM of the authorities whose client certificates are required (mTLS)."
    )
    api_keys_file: Path | None = Field(
        default=None,
        description="File of hashed API keys, one a line; read anew when it changes. Unset: no key is needed.",
    )


class BatchingSettings(Section):
    """The micro-batcher."""

    max_batch_size: int = Field(
        default=16, ge=1, le=256, description="Upper bound of a batch; the cost model may choose less."
    )
    max_queue: int = Field(
        default=256, ge=64, le=65536, description="Calls that may wait, those being decoded included."
    )
    max_queue_delay_ms: float = Field(
        default=8.0,
        ge=0,
        le=1000,
        description="The longest a free device may be held for callers about to return; 0 never.",
    )
    bulk_ageing_ms: float = Field(
        default=2000.0,
        ge=0,
        le=600_000,
        description="Waiting time after which bulk work counts as interactive.",
    )


class PipelineSettings(Section):
    """Decoding, composing, encoding."""

    workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Threads for decoding, and as many for encoding; 0 means one a granted CPU.",
    )
    max_side_px: int = Field(
        default=4096, ge=16, le=16384, description="Largest width and height of a picture."
    )
    max_image_bytes: int = Field(
        default=16 << 20, ge=1024, le=31 << 20, description="First file size that is refused."
    )
    max_inflight_bytes: int = Field(
        default=512 << 20,
        ge=1 << 20,
        description="Memory that decoded pictures may take together; more wait.",
    )


class FetchSettings(Section):
    """Pictures given as URLs."""

    enabled: bool = Field(default=True, description="Whether pictures given as URLs are fetched at all.")
    public: bool = Field(
        default=True,
        description="Whether public addresses are fetched from; false leaves only what allow names.",
    )
    allow: tuple[str, ...] = Field(
        default=(),
        description="What may be fetched from although it is not public, as an object store: hosts, .domains (with "
        "everything under them) and networks, as 10.1.2.0/24.",
    )
    deny: tuple[str, ...] = Field(
        default=(),
        description="Hosts, .domains (with everything under them) and networks never fetched from; wins over allow.",
    )
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        default=(80, 443), min_length=1, description="Ports that a URL may name, by itself or by its scheme."
    )
    timeout_ms: int = Field(
        default=10_000,
        ge=100,
        le=600_000,
        description="What one fetch may take altogether, redirects included.",
    )
    max_redirects: int = Field(default=3, ge=0, le=20, description="Redirects that are followed.")
    max_concurrent: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Fetches under way at once, each of which may hold a file in memory; more wait until one ends.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM of further authorities whose certificates are trusted for https, as an object store's own.",
    )
    proxy: str | None = Field(
        default=None,
        description="HTTP proxy to fetch through, as http://host:port; it then resolves the names and must refuse "
        "private ones itself. Proxies from the environment are never used.",
    )

    @field_validator("allow", "deny")
    @classmethod
    def _are_places(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_place, entries))

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, proxy: str | None) -> str | None:
        parts = _PROXY.fullmatch(proxy or "")
        if proxy is not None and (parts is None or int(parts["port"]) > 65535):
            raise ValueError("must be http://host:port, without user, password and path")
        return proxy


def _place(entry: str) -> str:
    """Return an entry of allow or deny as `name`, `.domain` or `network/length`, lower case. Raises ValueError."""
    lower = entry.lower()
    if _PLACE_NAME.fullmatch(lower) and not _NUMBER.fullmatch(lower.rsplit(".", 1)[-1]):
        return lower
    try:
        return str(ip_network(lower))
    except ValueError as error:
        wanted = "must be a host, a .domain, an address or a network as 10.1.2.0/24"
        raise ValueError(f"{entry!r} {wanted}; international names as xn--… ({error})") from None


class EngineSettings(Section):
    """The model and its device."""

    profile: Profile = Field(default=Profile.FAST, description="Row of the profile table.")
    model: str = Field(
        default="",
        description="Model by its catalogue id, or `emulated`; overrides the profile's. Empty: the profile's.",
    )
    extra_models: tuple[str, ...] = Field(
        default=(), description="Further models to serve, by id, for calls that name one."
    )
    device: Device = Field(
        default=Device.AUTO,
        description="Where the network runs; anything but auto fails at start if it cannot.",
    )
    threads: int = Field(
        default=0, ge=0, le=256, description="Threads of the CPU provider; 0 means one a granted CPU."
    )
    device_id: int = Field(default=0, ge=0, le=255, description="Which GPU, as CUDA numbers them.")
    cuda_graphs: bool = Field(
        default=False, description="Replay recorded CUDA graphs, one for each batch size."
    )
    tensorrt_cache_dir: Path | None = Field(
        default=None,
        description="Folder where TensorRT keeps its engines between starts. Unset: built at each start.",
    )
    store_dir: Path | None = Field(
        default=None,
        description="Folder of pulled and prepared models. Unset: models/.store in a checkout, else the user's cache.",
    )
    catalogue_dir: Path | None = Field(
        default=None, description="Folder of model.toml files. Unset: the one that is shipped."
    )
    emulated_base_ms: float = Field(
        default=8.0, ge=0, le=60_000, description="Emulated accelerator: cost of a batch."
    )
    emulated_item_ms: float = Field(
        default=1.0, ge=0, le=60_000, description="Emulated accelerator: cost of each picture."
    )


class Settings(Section):
    """Everything the server can be told."""

    server: ServerSettings = ServerSettings()
    batching: BatchingSettings = BatchingSettings()
    pipeline: PipelineSettings = PipelineSettings()
    fetch: FetchSettings = FetchSettings()
    engine: EngineSettings = EngineSettings()
    observability: LogSettings = LogSettings()


ALIASES = {
    "ALPHACUT_HOST": "server.host",
    "ALPHACUT_GRPC_PORT": "server.grpc_port",
    "ALPHACUT_METRICS_PORT": "server.metrics_port",
    "ALPHACUT_PROFILE": "engine.profile",
    "ALPHACUT_MODEL": "engine.model",
    "ALPHACUT_DEVICE": "engine.device",
    "ALPHACUT_EMULATED_BASE_MS": "engine.emulated_base_ms",
    "ALPHACUT_EMULATED_ITEM_MS": "engine.emulated_item_ms",
    "ALPHACUT_LOG_LEVEL": "observability.log_level",
    "ALPHACUT_LOG_FORMAT": "observability.log_format",
}
"""Short names beside ALPHACUT_<SECTION>_<FIELD>."""
