"""Where a program listens and how others reach it: opening a port with a clear word when it is taken."""

import errno
import ipaddress
import socket


class PortUnusable(Exception):
    """A port cannot be listened on; the message says which, why, and which setting moves it."""


def open_listener(host: str, port: int, *, setting: str) -> socket.socket:
    """Return a listening TCP socket; port 0 lets the system choose.

    setting: the variable that moves the port, for the message. Raises PortUnusable.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # `localhost` has two addresses on most machines; callers expect the one of IPv4 to be among those that answer.
        family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        # Without reuse_port: a second program on the same port must fail, not share its calls in silence.
        return socket.create_server((str(address[0]), port), family=family, backlog=2048, reuse_port=False)
    except OSError as error:
        raise port_unusable(error, host, port, setting=setting) from error


def reachable(host: str, port: int) -> str:
    """Return HOST:PORT under which this machine reaches a listener; one on all addresses is reached by loopback."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"{host}:{port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"


def port_unusable(error: OSError, host: str, port: int, *, setting: str) -> PortUnusable:
    """Return what to raise for a system's error at opening a port: the sentence says what to do."""
    match error.errno:
        case errno.EADDRINUSE:
            advice = f"is in use; stop what uses it, or set {setting} to another port."
        case errno.EACCES:
            advice = f"needs more rights than this program has; set {setting} above 1023."
        case errno.EADDRNOTAVAIL:
            advice = (
                "is not on this machine; set ALPHACUT_HOST to one of its addresses, or to 0.0.0.0 for all."
            )
        case _:
            advice = f"cannot be opened: {error.strerror or error}. See {setting} and ALPHACUT_HOST."
    return PortUnusable(f"Port {port} on {host} {advice}")
