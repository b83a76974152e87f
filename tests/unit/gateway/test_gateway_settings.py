"""The gateway's own rules on its settings."""

from pathlib import Path

import pytest

from alphacut_gateway.settings import GatewaySection, load
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
