"""A scripted stand-in for the module `onnxruntime`: the parts the engines use, with a GPU that exists only in memory.

Its network answers each pixel's red channel. What a session's providers are, what fails and what is printed is scripted.
"""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alphacut_server.engine.runtime import (
    OrtIoBinding,
    OrtRunOptions,
    OrtSessionOptions,
    OrtValue,
    ProviderEntry,
    Runtime,
)

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


class FakeOrtFailure(Exception):
    """What the scripted runtime raises; like the real ones it has no base but Exception."""


class FakeEnum:
    """The two enums' members that are used."""

    ORT_ENABLE_ALL: object = "all"
    ORT_SEQUENTIAL: object = "sequential"


@dataclass
class FakeSessionOptions:
    """Keeps what is set."""

    graph_optimization_level: object = None
    execution_mode: object = None
    intra_op_num_threads: int = 0
    inter_op_num_threads: int = 0
    enable_cpu_mem_arena: bool = True
    enable_mem_pattern: bool = True
    enable_profiling: bool = False
    profile_file_prefix: str = ""
    log_severity_level: int = 2
    entries: dict[str, str] = field(default_factory=dict)

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Keep the entry."""
        self.entries[key] = value


@dataclass
class FakeRunOptions:
    """Keeps what is set."""

    entries: dict[str, str] = field(default_factory=dict)

    def add_run_config_entry(self, key: str, value: str) -> None:
        """Keep the entry."""
        self.entries[key] = value


@dataclass
class FakeOrtValue:
    """A tensor on the imagined GPU."""

    data: NDArray[np.uint8]
    device: str = "cuda:0"

    def update_inplace(self, data: NDArray[np.uint8]) -> None:
        """Copy `data` over it; a wrong shape is refused, as by the real one."""
        if data.shape != self.data.shape:
            raise FakeOrtFailure(f"update_inplace: {data.shape} into {self.data.shape}")
        self.data[...] = data

    def numpy(self) -> NDArray[np.uint8]:
        """Return a host copy."""
        return self.data.copy()


@dataclass
class HostMemory:
    """An output bound by address."""

    shape: tuple[int, ...]
    address: int

    def write(self, mattes: NDArray[np.uint8]) -> None:
        """Write through the address, as the real runtime does."""
        assert mattes.shape == self.shape
        ctypes.memmove(self.address, np.ascontiguousarray(mattes).ctypes.data, mattes.nbytes)


@dataclass
class FakeIoBinding:
    """Keeps what is bound."""

    tensors: NDArray[np.uint8] | FakeOrtValue | None = None
    mattes: HostMemory | FakeOrtValue | None = None
    synchronized: int = 0

    def bind_cpu_input(self, name: str, arr_on_cpu: NDArray[np.uint8]) -> None:
        """Copy at once, as the real one does for a session on a GPU."""
        assert name == "tensor"
        self.tensors = arr_on_cpu.copy()

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
        """Keep shape and address."""
        assert (name, device_type, device_id, element_type) == ("matte", "cpu", 0, np.uint8)
        self.mattes = HostMemory(tuple(shape), buffer_ptr)

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None:
        """Keep the device tensor."""
        assert name == "tensor"
        assert isinstance(ortvalue, FakeOrtValue)
        self.tensors = ortvalue

    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None:
        """Keep the device tensor."""
        assert name == "matte"
        assert isinstance(ortvalue, FakeOrtValue)
        self.mattes = ortvalue

    def synchronize_outputs(self) -> None:
        """Count the call."""
        self.synchronized += 1


class FakeSession:
    """A session of the red-channel network."""

    def __init__(self, ort: "FakeOrt", providers: Sequence[str], cuda_graphs: bool) -> None:
        self._ort = ort
        self._providers = list(providers)
        self._cuda_graphs = cuda_graphs
        self._graphs: dict[str, FakeIoBinding] = {}
        self.bindings: list[FakeIoBinding] = []
        self.sizes: list[int] = []
        """Batch size of every run."""
        self.run_entries: list[dict[str, str]] = []
        """Run options of every run."""

    def get_providers(self) -> Sequence[str]:
        """Tell the scripted providers."""
        return self._providers

    def run(
        self,
        output_names: Sequence[str],
        input_feed: Mapping[str, NDArray[np.uint8]],
        run_options: OrtRunOptions | None = None,
    ) -> Sequence[NDArray[np.uint8]]:
        """Run host to host."""
        assert list(output_names) == ["matte"]
        tensors = input_feed["tensor"]
        self._note(len(tensors), run_options)
        return [self._ort.network(tensors)]

    def io_binding(self) -> FakeIoBinding:
        """Return a new binding and keep it."""
        self.bindings.append(FakeIoBinding())
        return self.bindings[-1]

    def run_with_iobinding(self, iobinding: OrtIoBinding, run_options: OrtRunOptions | None = None) -> None:
        """Run on what is bound; with CUDA graphs a graph is replayed only with the binding that it was captured with."""
        assert isinstance(iobinding, FakeIoBinding)
        source, target = iobinding.tensors, iobinding.mattes
        tensors = source.data if isinstance(source, FakeOrtValue) else source
        assert tensors is not None
        self._note(len(tensors), run_options)
        if self._cuda_graphs:
            assert isinstance(run_options, FakeRunOptions)
            graph = run_options.entries["gpu_graph_id"]
            if self._graphs.setdefault(graph, iobinding) is not iobinding:
                raise FakeOrtFailure(f"graph {graph} was captured with other addresses")
        mattes = self._ort.network(tensors)
        if isinstance(target, FakeOrtValue):
            target.update_inplace(mattes)
        else:
            assert target is not None
            target.write(mattes)

    def end_profiling(self) -> str:
        """Return no trace."""
        return ""

    def _note(self, size: int, run_options: OrtRunOptions | None) -> None:
        entries = run_options.entries if isinstance(run_options, FakeRunOptions) else {}
        self.run_entries.append(dict(entries))
        self.sizes.append(size)
        if len(self.sizes) in self._ort.failing_runs or size > self._ort.largest_batch:
            raise FakeOrtFailure("CUDA failure 700: scripted")


@dataclass
class OpenedWith:
    """The arguments of one `InferenceSession`."""

    path: str
    options: OrtSessionOptions
    providers: tuple[ProviderEntry, ...]
    enable_fallback: int


class FakeOrt:
    """The module, scripted by its attributes."""

    __version__ = "0.0-fake"
    GraphOptimizationLevel = FakeEnum()
    ExecutionMode = FakeEnum()
    SessionOptions = FakeSessionOptions
    RunOptions = FakeRunOptions

    def __init__(
        self,
        *,
        available: Sequence[str] = (CPU,),
        working: Sequence[str] = (CPU,),
        preload_prints: str = "",
        session_error: Exception | None = None,
    ) -> None:
        """`available` is what the build lists, `working` what a session really gets."""
        self.available = list(available)
        self.working = set(working)
        self.preload_prints = preload_prints
        self.session_error = session_error
        self.failing_runs: set[int] = set()
        """Runs of each session that raise, counted from 1."""
        self.largest_batch = 1 << 30
        """A larger batch raises, as when the device's memory is full."""
        self.preloads = 0
        self.opened: list[OpenedWith] = []
        self.sessions: list[FakeSession] = []

    @property
    def OrtValue(self) -> "FakeOrt":
        """Make device tensors."""
        return self

    def ortvalue_from_shape_and_type(
        self, shape: Sequence[int], element_type: type[np.uint8], device_type: str, device_id: int
    ) -> FakeOrtValue:
        """Allocate on the imagined GPU."""
        return FakeOrtValue(np.zeros(tuple(shape), element_type), f"{device_type}:{device_id}")

    def get_available_providers(self) -> Sequence[str]:
        """List what the build has."""
        return self.available

    def preload_dlls(self) -> None:
        """Print the scripted complaints."""
        self.preloads += 1
        print(self.preload_prints)  # noqa: T201 (the real function prints, and so the engine must capture it)

    def InferenceSession(
        self,
        path_or_bytes: str,
        sess_options: OrtSessionOptions,
        providers: Sequence[ProviderEntry],
        *,
        enable_fallback: int,
    ) -> FakeSession:
        """Open a session on those of the wanted providers that work; the CPU is always the last resort."""
        self.opened.append(OpenedWith(path_or_bytes, sess_options, tuple(providers), enable_fallback))
        if self.session_error is not None:
            raise self.session_error
        names = [entry if isinstance(entry, str) else entry[0] for entry in providers]
        graphs = any(
            entry[1].get("enable_cuda_graph") == "1" for entry in providers if not isinstance(entry, str)
        )
        got = [name for name in names if name in self.working] or [CPU]
        self.sessions.append(FakeSession(self, got, graphs))
        return self.sessions[-1]

    def network(self, tensors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Answer the red channel: (n, side, side, 3) uint8 to (n, side, side) uint8."""
        return tensors[..., 0].copy()


def make_runtime(ort: FakeOrt) -> Runtime:
    """Wrap the scripted module as the loader does the real one."""
    return Runtime(ort, (FakeOrtFailure, RuntimeError, MemoryError))
