"""Whom a call is counted against."""

import pytest

from alphacut_server.transport.interceptors import client_of


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("ipv4:10.1.2.3:40001", "10.1.2.3"),
        ("ipv6:%5B2001:db8::1%5D:40001", "%5B2001:db8::1%5D"),
        ("ipv6:[::1]:40001", "[::1]"),
        ("unix:", "unix"),
        ("unix:/tmp/alphacut/server.sock", "unix"),
    ],
)
def test_a_client_is_its_address_without_the_port(peer: str, client: str) -> None:
    """A new connection of the same machine is the same client."""
    assert client_of(peer) == client
