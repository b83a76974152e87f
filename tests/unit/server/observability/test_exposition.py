"""The metrics port."""

import socket
import urllib.error

import pytest
from prometheus_client import CollectorRegistry, Counter

from alphacut_server.observability.exposition import MetricsEndpoint, MetricsUnavailable
from support.server import fetch_text, free_port

pytestmark = pytest.mark.timeout(20)


def test_the_registry_is_shown_until_it_is_closed() -> None:
    """And closing twice is harmless."""
    registry, port = CollectorRegistry(), free_port()
    Counter("pictures", "Pictures.", registry=registry).inc(3)
    endpoint = MetricsEndpoint(registry)

    endpoint.open("127.0.0.1", port)
    shown = fetch_text(f"http://127.0.0.1:{port}/metrics")
    endpoint.close()
    endpoint.close()

    assert "pictures_total 3.0" in shown
    with pytest.raises(urllib.error.URLError):
        fetch_text(f"http://127.0.0.1:{port}/metrics")


def test_port_0_leaves_it_off() -> None:
    """Nothing listens, and closing is harmless."""
    endpoint = MetricsEndpoint(CollectorRegistry())

    endpoint.open("256.256.256.256", 0)  # an address that could not be listened on
    endpoint.close()


def test_a_port_in_use_names_the_flag_that_moves_it() -> None:
    """As a sentence, not as the system's error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(MetricsUnavailable, match="--metrics-port") as caught:
            MetricsEndpoint(CollectorRegistry()).open("127.0.0.1", port)

    assert f"127.0.0.1:{port}" in str(caught.value)
