"""What the server can be told, and that the promises about the defaults hold."""

import pytest
from pydantic import ValidationError

from alphacut_server.settings import (
    ALIASES,
    BatchingSettings,
    PipelineSettings,
    ServerSettings,
    Settings,
)
from alphacut_server.transport.server import MAX_REQUEST_BYTES
from alphacut_service.fields import describe


def test_the_defaults_keep_what_is_promised() -> None:
    """Ports, a queue of at least 64, 100 calls on one connection, pictures of less than 16 MiB and 4096 px."""
    settings = Settings()

    assert (settings.server.host, settings.server.grpc_port) == ("127.0.0.1", 50051)
    assert settings.server.metrics_port == 9090
    assert settings.server.reflection
    assert settings.server.health
    assert settings.server.max_concurrent_calls >= 100
    assert settings.batching.max_queue >= 64
    assert (settings.pipeline.max_side_px, settings.pipeline.max_image_bytes) == (4096, 16 << 20)
    assert settings.engine.profile.value == "fast"
    assert settings.engine.device.value == "auto"


def test_the_largest_picture_fits_into_the_largest_request() -> None:
    """Whatever limit an operator sets, gRPC lets the file through, so that the caller is told the reason."""
    with pytest.raises(ValidationError):
        PipelineSettings(max_image_bytes=MAX_REQUEST_BYTES)


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        (ServerSettings, "grpc_port", 65536),
        (ServerSettings, "max_concurrent_calls", 99),
        (ServerSettings, "stream_window", 0),
        (BatchingSettings, "max_queue", 63),
        (BatchingSettings, "max_queue_delay_ms", -1),
        (PipelineSettings, "max_inflight_bytes", 0),
    ],
)
def test_values_out_of_range_are_refused(section: type, field: str, value: int) -> None:
    """At the start, not when the first call comes."""
    with pytest.raises(ValidationError):
        section(**{field: value})


def test_every_setting_is_described() -> None:
    """The reference page is made of these sentences."""
    for doc in describe(Settings, ALIASES):
        assert doc.description.endswith("."), doc.path
