"""The network on the CPU, through ONNX Runtime: full speed, and memory that follows the batch size down again."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from alphacut_server.engine.engine import EngineInfo, check_batch
from alphacut_server.engine.runtime import OrtRunOptions, OrtSession, OrtSessionOptions, Runtime
from alphacut_server.errors import EngineFailed


class ArenaPolicy(Enum):
    """What becomes of a run's working memory, which the runtime otherwise keeps for ever."""

    FOLLOW = "follow"
    """Keep it, and give it back when a batch is smaller than the one before."""
    SHRINK = "shrink"
    """Give it back after every run."""
    OFF = "off"
    """Take every tensor from the system and give it back at once."""


DEFAULT_ARENA = ArenaPolicy.FOLLOW
"""Chosen by measurement: u2netp at 320 px, ONNX Runtime 1.32.0, 2 threads of a shared AMD EPYC, 2026-11-23; the process
holds 80 MB before the first run. ms an image is the least of 6, MB resident after the runs of that batch size:

====================================  ==========  ==========  ========  ========  =================
arena, memory pattern                 ms, batch 1 ms, batch 2 MB, 1     MB, 2     MB, 1 to 4 mixed
====================================  ==========  ==========  ========  ========  =================
on, on (the runtime's default)        238         236         531       1049      2065
on, off                               242         236         340       598       1189
on, off, shrunk after every run       320         313         85        124       114
on, on, shrunk after every run        350         344         92        105       117
on, off, grown as requested           232         242         358       668       1545
off                                   456 (330)   359         91        90        99
====================================  ==========  ==========  ========  ========  =================

The memory pattern, one more block for every shape, costs 190 MB at batch 1 (u2net at 320 px: 796 instead of 717 MB in
all, ISNet at 1024 px: 1710 instead of 1063) and gains nothing. What is kept is not a
leak but the largest batch's need: 300 runs of batch 1 stayed at 341 MB. FOLLOW is `on, off` and shrinks only when a
batch is smaller than the one before it: 339 MB at batch 1, 598 at 2, 93 after the next run of 1, 339 from then on.
"""


@dataclass(frozen=True, slots=True)
class GraphNames:
    """The graph's two ends."""

    input_name: str
    """(n, side, side, 3) uint8, n symbolic."""
    output_name: str
    """(n, side, side) uint8."""


def cpu_session_options(
    runtime: Runtime, threads: int, arena: ArenaPolicy = DEFAULT_ARENA
) -> OrtSessionOptions:
    """Return the options of a session that shares its CPUs with decoding and encoding.

    threads: CPUs granted, 1 or more. Spinning is off: idle threads that spin take the cores from the work around the
    network, and alone on the machine it gains nothing (191 against 184 ms).
    """
    options = runtime.ort.SessionOptions()
    options.graph_optimization_level = runtime.ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = runtime.ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena is not ArenaPolicy.OFF
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors; its warnings are about the graph and tell an operator nothing
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


class OnnxEngine:
    """One session on the CPU."""

    def __init__(
        self,
        runtime: Runtime,
        session: OrtSession,
        info: EngineInfo,
        names: GraphNames,
        *,
        arena: ArenaPolicy = DEFAULT_ARENA,
    ) -> None:
        """Take over an open session; `arena` is the policy its options were made with."""
        self._session: OrtSession | None = session
        self._failures = runtime.failures
        self._info = info
        self._names = names
        self._arena = arena
        self._shrinking: OrtRunOptions = runtime.ort.RunOptions()
        self._shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._last_size = 0

    @property
    def info(self) -> EngineInfo:
        """Tell model, side, provider and the largest batch."""
        return self._info

    def infer(self, tensors: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Run one batch.

        tensors: 1 to max_batch_size arrays, each (side, side, 3) uint8 RGB; not modified.
        Returns (n, side, side) uint8 mattes, 255 is foreground; owned by the caller.
        Raises EngineFailed when the run fails, ValueError for a batch of another size or shape.
        """
        check_batch(tensors, self._info)
        if self._session is None:
            raise EngineFailed("The model has been unloaded.")
        # A batch of one needs no copy; the runtime copies what is not contiguous itself.
        batch = tensors[0][np.newaxis] if len(tensors) == 1 else np.stack(tensors)
        options = self._run_options(len(tensors))
        try:
            (mattes,) = self._session.run([self._names.output_name], {self._names.input_name: batch}, options)
        except self._failures as error:
            raise EngineFailed("The model could not be run on this batch.") from error
        return checked_mattes(mattes, len(tensors), self._info)

    def close(self) -> None:
        """Free the session and its memory."""
        self._session = None

    def _run_options(self, size: int) -> OrtRunOptions | None:
        is_smaller = size < self._last_size
        self._last_size = size
        if self._arena is ArenaPolicy.SHRINK or (self._arena is ArenaPolicy.FOLLOW and is_smaller):
            return self._shrinking
        return None


def checked_mattes(mattes: NDArray[np.uint8], size: int, info: EngineInfo) -> NDArray[np.uint8]:
    """Return `mattes` if they are (size, side, side) uint8, else raise EngineFailed: the graph is not a prepared one."""
    wanted = (size, info.side_px, info.side_px)
    if mattes.shape != wanted or mattes.dtype != np.uint8:
        raise EngineFailed("The model answered something that is no matte; prepare it again.")
    return mattes
