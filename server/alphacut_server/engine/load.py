"""From a prepared model and the operator's choice to an engine at speed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from alphacut_server.deadline import Clock, MonotonicClock
from alphacut_server.engine.buffers import CudaPinner
from alphacut_server.engine.cpus import cpu_limit
from alphacut_server.engine.cuda import CudaEngine, gpu_session_options
from alphacut_server.engine.emulated import EmulatedEngine
from alphacut_server.engine.engine import Engine, EngineInfo, Provider
from alphacut_server.engine.machine import fingerprint, has_gpu_node
from alphacut_server.engine.onnx import (
    DEFAULT_ARENA,
    ArenaPolicy,
    GraphNames,
    OnnxEngine,
    cpu_session_options,
)
from alphacut_server.engine.prepare import Precision
from alphacut_server.engine.providers import DeviceChoice, SessionRequest, open_session, plan_device
from alphacut_server.engine.runtime import DeviceUnavailable, Runtime, load_runtime
from alphacut_server.engine.warmup import Facts, Measurements, measured, warm_up
from alphacut_server.errors import EngineFailed

_PRECISIONS = {
    Provider.CPU: Precision.FP32,
    Provider.CUDA: Precision.FP16,
    Provider.TENSORRT: Precision.FP16,
}

_GPU_DEPTH = 2
"""One batch on the device, one being laid out."""


class Prepared(Facts, Protocol):
    """A prepared graph on disk."""

    @property
    def path(self) -> Path:
        """Tell where the graph lies."""
        ...

    @property
    def model_id(self) -> str:
        """Tell the catalogue's id."""
        ...

    @property
    def side_px(self) -> int:
        """Tell the side of its square input."""
        ...

    @property
    def input_name(self) -> str:
        """Name the (n, side, side, 3) uint8 input."""
        ...

    @property
    def output_name(self) -> str:
        """Name the (n, side, side) uint8 output."""
        ...

    @property
    def max_batch_size(self) -> int | None:
        """Tell the largest batch the graph takes; None for any."""
        ...


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the operator may set."""

    device: DeviceChoice = DeviceChoice.AUTO
    threads: int = 0
    """CPU threads of one inference; 0 takes what the container grants."""
    max_batch_size: int = 16
    """The largest batch ever formed; what pays is measured."""
    arena: ArenaPolicy = DEFAULT_ARENA
    device_id: int = 0
    """Which GPU."""
    cuda_graphs: bool = False
    tensorrt_cache: Path | None = None
    emulated_base_ms: float = 8.0
    emulated_item_ms: float = 1.0
    emulated_side_px: int = 64


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    """An engine at speed."""

    engine: Engine
    timings: Measurements
    note: str
    """A sentence for the log: where it runs and why there."""
    fell_back: bool = False
    """Whether a GPU was tried and could not be used: the note says why, and someone should act."""

    @property
    def max_batch_size(self) -> int:
        """Tell the largest batch that was tried; a larger one may not fit the device."""
        return self.timings[-1].batch_size


def load_emulated(options: EngineOptions, clock: Clock | None = None) -> LoadedEngine:
    """Start the emulated device."""
    engine = EmulatedEngine(
        base_ms=options.emulated_base_ms,
        item_ms=options.emulated_item_ms,
        side_px=options.emulated_side_px,
        max_batch_size=min(options.max_batch_size, 16),
    )
    timings = warm_up(engine, clock or MonotonicClock())
    return LoadedEngine(
        engine, timings, "The emulated device was asked for: it answers ellipses, not cut-outs."
    )


def load_engine(
    prepare: Callable[[Precision], Prepared],
    options: EngineOptions,
    *,
    runtime: Runtime | None = None,
    clock: Clock | None = None,
    has_gpu: Callable[[], bool] = has_gpu_node,
) -> LoadedEngine:
    """Load a model on the device asked for, warm it up, and tell where it really runs.

    prepare: gives the graph, fp16 for a GPU and fp32 for the CPU; with `auto` it may be asked for one and then, when the
    GPU cannot be used, for the other. Raises DeviceUnavailable, ModelCorrupt, or, on the CPU, EngineFailed when the
    first batch fails.
    """
    runtime = runtime or load_runtime()
    clock = clock or MonotonicClock()
    plan = plan_device(runtime, options.device, has_gpu)
    *tries, last = plan.candidates
    note = plan.note
    for provider in tries:
        try:
            return _load_on(
                provider, prepare(_PRECISIONS[provider]), options, runtime=runtime, clock=clock, note=note
            )
        except DeviceUnavailable as error:
            note = f"{error}"
    loaded = _load_on(last, prepare(_PRECISIONS[last]), options, runtime=runtime, clock=clock, note=note)
    return replace(loaded, fell_back=bool(tries))


def _load_on(
    provider: Provider,
    prepared: Prepared,
    options: EngineOptions,
    *,
    runtime: Runtime,
    clock: Clock,
    note: str,
) -> LoadedEngine:
    threads = options.threads or cpu_limit()
    limit = min(options.max_batch_size, prepared.max_batch_size or options.max_batch_size)
    options = replace(options, threads=threads, max_batch_size=limit)
    engine = _open_engine(provider, prepared, options, runtime)
    # Everything the time of a batch depends on, beside the model.
    machine = f"{fingerprint(provider.value, threads, runtime.ort.__version__)} | up to {limit}"
    if options.cuda_graphs:
        machine += " | graphs"
    try:
        timings = measured(engine, clock, prepared, machine)
    except EngineFailed as error:
        engine.close()
        if provider is Provider.CPU:
            raise
        # A session can open on a GPU whose libraries or driver then fail with the first kernel.
        raise DeviceUnavailable(
            f"The device {provider.value!r} failed its first batch: {error.__cause__}"
        ) from error
    return LoadedEngine(engine, timings, f"Runs on {provider.value}. {note}")


def _open_engine(provider: Provider, prepared: Prepared, options: EngineOptions, runtime: Runtime) -> Engine:
    on_cpu = provider is Provider.CPU
    cuda_graphs = options.cuda_graphs and provider is Provider.CUDA
    request = SessionRequest(
        path=prepared.path,
        provider=provider,
        side_px=prepared.side_px,
        input_name=prepared.input_name,
        max_batch_size=options.max_batch_size,
        device_id=options.device_id,
        cuda_graphs=cuda_graphs,
        tensorrt_cache=options.tensorrt_cache,
    )
    names = GraphNames(prepared.input_name, prepared.output_name)
    info = EngineInfo(
        model=prepared.model_id,
        side_px=prepared.side_px,
        provider=provider,
        max_batch_size=options.max_batch_size,
        depth=1 if on_cpu else _GPU_DEPTH,
    )
    if on_cpu:
        session = open_session(runtime, request, cpu_session_options(runtime, options.threads, options.arena))
        return OnnxEngine(runtime, session, info, names, arena=options.arena)
    session = open_session(runtime, request, gpu_session_options(runtime))
    # Only now: opening the session has loaded CUDA's library.
    pinner = CudaPinner.find()
    return CudaEngine(
        runtime, session, info, names, pinner=pinner, device_id=options.device_id, cuda_graphs=cuda_graphs
    )
