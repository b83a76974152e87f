"""Listening, and the words for what goes wrong."""

import errno
import socket

import pytest

from alphacut_service.addresses import PortUnusable, open_listener, port_unusable, reachable


def test_listener_accepts_connections() -> None:
    """Port 0 gives a port that can be connected to at once."""
    with open_listener("127.0.0.1", 0, setting="ALPHACUT_X_PORT") as listener:
        port = listener.getsockname()[1]

        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            assert connection.getpeername() == ("127.0.0.1", port)


def test_localhost_listens_on_ipv4() -> None:
    """Callers of 127.0.0.1 reach a listener on `localhost`."""
    with open_listener("localhost", 0, setting="ALPHACUT_X_PORT") as listener:
        assert listener.family == socket.AF_INET


def test_taken_port_is_told_with_the_setting_that_moves_it() -> None:
    """A second listener on a port fails; it never shares the calls."""
    with open_listener("127.0.0.1", 0, setting="ALPHACUT_X_PORT") as listener:
        port = listener.getsockname()[1]

        with pytest.raises(PortUnusable) as caught:
            open_listener("127.0.0.1", port, setting="ALPHACUT_X_PORT")

    assert str(caught.value) == (
        f"Port {port} on 127.0.0.1 is in use; stop what uses it, or set ALPHACUT_X_PORT to another port."
    )


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "set ALPHACUT_X_PORT above 1023"),
        (errno.EADDRNOTAVAIL, "set ALPHACUT_HOST to one of its addresses"),
        (errno.ENOBUFS, "cannot be opened: no room"),
    ],
)
def test_every_cause_has_its_advice(number: int, advice: str) -> None:
    """Rights, addresses and the rest are told apart."""
    error = port_unusable(OSError(number, "no room"), "192.0.2.1", 80, setting="ALPHACUT_X_PORT")

    assert str(error).startswith("Port 80 on 192.0.2.1 ")
    assert advice in str(error)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1:8080"),
        ("0.0.0.0", "127.0.0.1:8080"),
        ("::", "[::1]:8080"),
        ("fd00::1", "[fd00::1]:8080"),
        ("cut.example", "cut.example:8080"),
    ],
)
def test_reachable_address_is_one_a_caller_can_use(host: str, address: str) -> None:
    """A listener on all addresses is reached by loopback."""
    assert reachable(host, 8080) == address
