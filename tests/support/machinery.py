"""What runs behind the port, wired around an engine of the test's choice: a fake one that can be held, or real weights."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from alphacut_server.batching.batcher import Batcher
from alphacut_server.batching.cost import CostModel
from alphacut_server.batching.queue import LaneLimits
from alphacut_server.deadline import Clock, MonotonicClock
from alphacut_server.engine.engine import Engine
from alphacut_server.imaging.arrays import U8Matte, U8Tensor
from alphacut_server.observability.metrics import ServerMetrics
from alphacut_server.pipeline.budget import ByteBudget
from alphacut_server.pipeline.choice import ModelChoice
from alphacut_server.pipeline.cutout import CutoutPipeline
from alphacut_server.pipeline.pools import LoopMailbox, WorkerPools
from alphacut_server.pipeline.sources import PictureLimits, PictureSources
from alphacut_server.pipeline.types import Fetcher, ServedModel
from alphacut_server.settings import Profile
from alphacut_server.transport.servicers import ModelDescription, Served
from support.fetching import FakeFetcher
from support.server import HANG_S, RunningApp, emulated_settings, running_app, scrape

QUICK = CostModel(base_s=0.001, item_s=0.001)
"""What the batcher is told of an engine that answers at once: nobody is refused for want of time."""


@dataclass(frozen=True, slots=True)
class Machinery:
    """A pipeline and its parts."""

    pipeline: CutoutPipeline
    batcher: Batcher[U8Tensor, U8Matte]
    engine: Engine
    registry: CollectorRegistry

    def metrics(self) -> dict[str, float]:
        """Scrape; see `support.server.samples`."""
        return scrape(self.registry)

    async def until_queued(self, preparing: int, waiting: int, running: int) -> None:
        """Wait until the batcher holds just so many tickets in each state."""
        async with asyncio.timeout(HANG_S):
            # The counts change on the device's thread, which tells nobody; yielding lets the loop do its part meanwhile.
            while self.batcher.statistics()[:3] != (preparing, waiting, running):  # noqa: ASYNC110  see above
                await asyncio.sleep(0)


@asynccontextmanager
async def running_pipeline(
    engine: Engine,
    *,
    max_batch_size: int | None = None,
    cost: CostModel = QUICK,
    limits: PictureLimits | None = None,
    budget_bytes: int = 1 << 28,
    max_queue: int = 256,
    clock: Clock | None = None,
    fetcher: Fetcher | None = None,
) -> AsyncIterator[Machinery]:
    """Run a pipeline over one engine on this loop, until the block ends; the engine's model is that of the profile `fast`."""
    registry = CollectorRegistry()
    metrics = ServerMetrics(registry)
    clock = clock or MonotonicClock()

    def run(key: Hashable, tensors: Sequence[U8Tensor]) -> Sequence[U8Matte]:
        return list(engine.infer(tensors))

    model = engine.info.model
    pools = WorkerPools(2)
    batcher: Batcher[U8Tensor, U8Matte] = Batcher(
        run,
        {model: LaneLimits(cost, max_batch_size or engine.info.max_batch_size)},
        defer=LoopMailbox(asyncio.get_running_loop()).post,
        observer=metrics,
        max_queue=max_queue,
        clock=clock,
    )
    pipeline = CutoutPipeline(
        ModelChoice({model: ServedModel(model, engine.info.side_px)}, model, {Profile.FAST: model}),
        sources=PictureSources(fetcher or FakeFetcher(), limits or PictureLimits(), clock),
        batcher=batcher,
        pools=pools,
        budget=ByteBudget(budget_bytes, metrics.bytes_in_flight),
        observer=metrics,
        clock=clock,
    )
    metrics.watch_queue(batcher.statistics)
    batcher.start()
    try:
        yield Machinery(pipeline, batcher, engine, registry)
    finally:
        await asyncio.to_thread(batcher.close)
        pools.close()
        engine.close()


@asynccontextmanager
async def serving(engine: Engine, *, max_batch_size: int | None = None) -> AsyncIterator[RunningApp]:
    """Serve one engine by a real App, port and all."""
    description = ModelDescription(
        id=engine.info.model,
        description="An engine of a test.",
        weights_license="none",
        side_px=engine.info.side_px,
        provider=engine.info.provider.value,
        max_batch_size=max_batch_size or engine.info.max_batch_size,
    )
    async with (
        running_pipeline(engine, max_batch_size=max_batch_size) as machinery,
        running_app(emulated_settings(), is_loaded=False) as running,
    ):
        running.app.served = Served(machinery.pipeline, (description,))
        yield running
