"""What a server says of itself: version, modes, models, health; before, while and after it serves."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import options_pb2
from alphacut.version import __version__
from support.health import health_status, watch_health
from support.images import small_png
from support.rpc import failure_of, request_for
from support.server import running_app

pytestmark = pytest.mark.timeout(30)

SERVICE = "alphacut.v1.BackgroundRemovalService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_the_version_is_the_package_s() -> None:
    """vX.Y.Z, as clients compare it."""
    async with running_app(is_loaded=False) as running:
        answer = await running.stub.GetVersion(service_pb2.GetVersionRequest())

    assert answer.version == f"v{__version__}"


async def test_modes_are_listed_by_name_with_what_a_request_must_say() -> None:
    """Each mode once, sorted, with its number and the REST name."""
    async with running_app(is_loaded=False) as running:
        answer = await running.stub.ListModes(service_pb2.ListModesRequest())

    assert [(mode.name, mode.mode) for mode in answer.modes] == [
        ("fg-image", options_pb2.MODE_FG_IMAGE),
        ("fg-image-shadow", options_pb2.MODE_FG_IMAGE_SHADOW),
        ("fg-mask", options_pb2.MODE_FG_MASK),
    ]
    assert all(mode.description.endswith(".") for mode in answer.modes)


async def test_models_tell_where_they_really_run() -> None:
    """One entry a model, the default marked, with the provider and the batch that the cost model chose."""
    async with running_app() as running:
        answer = await running.stub.ListModels(service_pb2.ListModelsRequest())
        metrics = running.metrics()

    (model,) = answer.models
    assert (model.name, model.provider, model.side_px, model.is_default) == ("emulated", "emulated", 64, True)
    assert model.max_batch_size == 16
    assert model.description
    assert model.weights_license == "none"
    assert metrics["alphacut_engine_info{provider=emulated}"] == 1


async def test_before_the_models_are_loaded_calls_are_told_to_come_back() -> None:
    """UNAVAILABLE with a reason and a time, while health says NOT_SERVING and the version is answered."""
    async with running_app(is_loaded=False) as running:
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await running.stub.RemoveBackground(request_for(small_png(1)))
        with pytest.raises(grpc.aio.AioRpcError) as listed:
            await running.stub.ListModels(service_pb2.ListModelsRequest())
        health = [await health_status(running.channel, name) for name in ("", SERVICE)]
        ready = running.metrics()["alphacut_ready"]

    for caught in (cut, listed):
        failure = failure_of(caught.value)
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "MODEL_NOT_READY")
        assert failure.retry_after_s == 1.0
    assert health == [NOT_SERVING, NOT_SERVING]
    assert ready == 0


async def test_health_answers_for_the_server_the_service_and_each_model() -> None:
    """A name that nobody serves is NOT_FOUND, so that a typo in a probe shows."""
    async with running_app() as running:
        known = [await health_status(running.channel, name) for name in ("", SERVICE, f"{SERVICE}/emulated")]
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await health_status(running.channel, f"{SERVICE}/u3net")

    assert known == [SERVING] * 3
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watcher_sees_the_server_come_and_go() -> None:
    """NOT_SERVING until the models are loaded, SERVING, and NOT_SERVING as soon as it is told to stop."""
    async with running_app(is_loaded=False) as running:
        watch = watch_health(running.channel, SERVICE)
        answers = aiter(watch)

        seen = [(await anext(answers)).status]
        await running.app.load()
        seen.append((await anext(answers)).status)
        stopping = asyncio.create_task(running.app.stop())
        seen.append((await anext(answers)).status)
        watch.cancel()
        await stopping

    assert seen == [NOT_SERVING, SERVING, NOT_SERVING]


async def test_the_default_mode_is_a_cut_out() -> None:
    """A request that names no mode gets RGBA, and the counters call it by its name."""
    async with running_app() as running:
        answer = await running.stub.RemoveBackground(
            request_for(small_png(1), mode=options_pb2.MODE_UNSPECIFIED)
        )
        metrics = running.metrics()

    assert answer.image.content[25] == 6  # the PNG's colour type: RGBA
    assert metrics["alphacut_requests_total{mode=fg-image}"] == 1
