"""A device without weights: takes a known time, leaves the CPU alone, and answers what only its own input could give.

It exists to measure the server around the model, so it must cost next to nothing itself and must show a mix-up:
each item's matte is an ellipse derived from a digest of that item's tensor.
"""

import threading
import time
from collections.abc import Sequence
from hashlib import sha1
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from alphacut_server.engine.engine import EngineInfo, Provider, check_batch
from alphacut_server.errors import EngineFailed

EMULATED_MODEL = "emulated"
"""The model's id on the wire and in settings."""

_CENTRE = (0.35, 0.65)
"""Range of the ellipse's centre, as a share of the side."""
_SEMI_AXIS = (0.12, 0.28)
"""Range of the semi-axes, as a share of the side; with the centre's range the ellipse never touches the border."""
_MIN_SIDE_PX = 32
"""Below it the rim would reach the border."""
_SUBPIXEL_BITS = 8
"""Centre and axes are drawn to 1/256 px; with the smoothed rim a shift of a fraction of a pixel changes some grey value."""


class DeviceTime(Protocol):
    """A monotonic clock that can be waited for; tests replace it."""

    def now(self) -> float:
        """Return the present instant, s."""
        ...

    def sleep_until(self, at_s: float) -> None:
        """Return at `at_s` or as soon after as the system can; at once when it has passed."""
        ...


class RealDeviceTime:
    """The machine's monotonic clock and its sleep, which takes no CPU."""

    def now(self) -> float:
        """Return the present instant, s."""
        return time.monotonic()

    def sleep_until(self, at_s: float) -> None:
        """Sleep until `at_s`."""
        remaining_s = at_s - time.monotonic()
        if remaining_s > 0:
            time.sleep(remaining_s)


class EmulatedEngine:
    """Occupies itself exclusively for base + n * item milliseconds a batch of n."""

    def __init__(
        self,
        *,
        base_ms: float = 8.0,
        item_ms: float = 1.0,
        side_px: int = 64,
        max_batch_size: int = 16,
        device_time: DeviceTime | None = None,
    ) -> None:
        """Set the cost: `base_ms` a batch and `item_ms` an item, both 0 or more; `side_px` 32 or more."""
        if base_ms < 0 or item_ms < 0:
            raise ValueError(f"emulated device: negative time, base {base_ms} ms, item {item_ms} ms")
        if side_px < _MIN_SIDE_PX or max_batch_size < 1:
            raise ValueError(f"emulated device: side {side_px} px, batch {max_batch_size}")
        self._info = EngineInfo(EMULATED_MODEL, side_px, Provider.EMULATED, max_batch_size)
        self._base_s = base_ms / 1e3
        self._item_s = item_ms / 1e3
        self._time = device_time or RealDeviceTime()
        self._device = threading.Lock()
        self._is_closed = False

    @property
    def info(self) -> EngineInfo:
        """Tell side and largest batch."""
        return self._info

    def infer(self, tensors: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Answer one ellipse an item after the batch's time is over.

        tensors: 1 to max_batch_size arrays, each (side, side, 3) uint8; not modified.
        Returns (n, side, side) uint8, see `expected_matte`; owned by the caller.
        Cost: some 20 us of CPU an item at 64 px, spent inside the emulated time, which counts from the device's
        being free to an absolute end, so that nothing is added to it.
        """
        check_batch(tensors, self._info)
        with self._device:
            if self._is_closed:
                raise EngineFailed("The emulated device is closed.")
            end_s = self._time.now() + self._base_s + self._item_s * len(tensors)
            mattes = np.zeros((len(tensors), self._info.side_px, self._info.side_px), np.uint8)
            for tensor, matte in zip(tensors, mattes, strict=True):
                _draw_ellipse(tensor, matte)
            self._time.sleep_until(end_s)
        return mattes

    def close(self) -> None:
        """Refuse further batches; the one that runs ends first."""
        with self._device:
            self._is_closed = True


def expected_matte(tensor: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw what the emulated device answers for one tensor.

    tensor: (side, side, 3) uint8, side 32 or more, not modified. Returns (side, side) uint8: 255 inside an ellipse, 0
    outside, a rim of one to two pixels between; centre and axes depend on every byte of the tensor and on nothing else.
    """
    matte = np.zeros(tensor.shape[:2], np.uint8)
    _draw_ellipse(tensor, matte)
    return matte


def _draw_ellipse(tensor: NDArray[np.uint8], matte: NDArray[np.uint8]) -> None:
    """Write the ellipse into `matte`, (side, side) uint8 and zero before; 12 us at 64 px."""
    digest = sha1(np.ascontiguousarray(tensor).data, usedforsecurity=False).digest()
    side = (matte.shape[0] - 1) << _SUBPIXEL_BITS
    fractions = [int.from_bytes(digest[at : at + 2]) / 65535 for at in (0, 2, 4, 6)]
    centre = [round(side * (_CENTRE[0] + part * (_CENTRE[1] - _CENTRE[0]))) for part in fractions[:2]]
    axes = [round(side * (_SEMI_AXIS[0] + part * (_SEMI_AXIS[1] - _SEMI_AXIS[0]))) for part in fractions[2:]]
    cv2.ellipse(matte, centre, axes, 0, 0, 360, 255, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)
