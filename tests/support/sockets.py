"""What this process does with sockets, seen where Python calls the system: nothing that it runs can go around that.

    with watch_sockets() as log:
        ...
    assert log.connects == [("127.0.0.1", 8080)]

Connections to anything but this machine are refused while being watched, so that no test reaches out.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address


@dataclass(slots=True)
class SocketLog:
    """connects: address and port of every attempt, in order, those refused here included. lookups: names given to getaddrinfo."""

    connects: list[tuple[str, int]] = field(default_factory=list)
    lookups: list[str] = field(default_factory=list)


_logs: list[SocketLog] = []
_hooked: list[bool] = []


@contextmanager
def watch_sockets() -> Iterator[SocketLog]:
    """Record what all threads of the process do until the block ends."""
    if not _hooked:
        sys.addaudithook(_hear)  # for good: Python has no way to take one off
        _hooked.append(True)
    log = SocketLog()
    _logs.append(log)
    try:
        yield log
    finally:
        _logs.remove(log)


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if not _logs:
        return
    if event == "socket.connect":
        _hear_connect(arguments[1])
    elif event == "socket.getaddrinfo":
        host = arguments[0]
        for log in _logs:
            log.lookups.append(host.decode() if isinstance(host, bytes) else str(host))


def _hear_connect(address: object) -> None:
    if not (isinstance(address, tuple) and len(address) >= 2):
        return  # a socket of this machine's file system
    host, port = str(address[0]), int(address[1])
    for log in _logs:
        log.connects.append((host, port))
    if not ip_address(host).is_loopback:
        raise ConnectionRefusedError(f"a test may not connect to {host}")
