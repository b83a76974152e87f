"""The object graph's life: start, load, stop, in every order that happens."""

import asyncio
import threading
from pathlib import Path

import grpc
import pytest

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from alphacut_server.app import App
from alphacut_server.catalogue.faults import NotPulled
from alphacut_server.settings import EngineSettings, PipelineSettings, ServerSettings, Settings
from support.images import read_png, small_png
from support.local_fetches import allowing
from support.rpc import failure_of, request_for
from support.server import HANG_S, emulated_settings, fetch_text, free_port, running_app
from support.tiny_store import TINY, tiny_engine
from support.web import Caller, Web

pytestmark = pytest.mark.timeout(30)


async def test_a_real_network_is_served_beside_the_emulated_one(tmp_path: Path) -> None:
    """A call names the model it wants; without one it gets the default."""
    engine = tiny_engine(tmp_path).model_copy(
        update={"extra_models": ("emulated",), "emulated_base_ms": 1.0, "emulated_item_ms": 0.1}
    )
    settings = Settings(server=ServerSettings(grpc_port=0, metrics_port=0), engine=engine)

    async with running_app(settings) as running:
        listed = await running.stub.ListModels(service_pb2.ListModelsRequest())
        default = await running.stub.RemoveBackground(request_for(small_png(1)))
        named = await running.stub.RemoveBackground(request_for(small_png(1), model="emulated"))

    assert [(model.name, model.is_default) for model in listed.models] == [(TINY, True), ("emulated", False)]
    assert (default.model, named.model) == (TINY, "emulated")
    assert read_png(default.image.content).shape == read_png(named.image.content).shape


async def test_a_load_that_fails_leaves_a_server_that_can_be_stopped(tmp_path: Path) -> None:
    """It never said that it serves, and stopping it takes no time."""
    engine = tiny_engine(tmp_path, is_pulled=False)
    settings = Settings(server=ServerSettings(grpc_port=0, metrics_port=0), engine=engine)

    async with running_app(settings, is_loaded=False) as running:
        with pytest.raises(NotPulled):
            await running.app.load()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.stub.RemoveBackground(request_for(small_png(1)))

    assert failure_of(caught.value).reason == "MODEL_NOT_READY"


async def test_stopping_is_idempotent_also_before_anything_was_started() -> None:
    """Whoever cleans up need not know how far it came."""
    never_started = App(emulated_settings())
    assert await never_started.stop()

    started = App(emulated_settings())
    await started.start()
    assert await started.stop()
    assert await started.stop()

    loaded = App(emulated_settings())
    await loaded.start()
    await loaded.load()
    assert await loaded.stop()
    assert await loaded.stop()


async def test_metrics_are_on_a_port_of_their_own_while_the_app_runs() -> None:
    """Before the models are loaded, too: an operator sees that it starts."""
    port = free_port()
    settings = emulated_settings(server=ServerSettings(grpc_port=0, metrics_port=port))

    async with running_app(settings, is_loaded=False):
        shown = await asyncio.to_thread(fetch_text, f"http://127.0.0.1:{port}/metrics")

    assert "alphacut_ready 0.0" in shown


async def test_an_address_of_ipv6_is_listened_on() -> None:
    """Written as a setting without brackets."""
    settings = emulated_settings(server=ServerSettings(host="::1", grpc_port=0, metrics_port=0))
    app = App(settings)
    try:
        port = await app.start()
        async with grpc.aio.insecure_channel(f"[::1]:{port}") as channel:
            answer = await BackgroundRemovalServiceStub(channel).GetVersion(service_pb2.GetVersionRequest())
    finally:
        await app.stop()

    assert answer.version.startswith("v1.")


async def test_limits_come_from_the_settings() -> None:
    """What an operator sets is what callers are told."""
    settings = emulated_settings(pipeline=PipelineSettings(max_side_px=30, workers=1))

    async with running_app(settings) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.stub.RemoveBackground(request_for(small_png(1, height=16, width=31)))

    failure = failure_of(caught.value)
    assert (failure.reason, failure.metadata["limit"]) == ("RESOLUTION_TOO_BIG", "30")


def test_settings_say_which_engine(tmp_path: Path) -> None:
    """An app can be built, and thrown away, outside of any loop."""
    assert App(Settings(engine=EngineSettings(store_dir=tmp_path))).served is None


async def test_a_stop_waits_for_no_web_server() -> None:
    """Whoever is still fetching has no place: the caller is sent to another replica at once."""
    asked = threading.Event()

    async def dawdle(caller: Caller) -> None:
        asked.set()
        await caller.until_gone()

    with Web() as web:
        url = web.behave("/slow.png", dawdle)
        settings = emulated_settings().model_copy(update={"fetch": allowing(web, timeout_ms=600_000)})
        async with running_app(settings) as running:
            wanted = service_pb2.RemoveBackgroundRequest(image=image_pb2.ImageSource(url=url))
            call = running.stub.RemoveBackground(wanted, timeout=HANG_S)
            assert await asyncio.to_thread(asked.wait, HANG_S)

            assert await running.app.stop()

            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call

    assert failure_of(caught.value).reason == "DRAINING"
