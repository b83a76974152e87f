"""Where the network runs: what was asked for, what the machine can do, and proof of what the session really has.

ONNX Runtime falls back to the CPU without an exception in three ways: a provider whose libraries do not load is left
out of the session; a session that fails is built again on the CPU; a run that fails in the provider is repeated on the
CPU. The last two are switched off (`enable_fallback`), the first is caught by reading the session's providers back.
"""

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from alphacut_server.engine.engine import Provider
from alphacut_server.engine.machine import has_gpu_node
from alphacut_server.engine.runtime import (
    DeviceUnavailable,
    OrtSession,
    OrtSessionOptions,
    ProviderEntry,
    Runtime,
)
from alphacut_server.errors import ModelCorrupt

_ORT_NAMES = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.TENSORRT: "TensorrtExecutionProvider",
}


_UNLOADED = re.compile(r"^Failed to load (?:\S*/)?([^\s/:]+):", re.MULTILINE)
"""What the runtime prints of a library that it cannot load."""


class DeviceChoice(Enum):
    """What the operator asks for."""

    AUTO = "auto"
    """CUDA where it works, else the CPU; which of them is told."""
    CPU = "cpu"
    CUDA = "cuda"
    """CUDA or no start."""
    TENSORRT = "tensorrt"
    """TensorRT or no start."""


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """Providers to try in turn; only `auto` has more than one."""

    candidates: tuple[Provider, ...]
    note: str
    """Why the first candidate is the first: a sentence for the log."""


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a session is opened with, beside its options."""

    path: Path
    provider: Provider
    side_px: int
    input_name: str
    max_batch_size: int
    device_id: int = 0
    """Which GPU; always 0 for the CPU."""
    cuda_graphs: bool = False
    """Replay each bucket's kernels as one graph; for the CUDA provider alone."""
    tensorrt_cache: Path | None = None
    """Folder for TensorRT's engines, which take minutes to build; None builds them at every start."""


def plan_device(
    runtime: Runtime, choice: DeviceChoice, has_gpu: Callable[[], bool] = has_gpu_node
) -> DevicePlan:
    """Decide what to try; raises DeviceUnavailable when the installed build cannot do what was asked for."""
    built_in = set(runtime.ort.get_available_providers())
    match choice:
        case DeviceChoice.CPU:
            return DevicePlan((Provider.CPU,), "The CPU was asked for.")
        case DeviceChoice.CUDA | DeviceChoice.TENSORRT:
            provider = Provider.CUDA if choice is DeviceChoice.CUDA else Provider.TENSORRT
            if _ORT_NAMES[provider] not in built_in:
                raise DeviceUnavailable(
                    f"The device {choice.value!r} was asked for, but the installed ONNX Runtime is a build for the CPU. "
                    "Uninstall onnxruntime, then install alphacut[server,gpu]; or ask for the device 'cpu'."
                )
            return DevicePlan((provider,), f"The device {choice.value!r} was asked for.")
        case DeviceChoice.AUTO:
            if _ORT_NAMES[Provider.CUDA] not in built_in:
                return DevicePlan((Provider.CPU,), "The installed ONNX Runtime is a build for the CPU.")
            if not has_gpu():
                return DevicePlan((Provider.CPU,), "No NVIDIA device is visible here.")
            return DevicePlan((Provider.CUDA, Provider.CPU), "A GPU build and an NVIDIA device are here.")


def open_session(
    runtime: Runtime,
    request: SessionRequest,
    options: OrtSessionOptions,
    *,
    has_gpu: Callable[[], bool] = has_gpu_node,
) -> OrtSession:
    """Open the graph on exactly the provider that `request` names.

    Raises DeviceUnavailable, with what is missing, when the session fails or comes back on anything else. On a GPU
    that includes a graph that cannot be read, which the runtime does not tell apart; on the CPU, where nothing can be
    missing, a failure raises ModelCorrupt.
    """
    complaints = "" if request.provider is Provider.CPU else _preload_libraries(runtime)
    failures: tuple[type[Exception], ...] = (*runtime.failures, ValueError)
    try:
        session = runtime.ort.InferenceSession(
            str(request.path), options, _provider_entries(request), enable_fallback=0
        )
    except failures as error:
        if request.provider is Provider.CPU:
            raise ModelCorrupt(
                "The prepared model cannot be loaded; `alphacut models verify` tells more."
            ) from error
        raise DeviceUnavailable(_explain(request.provider, f"{error}", complaints, has_gpu())) from error
    got = tuple(session.get_providers())
    if not got or got[0] != _ORT_NAMES[request.provider]:
        what = f"the session came back on {got[0] if got else 'nothing'}"
        raise DeviceUnavailable(_explain(request.provider, what, complaints, has_gpu()))
    return session


def _preload_libraries(runtime: Runtime) -> str:
    """Load CUDA's libraries from their Python packages; return the names of those that the runtime could not load.

    It only prints what it cannot load. A library may still be found on the system's path later, so this decides
    nothing: it is the explanation should the session fail.
    """
    if not hasattr(runtime.ort, "preload_dlls"):  # before ONNX Runtime 1.21
        return ""
    printed = io.StringIO()
    failures: tuple[type[Exception], ...] = (*runtime.failures, OSError)
    try:
        with contextlib.redirect_stdout(printed):
            runtime.ort.preload_dlls()
    except failures as error:
        return f"{error}"
    # A library is tried in the Python packages first and then on the system's path: named once.
    return ", ".join(dict.fromkeys(_UNLOADED.findall(printed.getvalue())))


def _explain(provider: Provider, what: str, complaints: str, has_gpu: bool) -> str:
    # The runtime's own sentences end in line breaks.
    parts = [f"The device {provider.value!r} cannot be used: {' '.join(what.split()).rstrip('.')}."]
    if complaints:
        parts.append(f"Missing libraries: {complaints}.")
    if not has_gpu:
        parts.append("No NVIDIA device is visible; a container must be started with the GPU passed in.")
    elif provider is Provider.TENSORRT:
        parts.append("TensorRT's own libraries are a package of their own; 'cuda' works without them.")
    else:
        parts.append("CUDA and cuDNN come with alphacut[server,gpu]; the driver must be as new as they are.")
    return " ".join(parts)


def _provider_entries(request: SessionRequest) -> tuple[ProviderEntry, ...]:
    """List the providers of a session: the one asked for, then those that take the few nodes it lacks."""
    cpu = _ORT_NAMES[Provider.CPU]
    if request.provider is Provider.CPU:
        return (cpu,)
    cuda = (_ORT_NAMES[Provider.CUDA], _cuda_options(request))
    if request.provider is Provider.CUDA:
        return (cuda, cpu)
    return ((_ORT_NAMES[Provider.TENSORRT], _tensorrt_options(request)), cuda, cpu)


def _cuda_options(request: SessionRequest) -> dict[str, str]:
    return {
        "device_id": str(request.device_id),
        # Batches come in every size up to the limit. The runtime's default tries every algorithm the first time a
        # shape is seen, which stalls a running server for seconds; the heuristic asks cuDNN and runs none.
        "cudnn_conv_algo_search": "HEURISTIC",
        # Doubling the arena would claim up to twice of what the largest batch needs.
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": "1" if request.cuda_graphs and request.provider is Provider.CUDA else "0",
    }


def _tensorrt_options(request: SessionRequest) -> dict[str, str]:
    side = request.side_px

    def shape(batch_size: int) -> str:
        return f"{request.input_name}:{batch_size}x{side}x{side}x3"

    options = {
        "device_id": str(request.device_id),
        "trt_fp16_enable": "1",
        # One engine for every batch up to the limit; without the profile each new shape would build another.
        "trt_profile_min_shapes": shape(1),
        "trt_profile_opt_shapes": shape(request.max_batch_size),
        "trt_profile_max_shapes": shape(request.max_batch_size),
    }
    if request.tensorrt_cache is not None:
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(request.tensorrt_cache),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(request.tensorrt_cache),
        }
    return options
