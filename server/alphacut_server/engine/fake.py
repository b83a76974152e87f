"""An engine for tests: exact, recorded, and broken or blocked on demand."""

import threading
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from alphacut_server.engine.engine import EngineInfo, Provider, check_batch
from alphacut_server.errors import EngineFailed

_HOLD_LIMIT_S = 30.0
"""A test that forgets `release` fails after this, instead of hanging the run."""


class FakeEngine:
    """Answers each tensor's red channel; keeps every batch; fails and blocks when told to."""

    def __init__(
        self,
        *,
        side_px: int = 8,
        max_batch_size: int = 4,
        provider: Provider = Provider.CPU,
        fail_on: Collection[int] = (),
        model: str = "fake",
    ) -> None:
        """`fail_on` holds the calls that raise EngineFailed, counted from 1."""
        self._info = EngineInfo(model, side_px, provider, max_batch_size)
        self._fail_on = frozenset(fail_on)
        self._open_gate = threading.Event()
        self._open_gate.set()
        self.batches: list[NDArray[np.uint8]] = []
        """Every batch that arrived, failed ones included: (n, side, side, 3) uint8 copies."""
        self.entered = threading.Event()
        """Set as soon as a call is inside `infer`; tests wait for it and clear it."""
        self.is_closed = False

    @property
    def info(self) -> EngineInfo:
        """Tell model, side, provider and the largest batch."""
        return self._info

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Tell the size of every batch so far, in order."""
        return tuple(len(batch) for batch in self.batches)

    def hold(self) -> None:
        """Make calls wait inside the device until `release`."""
        self._open_gate.clear()

    def release(self) -> None:
        """Let waiting and later calls through."""
        self._open_gate.set()

    def infer(self, tensors: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Return (n, side, side) uint8, the red channels; raises EngineFailed on the calls in `fail_on`."""
        check_batch(tensors, self._info)
        batch = np.stack(tensors)
        self.batches.append(batch)
        call = len(self.batches)
        self.entered.set()
        if not self._open_gate.wait(_HOLD_LIMIT_S):
            raise EngineFailed("The fake engine was held and never released.")
        if call in self._fail_on or self.is_closed:
            raise EngineFailed("The fake engine failed as told.")
        return batch[..., 0].copy()

    def close(self) -> None:
        """Fail every later call."""
        self.is_closed = True
