"""The gateway's own rules on its settings."""

from pathlib import Path

import pytest
from starlette.datastructures import Headers

from alphacut_gateway.http_protocol import ConnectionLimits
from alphacut_gateway.intake import BodyLimits, room_needed
from alphacut_gateway.room import RoomLimits
from alphacut_gateway.serving import body_limits, connection_limits, room_limits
from alphacut_gateway.settings import MIN_INFLIGHT_BYTES, GatewaySection, load
from alphacut_service.settings import SettingsError


@pytest.mark.parametrize(
    ("section", "target"),
    [
        (GatewaySection(), "127.0.0.1:50051"),
        (GatewaySection(host="0.0.0.0", grpc_port=1), "127.0.0.1:1"),
        (GatewaySection(host="192.0.2.7"), "192.0.2.7:50051"),
        (GatewaySection(host="0.0.0.0", target="cut.example:443"), "cut.example:443"),
    ],
)
def test_server_is_the_target_or_the_one_on_this_machine(section: GatewaySection, target: str) -> None:
    """Without a target the gateway calls its neighbour, where ALPHACUT_HOST and ALPHACUT_GRPC_PORT put it."""
    assert section.server_target == target


def test_short_variables_are_the_documented_ones() -> None:
    """Ports, host and logs by their short names."""
    loaded = load(
        [],
        {
            "ALPHACUT_HOST": "0.0.0.0",
            "ALPHACUT_HTTP_PORT": "1",
            "ALPHACUT_GATEWAY_METRICS_PORT": "2",
            "ALPHACUT_GRPC_PORT": "3",
            "ALPHACUT_LOG_LEVEL": "DEBUG",
        },
    )

    gateway = loaded.settings.gateway
    assert (gateway.host, gateway.http_port, gateway.metrics_port, gateway.grpc_port) == ("0.0.0.0", 1, 2, 3)
    assert loaded.settings.observability.log_level.value == "debug"


def test_variables_of_the_server_are_no_surprise() -> None:
    """One environment feeds both programs."""
    loaded = load([], {"ALPHACUT_BATCHING_MAX_QUEUE": "100", "ALPHACUT_METRICS_PORT": "1"})

    assert loaded.warnings == ()


def test_smallest_room_holds_the_largest_request() -> None:
    """No setting makes a request of the allowed size impossible, whether it tells its length or not."""
    limits = body_limits(GatewaySection())

    declared = room_needed(Headers({"content-length": "33554432"}), limits)
    chunked = room_needed(Headers({"transfer-encoding": "chunked"}), limits)

    assert max(declared, chunked) <= MIN_INFLIGHT_BYTES


def test_settings_reach_the_limits_in_their_units() -> None:
    """Milliseconds outside are seconds inside."""
    section = GatewaySection(
        upload_timeout_ms=2000,
        upload_grace_ms=3000,
        min_upload_bytes_per_s=4,
        max_inflight_bytes=MIN_INFLIGHT_BYTES,
        max_waiting=6,
        room_timeout_ms=7000,
        header_timeout_ms=8000,
        send_timeout_ms=9000,
        max_connections=10,
    )

    assert body_limits(section) == BodyLimits(upload_timeout_s=2, grace_s=3, min_bytes_per_s=4)
    assert room_limits(section) == RoomLimits(max_bytes=MIN_INFLIGHT_BYTES, max_waiting=6, timeout_s=7)
    assert connection_limits(section) == ConnectionLimits(
        header_timeout_s=8, send_timeout_s=9, max_connections=10
    )


def test_half_a_client_certificate_is_refused() -> None:
    """A certificate without its key cannot be shown to anybody."""
    with pytest.raises(SettingsError, match="tls_cert_file and tls_key_file go together"):
        load(["--gateway-tls-cert-file", "cert.pem"], {})


def test_target_that_is_no_address_is_refused() -> None:
    """A web address is a common mistake; the message says what to name instead."""
    with pytest.raises(SettingsError, match="without http://"):
        load(["--gateway-target", "http://cut.example"], {})


def test_certificate_files_switch_tls_on() -> None:
    """Nobody sets an authority to call in plain text."""
    assert not GatewaySection().is_tls
    assert GatewaySection(tls=True).is_tls
    assert GatewaySection(tls_ca_file=Path("ca.pem")).is_tls
    assert GatewaySection(tls_cert_file=Path("c.pem"), tls_key_file=Path("k.pem")).is_tls
