"""Servers that many tests share: starting one takes a second, and none of these tests changes it."""

import os
from collections.abc import Iterator

import grpc
import pytest

from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from alphacut_server.catalogue.loader import load_catalogue
from alphacut_server.catalogue.store import Store, default_store
from alphacut_server.embedded import EmbeddedServer
from alphacut_server.settings import EngineSettings, ServerSettings, Settings
from support.rpc import BIG_MESSAGES
from support.server import EMULATED, ServerProcess, running_server


@pytest.fixture(scope="session")
def emulated_server() -> Iterator[ServerProcess]:
    """Run a server with the emulated accelerator and otherwise its defaults."""
    with running_server(EMULATED) as server:
        yield server


@pytest.fixture(scope="session")
def emulated_channel(emulated_server: ServerProcess) -> Iterator[grpc.Channel]:
    """Return a connection to the emulated server."""
    with grpc.insecure_channel(emulated_server.target, options=BIG_MESSAGES) as channel:
        yield channel


@pytest.fixture(scope="session")
def emulated_stub(emulated_channel: grpc.Channel) -> BackgroundRemovalServiceStub:
    """Return a client of the emulated server."""
    return BackgroundRemovalServiceStub(emulated_channel)


@pytest.fixture(scope="session")
def pulled_u2netp() -> None:
    """Skip where u2netp is not pulled."""
    store = Store(default_store(os.environ))
    if store.find_weights(load_catalogue().get("u2netp")) is None:
        pytest.skip("u2netp is not pulled; run: alphacut models pull u2netp")


@pytest.fixture(scope="session")
def cut_server(pulled_u2netp: None) -> Iterator[ServerProcess]:
    """Run a server with u2netp, which cuts real photos."""
    with running_server({"ALPHACUT_MODEL": "u2netp", "ALPHACUT_DEVICE": "cpu"}) as server:
        yield server


@pytest.fixture(scope="session")
def cut_channel(cut_server: ServerProcess) -> Iterator[grpc.Channel]:
    """Return a connection to the server with u2netp."""
    with grpc.insecure_channel(cut_server.target, options=BIG_MESSAGES) as channel:
        yield channel


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """Run a server whose answers are ellipses; gives its address."""
    settings = Settings(
        server=ServerSettings(metrics_port=0),
        engine=EngineSettings(model="emulated", emulated_base_ms=1, emulated_item_ms=0),
    )
    with EmbeddedServer(settings) as server:
        server.start()
        yield server.target
