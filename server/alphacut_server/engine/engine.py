"""What the batcher's thread needs of a device: tensors in, mattes out. Knows no requests, deadlines or files."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Provider(Enum):
    """Where the network really runs."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    EMULATED = "emulated"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine tells of itself."""

    model: str
    """The catalogue's id."""
    side_px: int
    """Side of the square tensors and mattes."""
    provider: Provider
    """Where it really runs, read back from the runtime, not what was asked for."""
    max_batch_size: int
    """The most items one `infer` may be given."""
    depth: int = 1
    """How many threads may be inside `infer` at once: with 2 the second lays its tensors out while the first runs."""


class Engine(Protocol):
    """One loaded model on one device; called by at most `info.depth` threads at a time."""

    @property
    def info(self) -> EngineInfo:
        """Tell model, side, provider and the largest batch."""
        ...

    def infer(self, tensors: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Run one batch.

        tensors: 1 to max_batch_size arrays, each (side, side, 3) uint8 RGB; not modified.
        Returns (n, side, side) uint8 mattes, 255 is foreground; owned by the caller.
        Raises EngineFailed when the device call fails, ValueError for a batch of another size or shape.
        """
        ...

    def close(self) -> None:
        """Free the device; idempotent."""
        ...


def check_batch(tensors: Sequence[NDArray[np.uint8]], info: EngineInfo) -> None:
    """Raise ValueError unless `tensors` are 1 to max_batch_size arrays, each (side, side, 3) uint8."""
    if not 1 <= len(tensors) <= info.max_batch_size:
        raise ValueError(f"batch: wanted 1 to {info.max_batch_size} tensors, got {len(tensors)}")
    wanted = (info.side_px, info.side_px, 3)
    for index, tensor in enumerate(tensors):
        if tensor.shape != wanted or tensor.dtype != np.uint8:
            raise ValueError(f"tensor {index}: wanted {wanted} uint8, got {tensor.shape} {tensor.dtype}")
