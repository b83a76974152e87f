"""Connections go to an address that was checked, and to no other."""

from collections.abc import Iterator, Sequence

import httpcore
import pytest

from alphacut_server.fetch.address import Address
from alphacut_server.fetch.connect import MAX_ATTEMPTS, CheckedBackend, Traffic
from alphacut_server.fetch.refusal import Cause, Refused
from support.names import TableResolver
from support.sockets import watch_sockets
from support.web import Caller, Web, answer

REQUEST = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def web() -> Iterator[Web]:
    """Return a server with something to say at /x."""
    with Web() as web:
        web.serve("/x", b"content")
        yield web


class Check:
    """Lets everything pass, or nothing, and remembers what it was asked."""

    def __init__(self, *, passes: bool = True) -> None:
        self._passes = passes
        self.asked: list[tuple[str, list[str]]] = []

    def __call__(self, host: str, addresses: Sequence[Address]) -> None:
        """Raise Refused unless everything passes."""
        self.asked.append((host, [str(address) for address in addresses]))
        if not self._passes:
            raise Refused(Cause.ADDRESS_DENIED)


def backend_of(addresses: Sequence[str], check: Check, limit: int = 1 << 16) -> CheckedBackend:
    """Return a backend for which x.example.net has these addresses."""
    return CheckedBackend(TableResolver({"x.example.net": [addresses]}), check, Traffic(limit))


async def test_all_addresses_are_checked_before_any_is_connected_to(web: Web) -> None:
    """With the host, for the rules may be about either."""
    check = Check(passes=False)
    backend = backend_of(["127.0.0.1", "127.0.0.2"], check)

    with watch_sockets() as log, pytest.raises(Refused):
        await backend.connect_tcp("x.example.net", web.port)

    assert check.asked == [("x.example.net", ["127.0.0.1", "127.0.0.2"])]
    assert log.connects == []


async def test_a_plain_address_is_checked_and_not_looked_up(web: Web) -> None:
    """Even though whoever calls has checked it before."""
    check = Check(passes=False)
    backend = backend_of([], check)

    with pytest.raises(Refused):
        await backend.connect_tcp("127.0.0.1", web.port)

    assert check.asked == [("127.0.0.1", ["127.0.0.1"])]


async def test_the_next_address_is_tried_when_one_does_not_answer(web: Web) -> None:
    """In the order of the name service."""
    backend = backend_of(["127.0.0.2", "127.0.0.1"], Check())

    with watch_sockets() as log:
        stream = await backend.connect_tcp("x.example.net", web.port)

    assert stream.get_extra_info("server_addr") == ("127.0.0.1", web.port)
    assert log.connects == [("127.0.0.2", web.port), ("127.0.0.1", web.port)]
    await backend.close()


async def test_attempts_are_counted(web: Web) -> None:
    """A name with a hundred dead addresses does not get a hundred connections."""
    backend = backend_of([f"127.0.1.{place}" for place in range(1, 100)], Check())

    with watch_sockets() as log, pytest.raises(httpcore.ConnectError):
        await backend.connect_tcp("x.example.net", web.port)

    assert len(log.connects) == MAX_ATTEMPTS


async def test_closing_ends_what_was_opened(web: Web) -> None:
    """Whoever opened it and whatever became of it; twice does no harm."""

    async def stay(caller: Caller) -> None:
        await caller.send(b"welcome")
        await caller.until_gone()

    web.behave("/x", stay)
    backend = backend_of(["127.0.0.1"], Check())
    stream = await backend.connect_tcp("x.example.net", web.port)
    await stream.write(REQUEST)
    assert await stream.read(7) == b"welcome"

    await backend.close()
    await backend.close()

    assert web.wait_until_left()


async def test_what_is_received_is_counted_and_limited(web: Web) -> None:
    """The limit holds until it is lifted: reading on beyond it is refused."""
    traffic = Traffic(limit=20)
    backend = CheckedBackend(TableResolver({"x.example.net": [["127.0.0.1"]]}), Check(), traffic)
    stream = await backend.connect_tcp("x.example.net", web.port)
    await stream.write(REQUEST)

    received = await stream.read(20)
    with pytest.raises(Refused) as caught:
        await stream.read(20)
    traffic.lift_limit()
    while data := await stream.read(20):
        received += data

    assert caught.value.cause is Cause.TOO_WORDY
    assert received == answer(b"content")
    assert traffic.received == len(received)
    await backend.close()


async def test_sockets_of_this_machines_files_are_refused() -> None:
    """httpcore could be asked for one; a picture is never behind it."""
    backend = backend_of([], Check())

    with pytest.raises(Refused):
        await backend.connect_unix_socket("/run/some.sock")
