"""From the settings to loaded models: catalogue, store, prepare, engine, cost model. Runs at start, never at request time."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TextIO

from alphacut_server.batching.cost import BatchTiming, choose_max_batch, fit
from alphacut_server.batching.queue import LaneLimits
from alphacut_server.catalogue.loader import load_catalogue
from alphacut_server.catalogue.progress import progress_for
from alphacut_server.catalogue.pull import pull
from alphacut_server.catalogue.sources import Tools
from alphacut_server.catalogue.store import Store, default_store
from alphacut_server.engine.emulated import EMULATED_MODEL
from alphacut_server.engine.engine import Engine, Provider
from alphacut_server.engine.load import EngineOptions, LoadedEngine, load_emulated, load_engine
from alphacut_server.engine.prepare import Precision, PreparedModel, prepare
from alphacut_server.engine.providers import DeviceChoice
from alphacut_server.profiles import served_models
from alphacut_server.settings import Device, EngineSettings, Settings

LEAST_GAIN = 0.05
"""A larger batch must serve so much more a second; below that it only adds latency."""

LEAST_GAIN_ON_CPU = 0.2
"""On a CPU a batch of two also doubles the memory, and a neighbour's work during the measurement can feign a gain of a tenth."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """One model, ready to run."""

    id: str
    description: str
    weights_license: str
    engine: Engine
    lane: LaneLimits


def load_models(settings: Settings) -> tuple[LoadedModel, ...]:
    """Load every model to serve, the default first.

    Raises NotInCatalogue, NotPulled, ModelCorrupt, StoreUnusable, DeviceUnavailable, EngineFailed.
    """
    return tuple(_load(model_id, settings) for model_id in served_models(settings.engine))


def prepare_models(settings: Settings, screen: TextIO) -> None:
    """Pull and prepare what the settings name, so that a start needs no network. Raises what pull and prepare raise.

    `screen` sees the progress of what is really fetched, nothing when all is there.
    """
    engine = settings.engine
    for model_id in served_models(engine):
        if model_id == EMULATED_MODEL:
            continue
        spec = load_catalogue(engine.catalogue_dir).get(model_id)
        if open_store(engine).find_weights(spec) is None:
            with progress_for(screen) as progress:
                pull(spec, open_store(engine), Tools(progress=progress))
        on_gpu = engine.device in (Device.CUDA, Device.TENSORRT)
        prepare(spec, open_store(engine), Precision.FP16 if on_gpu else Precision.FP32)


def settle_store(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return the settings with the store's folder filled in; programs call it once, where they read the environment."""
    if settings.engine.store_dir is not None:
        return settings
    engine = settings.engine.model_copy(update={"store_dir": default_store(environ)})
    return settings.model_copy(update={"engine": engine})


def open_store(engine: EngineSettings) -> Store:
    """Return the store of settled settings."""
    if engine.store_dir is None:
        raise ValueError("the settings were not settled")
    return Store(engine.store_dir)


def _load(model_id: str, settings: Settings) -> LoadedModel:
    options = _options(settings)
    if model_id == EMULATED_MODEL:
        loaded = load_emulated(options)
        description, licence = "An emulated accelerator that answers ellipses, not cut-outs.", "none"
    else:
        spec = load_catalogue(settings.engine.catalogue_dir).get(model_id)
        store = open_store(settings.engine)

        def prepare_for(precision: Precision) -> PreparedModel:
            return prepare(spec, store, precision)

        if spec.max_batch_size is not None:
            options = replace(options, max_batch_size=min(options.max_batch_size, spec.max_batch_size))
        loaded = load_engine(prepare_for, options)
        description, licence = spec.description, spec.weights_license
    return _describe(model_id, description, licence, loaded, settings.batching.max_batch_size)


def _describe(model_id: str, description: str, licence: str, loaded: LoadedEngine, limit: int) -> LoadedModel:
    timings = [BatchTiming(timing.batch_size, timing.seconds) for timing in loaded.timings]
    cost = fit(timings)
    on_cpu = loaded.engine.info.provider is Provider.CPU
    least_gain = LEAST_GAIN_ON_CPU if on_cpu else LEAST_GAIN
    max_batch_size = choose_max_batch(timings, min(limit, loaded.max_batch_size), least_gain)
    logger.log(
        logging.WARNING if loaded.fell_back else logging.INFO,
        "model_loaded",
        extra={
            "model": model_id,
            "provider": loaded.engine.info.provider.value,
            "note": loaded.note,
            "side_px": loaded.engine.info.side_px,
            "max_batch_size": max_batch_size,
            "base_ms": round(cost.base_s * 1000, 2),
            "item_ms": round(cost.item_s * 1000, 2),
        },
    )
    return LoadedModel(model_id, description, licence, loaded.engine, LaneLimits(cost, max_batch_size))


def _options(settings: Settings) -> EngineOptions:
    engine = settings.engine
    return EngineOptions(
        device=DeviceChoice(engine.device.value),
        threads=engine.threads,
        max_batch_size=settings.batching.max_batch_size,
        device_id=engine.device_id,
        cuda_graphs=engine.cuda_graphs,
        tensorrt_cache=engine.tensorrt_cache_dir,
        emulated_base_ms=engine.emulated_base_ms,
        emulated_item_ms=engine.emulated_item_ms,
    )
