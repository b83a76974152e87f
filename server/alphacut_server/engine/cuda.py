"""The network on an NVIDIA GPU: ONNX Runtime's CUDA or TensorRT provider with bound, pinned, reused buffers.

Without CUDA graphs a batch runs at its exact size: compute grows with the size, and padding 9 items to 16 would cost
almost the double. With them it is padded up to its bucket, since a graph is captured for one shape; the padding holds
whatever lay there before and its mattes are dropped. Items do not see each other in the network, so neither changes a
result.

Two threads may be in `infer`: one lays its tensors out in pinned memory while the other's batch is on the device.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alphacut_server.engine.buffers import BufferPool, HostBuffer, HostPinner, bucket_for, bucket_sizes
from alphacut_server.engine.engine import EngineInfo, check_batch
from alphacut_server.engine.onnx import GraphNames
from alphacut_server.engine.runtime import (
    OrtIoBinding,
    OrtRunOptions,
    OrtSession,
    OrtSessionOptions,
    OrtValue,
    Runtime,
)
from alphacut_server.errors import EngineFailed


@dataclass(frozen=True, slots=True)
class _CapturedBucket:
    """What a CUDA graph refers to by address: never replaced once the graph is captured."""

    tensors: OrtValue
    mattes: OrtValue
    binding: OrtIoBinding
    options: OrtRunOptions


def gpu_session_options(runtime: Runtime) -> OrtSessionOptions:
    """Return the options of a session on a GPU: one CPU thread, for the few nodes that the GPU does not take."""
    options = runtime.ort.SessionOptions()
    options.graph_optimization_level = runtime.ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = runtime.ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


class CudaEngine:
    """One session on one GPU."""

    def __init__(
        self,
        runtime: Runtime,
        session: OrtSession,
        info: EngineInfo,
        names: GraphNames,
        *,
        pinner: HostPinner,
        device_id: int = 0,
        cuda_graphs: bool = False,
    ) -> None:
        """Take over an open session; `cuda_graphs` as it was opened with. Buffers are allocated by the first batches."""
        self._session: OrtSession | None = session
        self._runtime = runtime
        self._info = info
        self._names = names
        self._device_id = device_id
        self._cuda_graphs = cuda_graphs
        self._buckets = bucket_sizes(info.max_batch_size)
        self._pool = BufferPool(info.side_px, self._buckets, depth=info.depth, pinner=pinner)
        self._captured: dict[int, _CapturedBucket] = {}
        self._binding: OrtIoBinding | None = None
        self._device = threading.Lock()

    @property
    def info(self) -> EngineInfo:
        """Tell model, side, provider and the largest batch."""
        return self._info

    def infer(self, tensors: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Run one batch.

        tensors: 1 to max_batch_size arrays, each (side, side, 3) uint8 RGB; not modified.
        Returns (n, side, side) uint8 mattes, 255 is foreground; owned by the caller.
        Raises EngineFailed when the device call fails, ValueError for a batch of another size or shape.
        """
        check_batch(tensors, self._info)
        try:
            with self._pool.borrow(len(tensors)) as buffer:
                np.stack(tensors, out=buffer.tensors[: len(tensors)])
                with self._device:
                    self._run(buffer, len(tensors))
                return buffer.mattes[: len(tensors)].copy()
        except self._runtime.failures as error:
            raise EngineFailed("The model could not be run on this batch.") from error

    def close(self) -> None:
        """Free the session, its device memory and the pinned buffers; a batch under way ends first."""
        with self._device:
            self._session = None
            self._binding = None
            self._captured.clear()
        self._pool.close()

    def _run(self, buffer: HostBuffer, size: int) -> None:
        """Run the first `size` items of the buffer's tensors, into its mattes."""
        if self._session is None:
            raise EngineFailed("The model has been unloaded.")
        if self._cuda_graphs:
            self._run_captured(self._session, buffer, size)
        else:
            self._run_bound(self._session, buffer, size)

    def _run_bound(self, session: OrtSession, buffer: HostBuffer, size: int) -> None:
        """Run exactly `size` items; the runtime copies both ways between its own device arena and our buffers."""
        if self._binding is None:
            self._binding = session.io_binding()
        mattes = buffer.mattes[:size]
        self._binding.bind_cpu_input(self._names.input_name, buffer.tensors[:size])
        self._binding.bind_output(
            self._names.output_name,
            device_type="cpu",
            device_id=0,
            element_type=np.uint8,
            shape=mattes.shape,
            buffer_ptr=mattes.ctypes.data,
        )
        session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def _run_captured(self, session: OrtSession, buffer: HostBuffer, size: int) -> None:
        """Run the bucket's graph; the first run of a bucket captures it."""
        bucket = bucket_for(size, self._buckets)
        captured = self._captured.get(bucket)
        if captured is None:
            captured = self._captured[bucket] = self._bind_bucket(session, bucket)
        captured.tensors.update_inplace(buffer.tensors[:bucket])
        session.run_with_iobinding(captured.binding, captured.options)
        captured.binding.synchronize_outputs()
        buffer.mattes[:size] = captured.mattes.numpy()[:size]

    def _bind_bucket(self, session: OrtSession, bucket: int) -> _CapturedBucket:
        side = self._info.side_px
        allocate = self._runtime.ort.OrtValue.ortvalue_from_shape_and_type
        tensors = allocate((bucket, side, side, 3), np.uint8, "cuda", self._device_id)
        mattes = allocate((bucket, side, side), np.uint8, "cuda", self._device_id)
        binding = session.io_binding()
        binding.bind_ortvalue_input(self._names.input_name, tensors)
        binding.bind_ortvalue_output(self._names.output_name, mattes)
        options = self._runtime.ort.RunOptions()
        # One captured graph for each bucket; without an id all of them would share, and replay, the first.
        options.add_run_config_entry("gpu_graph_id", str(bucket))
        return _CapturedBucket(tensors, mattes, binding, options)
