"""A scripted server on the loopback, and time that tests move."""

from collections.abc import Iterator

import pytest

from support.fake_service import FakeServer, FakeService


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A running fake server; its `service` takes the script."""
    with FakeServer() as running:
        yield running


@pytest.fixture
def service(server: FakeServer) -> FakeService:
    """The running server's scripted service."""
    return server.service
