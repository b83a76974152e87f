"""The server's settings: frozen sections; `load` in alphacut_service reads flags, environment and file, once.

Defaults suit a laptop's CPU. Every field is a flag, an environment variable and a key of the configuration file; the reference
page is generated from these descriptions.
"""

from enum import Enum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from alphacut_service.logs import LogSettings
from alphacut_service.settings import Section

Port = Annotated[int, Field(ge=0, le=65535)]


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
