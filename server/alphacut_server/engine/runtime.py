"""The few parts of ONNX Runtime that the engines use, as Protocols, and the one place where it is imported.

Nothing else here imports the package: the server runs the emulated device without it, and tests hand in a scripted
module instead.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

_BUILDS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-rocm",
    "onnxruntime-directml",
)
"""Distributions that all write the same import folder; of two, the one written last wins in silence."""

ProviderEntry = str | tuple[str, Mapping[str, str]]
"""A provider's name, alone or with its options."""


class DeviceUnavailable(Exception):
    """The server cannot start on the device it was told to use; the sentence says what is missing and what helps."""


class OrtSessionOptions(Protocol):
    """Options of a session."""

    graph_optimization_level: object
    execution_mode: object
    intra_op_num_threads: int
    inter_op_num_threads: int
    enable_cpu_mem_arena: bool
    enable_mem_pattern: bool
    enable_profiling: bool
    profile_file_prefix: str
    log_severity_level: int

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Set one configuration entry."""
        ...


class OrtRunOptions(Protocol):
    """Options of one run."""

    def add_run_config_entry(self, key: str, value: str) -> None:
        """Set one configuration entry."""
        ...


class OrtValue(Protocol):
    """A tensor in the runtime's hands, here always on the GPU."""

    def update_inplace(self, data: NDArray[np.uint8]) -> None:
        """Copy `data` over it; the address stays."""
        ...

    def numpy(self) -> NDArray[np.uint8]:
        """Return a host copy."""
        ...


class OrtIoBinding(Protocol):
    """Where a run reads and writes."""

    def bind_cpu_input(self, name: str, arr_on_cpu: NDArray[np.uint8]) -> None:
        """Copy a host array to the device, now."""
        ...

    def bind_output(
        self,
        name: str,
        *,
        device_type: str,
        device_id: int,
        element_type: type[np.uint8],
        shape: Sequence[int],
        buffer_ptr: int,
    ) -> None:
        """Let the run write into the memory at `buffer_ptr`."""
        ...

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None:
        """Let the run read a device tensor."""
        ...

    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None:
        """Let the run write a device tensor."""
        ...

    def synchronize_outputs(self) -> None:
        """Return when what was bound for output has been written."""
        ...


class OrtSession(Protocol):
    """A loaded graph."""

    def run(
        self,
        output_names: Sequence[str],
        input_feed: Mapping[str, NDArray[np.uint8]],
        run_options: OrtRunOptions | None = None,
    ) -> Sequence[NDArray[np.uint8]]:
        """Run once, host to host."""
        ...

    def run_with_iobinding(self, iobinding: OrtIoBinding, run_options: OrtRunOptions | None = None) -> None:
        """Run once on what is bound."""
        ...

    def io_binding(self) -> OrtIoBinding:
        """Return a new, empty binding."""
        ...

    def get_providers(self) -> Sequence[str]:
        """Tell the providers this session really has, the preferred one first."""
        ...

    def end_profiling(self) -> str:
        """Stop profiling; return the trace's path."""
        ...


class OrtSessionFactory(Protocol):
    """Loads a graph."""

    def __call__(
        self,
        path_or_bytes: str,
        sess_options: OrtSessionOptions,
        providers: Sequence[ProviderEntry],
        *,
        enable_fallback: int,
    ) -> OrtSession:
        """Return the session; without `enable_fallback` 0 a failing provider is replaced by the CPU in silence."""
        ...


class OrtValueFactory(Protocol):
    """Makes device tensors."""

    def ortvalue_from_shape_and_type(
        self, shape: Sequence[int], element_type: type[np.uint8], device_type: str, device_id: int
    ) -> OrtValue:
        """Allocate on a device."""
        ...


class OrtOptimizationLevels(Protocol):
    """The enum of optimisation levels."""

    @property
    def ORT_ENABLE_ALL(self) -> object:
        """Every optimisation."""
        ...


class OrtExecutionModes(Protocol):
    """The enum of execution modes."""

    @property
    def ORT_SEQUENTIAL(self) -> object:
        """One node after another."""
        ...


class OrtRuntime(Protocol):
    """The module `onnxruntime`, as far as it is used."""

    @property
    def __version__(self) -> str:
        """Tell the package's version."""
        ...

    @property
    def InferenceSession(self) -> OrtSessionFactory:
        """Load a graph."""
        ...

    @property
    def SessionOptions(self) -> Callable[[], OrtSessionOptions]:
        """Make options of a session."""
        ...

    @property
    def RunOptions(self) -> Callable[[], OrtRunOptions]:
        """Make options of a run."""
        ...

    @property
    def OrtValue(self) -> OrtValueFactory:
        """Make device tensors."""
        ...

    @property
    def GraphOptimizationLevel(self) -> OrtOptimizationLevels:
        """List the optimisation levels."""
        ...

    @property
    def ExecutionMode(self) -> OrtExecutionModes:
        """List the execution modes."""
        ...

    def get_available_providers(self) -> Sequence[str]:
        """List what the build has, which says nothing about the machine."""
        ...

    def preload_dlls(self) -> None:
        """Load CUDA's libraries from the Python packages that hold them; prints what it cannot load."""
        ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """ONNX Runtime, and what it raises: its exceptions share no base but Exception."""

    ort: OrtRuntime
    failures: tuple[type[Exception], ...]


def installed_builds() -> tuple[str, ...]:
    """Name the installed distributions that provide the import `onnxruntime`."""
    found = []
    for name in _BUILDS:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(name)
    return tuple(found)


def load_runtime(
    builds: Callable[[], Sequence[str]] = installed_builds,
    import_module: Callable[[str], ModuleType] = importlib.import_module,
) -> Runtime:
    """Import ONNX Runtime; raises DeviceUnavailable when it is absent, doubled or damaged."""
    found = builds()
    if len(found) > 1:
        raise DeviceUnavailable(
            f"Both {' and '.join(found)} are installed; they overwrite each other's files. Uninstall all of them "
            f"(pip uninstall {' '.join(found)}), then install one: alphacut[server,cpu] or alphacut[server,gpu]."
        )
    try:
        module = import_module("onnxruntime")
    except ImportError as error:
        raise DeviceUnavailable(
            "ONNX Runtime is not installed, or cannot be loaded. Install alphacut[server,cpu] for a machine without "
            f"an NVIDIA GPU, alphacut[server,gpu] for one with it. ({error})"
        ) from error
    if not hasattr(module, "InferenceSession"):
        # What is left of two builds when one of them is uninstalled.
        raise DeviceUnavailable(
            "The installed ONNX Runtime is incomplete. Uninstall every onnxruntime package, then install "
            "alphacut[server,cpu] or alphacut[server,gpu] again."
        )
    return Runtime(cast(OrtRuntime, module), _failures(import_module))


def _failures(import_module: Callable[[str], ModuleType]) -> tuple[type[Exception], ...]:
    state = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    own = (
        value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)
    )
    # Plain C++ exceptions cross the binding as RuntimeError, failed allocations as MemoryError.
    return (*own, RuntimeError, MemoryError)
