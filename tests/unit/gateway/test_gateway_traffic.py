"""The drain: what is in work finishes, within a bound."""

import asyncio

from alphacut_gateway.traffic import Phase, Traffic
from support.gateway_backend import FakeBackend, calling, gateway_app


async def test_idle_gateway_drains_at_once() -> None:
    """Nothing in work, nothing to wait for."""
    traffic = Traffic()

    is_drained = await traffic.drain(60)

    assert is_drained
    assert traffic.phase is Phase.DRAINING


async def test_request_in_work_is_answered_during_the_drain() -> None:
    """The drain waits for what it has, and ends when the last answer is out."""
    traffic = Traffic()
    backend = FakeBackend(hold=True)
    async with calling(gateway_app(backend, traffic=traffic)) as client:
        asking = asyncio.create_task(client.get("/v1/version"))
        await backend.entered.wait()
        traffic.begin_leaving()
        draining = asyncio.create_task(traffic.drain(60))
        ready = await client.get("/readyz")
        was_drained_early = draining.done()
        backend.release.set()
        response, is_drained = await asyncio.gather(asking, draining)

    assert ready.status_code == 503
    assert not was_drained_early
    assert response.status_code == 200
    assert is_drained


async def test_drain_is_bounded() -> None:
    """A request that does not end cannot hold the process for ever."""
    traffic = Traffic()
    traffic.enter()

    is_drained = await traffic.drain(0.01)

    assert not is_drained
    assert traffic.in_work == 1
