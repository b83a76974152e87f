"""The one place of wiring: settings in, a running server out.

Start: port open and NOT_SERVING → models loaded and warm → SERVING.
Stop:  NOT_SERVING, newcomers refused → those admitted finish, within the grace period → port, threads and device closed.
"""

import asyncio
import logging
import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import cv2
import grpc
from prometheus_client import CollectorRegistry

from alphacut.version import __version__
from alphacut_server.batching.batcher import Batcher
from alphacut_server.batching.policy import Rules
from alphacut_server.deadline import MonotonicClock
from alphacut_server.engine.cpus import cpu_limit
from alphacut_server.fetch.fetcher import Fetcher
from alphacut_server.imaging.arrays import U8Matte, U8Tensor
from alphacut_server.key_file import KeyFile
from alphacut_server.models import LoadedModel, load_models
from alphacut_server.observability.exposition import MetricsEndpoint
from alphacut_server.observability.metrics import ServerMetrics
from alphacut_server.pipeline.budget import ByteBudget
from alphacut_server.pipeline.choice import ModelChoice
from alphacut_server.pipeline.cutout import CutoutPipeline
from alphacut_server.pipeline.pools import LoopMailbox, WorkerPools
from alphacut_server.pipeline.sources import PictureLimits, PictureSources
from alphacut_server.pipeline.types import ServedModel
from alphacut_server.profiles import freeing_profiles, profile_models
from alphacut_server.settings import Settings
from alphacut_server.transport.health import HealthState
from alphacut_server.transport.interceptors import CallLog, LastCatch
from alphacut_server.transport.keys import KeyCheck
from alphacut_server.transport.server import bind, build_server
from alphacut_server.transport.servicers import BackgroundRemovalServicer, ModelDescription, Served, Timeouts

SWITCH_INTERVAL_S = 0.001
"""How long one thread may keep the interpreter while another waits for it. The default of 5 ms is half of what a batch takes on a
fast accelerator: the device thread must not wait so long to learn that its batch is done."""

LAST_CALLS_S = 0.1
"""How long newcomers are still told to go elsewhere before the port closes. Calls that gRPC has received and not handed over
when it stops get CANCELLED, which no client retries: 12 to 25 of 50 calls with 3 MB each, in half of all runs (2026-11-23)."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Machinery:
    """What runs behind the port once the models are loaded."""

    models: Sequence[LoadedModel]
    batcher: Batcher[U8Tensor, U8Matte]
    pools: WorkerPools
    fetcher: Fetcher

    def close(self) -> None:
        """End threads and free devices; whoever still waits is told."""
        self.batcher.close()
        self.pools.close()
        for model in self.models:
            model.engine.close()


class App:
    """One server: `start`, then `load`, then `stop`, all on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = MonotonicClock()
        self.registry = CollectorRegistry()
        self.metrics = ServerMetrics(self.registry)
        self._health = HealthState()
        path = settings.server.api_keys_file
        self._key_file = KeyFile(path, self._clock, self.metrics) if path is not None else None
        check = KeyCheck(self._key_file, self.metrics) if self._key_file is not None else None
        self._guard = LastCatch(self.metrics, self._clock, check)
        self._machinery: _Machinery | None = None
        self._server: grpc.aio.Server | None = None
        self._endpoint = MetricsEndpoint(self.registry)
        self.served: Served | None = None
        """What transport serves; None until the models are loaded."""

    async def start(self, address: str | None = None) -> int:
        """Open the port, answering that nothing is ready yet; returns it. Raises PortUnavailable, KeysUnusable."""
        if self._key_file is not None:
            self._key_file.load()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        # The worker pools are the parallelism; threads inside a stage would only fight them.
        cv2.setNumThreads(1)
        server_settings = self._settings.server
        servicer = BackgroundRemovalServicer(
            self,
            version=__version__,
            timeouts=Timeouts(
                server_settings.default_timeout_ms / 1000, server_settings.max_timeout_ms / 1000
            ),
            stream_window=server_settings.stream_window,
            clock=self._clock,
            log=CallLog(self.metrics),
        )
        await self._health.begin()
        self._server = build_server(server_settings, servicer, self._health, self._guard)
        port = bind(
            self._server,
            server_settings,
            address or _address(server_settings.host, server_settings.grpc_port),
        )
        self._endpoint.open(server_settings.host, server_settings.metrics_port)
        await self._server.start()
        return port

    async def load(self) -> None:
        """Load and warm up the models off the loop, then serve. Raises what load_models raises, AuthoritiesUnusable."""
        # First what fails at once: an unreadable file of authorities is told before minutes of loading.
        fetcher = Fetcher(self._settings.fetch, max_bytes=self._settings.pipeline.max_image_bytes)
        models = await asyncio.to_thread(load_models, self._settings)
        self._machinery = self._assemble(models, fetcher)
        self.served = Served(self._pipeline(self._machinery), tuple(map(_describe, models)))
        for model in models:
            self.metrics.engine_loaded(model.engine.info, model.lane.max_batch_size)
        await self._health.ready(tuple(model.id for model in models))
        self.metrics.ready_changed(is_ready=not self._health.is_over)

    async def refuse_callers(self) -> None:
        """Tell whoever watches that the end has come, without waiting for it; `stop` follows."""
        await self._health.shut_down()
        self.metrics.ready_changed(is_ready=False)

    async def stop(self) -> bool:
        """Drain and close everything; True when all admitted calls finished within the grace period. Idempotent."""
        await self.refuse_callers()
        finished = True
        grace_s = self._settings.server.drain_timeout_ms / 1000
        if self._machinery is not None:
            self._machinery.batcher.stop_admitting()  # here, so that the count is final and the event true
            statistics = self._machinery.batcher.statistics()
            logger.info("drain_started", extra={"in_flight": sum(statistics[:3])})
            # Whoever still fetches has no place, and gets none any more.
            await self._machinery.fetcher.close()
            finished = await asyncio.to_thread(self._machinery.batcher.drain, grace_s)
            await asyncio.sleep(LAST_CALLS_S)
        if self._server is not None:
            # The batcher is empty; what is left is encoding and sending. Streams that lie idle, and health watches, end here.
            await self._guard.all_answered(max(grace_s / 5, 1.0))
            await self._server.stop(LAST_CALLS_S)
        if self._machinery is not None:
            await asyncio.to_thread(self._machinery.close)
        self._endpoint.close()
        logger.info("drain_finished", extra={"all_answered": finished})
        return finished

    def _assemble(self, models: Sequence[LoadedModel], fetcher: Fetcher) -> _Machinery:
        engines = {model.id: model.engine for model in models}

        def run(key: Hashable, tensors: Sequence[U8Tensor]) -> Sequence[U8Matte]:
            return list(engines[str(key)].infer(tensors))

        pools = WorkerPools(self._settings.pipeline.workers or cpu_limit())
        batching = self._settings.batching
        batcher: Batcher[U8Tensor, U8Matte] = Batcher(
            run,
            {model.id: model.lane for model in models},
            defer=LoopMailbox(asyncio.get_running_loop()).post,
            observer=self.metrics,
            max_queue=batching.max_queue,
            rules=Rules(batching.max_queue_delay_ms / 1000, batching.bulk_ageing_ms / 1000),
            clock=self._clock,
        )
        self.metrics.watch_queue(batcher.statistics)
        batcher.start()
        return _Machinery(models, batcher, pools, fetcher)

    def _pipeline(self, machinery: _Machinery) -> CutoutPipeline:
        pipeline = self._settings.pipeline
        served = {model.id: ServedModel(model.id, model.engine.info.side_px) for model in machinery.models}
        limits = PictureLimits(pipeline.max_side_px, pipeline.max_image_bytes)
        return CutoutPipeline(
            ModelChoice(
                served,
                machinery.models[0].id,
                profile_models(self._settings.engine),
                own_profile=self._settings.engine.profile,
                freeing=freeing_profiles(),
            ),
            sources=PictureSources(machinery.fetcher, limits, self._clock),
            batcher=machinery.batcher,
            pools=machinery.pools,
            budget=ByteBudget(pipeline.max_inflight_bytes, self.metrics.bytes_in_flight),
            observer=self.metrics,
            clock=self._clock,
        )


def _describe(model: LoadedModel) -> ModelDescription:
    info = model.engine.info
    return ModelDescription(
        id=model.id,
        description=model.description,
        weights_license=model.weights_license,
        side_px=info.side_px,
        provider=info.provider.value,
        max_batch_size=model.lane.max_batch_size,
    )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
