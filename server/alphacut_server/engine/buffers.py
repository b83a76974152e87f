"""Host memory that batches are laid out in, kept from run to run and locked in RAM so that the GPU can fetch it itself."""

import ctypes
import math
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray


def bucket_sizes(max_batch_size: int) -> tuple[int, ...]:
    """List the powers of two up to the limit, and the limit itself: 1, 2, 4, 8, 12 for 12."""
    powers = tuple(1 << exponent for exponent in range(max_batch_size.bit_length()))
    return powers if powers[-1] == max_batch_size else (*powers, max_batch_size)


def bucket_for(size: int, buckets: tuple[int, ...]) -> int:
    """Return the smallest bucket that holds `size` items; raises ValueError when none does."""
    for bucket in buckets:
        if bucket >= size:
            return bucket
    raise ValueError(f"no bucket of {buckets} holds {size} items")


class HostPinner(Protocol):
    """Locks host memory for the GPU's own copy engine."""

    def pin(self, address: int, size_bytes: int) -> bool:
        """Lock the pages; False when that is not possible, and the copies are slower then."""
        ...

    def unpin(self, address: int) -> None:
        """Unlock what `pin` locked at this address."""
        ...


class NoPinner:
    """Locks nothing: for runs without CUDA's library."""

    def pin(self, address: int, size_bytes: int) -> bool:
        """Return False."""
        return False

    def unpin(self, address: int) -> None:
        """Do nothing."""


class _CFunction(Protocol):
    """A function of a C library."""

    argtypes: tuple[type, ...]

    def __call__(self, *arguments: int) -> int:
        """Call it."""
        ...


class CudaLibrary(Protocol):
    """The two functions of libcudart that are used."""

    @property
    def cudaHostRegister(self) -> _CFunction:
        """Lock pages."""
        ...

    @property
    def cudaHostUnregister(self) -> _CFunction:
        """Unlock pages."""
        ...


class CudaPinner:
    """Locks memory through the CUDA runtime library that ONNX Runtime has loaded.

    ONNX Runtime's Python interface cannot allocate pinned memory, but CUDA recognises registered pages in any copy.
    """

    _SONAMES = ("libcudart.so.13", "libcudart.so.12")
    _PORTABLE = 1
    """cudaHostRegisterPortable: pinned for every context of the process, the runtime's included."""

    def __init__(self, library: CudaLibrary) -> None:
        """`library` is libcudart."""
        self._register = library.cudaHostRegister
        self._register.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)
        self._unregister = library.cudaHostUnregister
        self._unregister.argtypes = (ctypes.c_void_p,)

    @classmethod
    def find(cls) -> "HostPinner":
        """Return a pinner over the libcudart this process already has; a NoPinner when it has none."""
        for soname in cls._SONAMES:
            try:
                return cls(cast(CudaLibrary, ctypes.CDLL(soname, mode=os.RTLD_NOLOAD | os.RTLD_NOW)))
            except OSError:
                continue
        return NoPinner()

    def pin(self, address: int, size_bytes: int) -> bool:
        """Lock the pages; False when the driver refuses, as under a low limit of locked memory."""
        return self._register(address, size_bytes, self._PORTABLE) == 0

    def unpin(self, address: int) -> None:
        """Unlock them."""
        self._unregister(address)


@dataclass(eq=False, slots=True)
class HostBuffer:
    """Room for one batch on its way in and out."""

    tensors: NDArray[np.uint8]
    """(capacity, side, side, 3) uint8 RGB."""
    mattes: NDArray[np.uint8]
    """(capacity, side, side) uint8."""
    is_pinned: bool

    @property
    def capacity(self) -> int:
        """Tell how many items it holds."""
        return len(self.tensors)


class BufferPool:
    """At most `depth` buffers, each grown to the largest bucket it has had to hold and then kept."""

    def __init__(self, side_px: int, buckets: tuple[int, ...], *, depth: int, pinner: HostPinner) -> None:
        """Allocate nothing yet."""
        self._side_px = side_px
        self._buckets = buckets
        self._pinner = pinner
        self._free: list[HostBuffer | None] = [None] * depth
        self._available = threading.Condition()
        self._is_closed = False

    @contextmanager
    def borrow(self, size: int) -> Iterator[HostBuffer]:
        """Lend a buffer for at least `size` items; waits while all are lent.

        Memory is allocated only when no free buffer is large enough, in steps of the buckets; raises MemoryError.
        """
        bucket = bucket_for(size, self._buckets)
        with self._available:
            self._available.wait_for(lambda: bool(self._free))
            # The smallest that fits, else the smallest of all, which is then replaced.
            index = min(range(len(self._free)), key=lambda i: _rank(self._free[i], bucket))
            buffer = self._free.pop(index)
        try:
            if buffer is None or buffer.capacity < bucket:
                buffer = self._replace(buffer, bucket)
            yield buffer
        finally:
            with self._available:
                if self._is_closed and buffer is not None:
                    self._release(buffer)
                    buffer = None
                self._free.append(buffer)
                self._available.notify()

    def close(self) -> None:
        """Unlock and free what is not lent; what is lent follows when it comes back."""
        with self._available:
            self._is_closed = True
            for buffer in self._free:
                if buffer is not None:
                    self._release(buffer)
            self._free = [None] * len(self._free)

    def _replace(self, old: HostBuffer | None, capacity: int) -> HostBuffer:
        if old is not None:
            self._release(old)
        side = self._side_px
        tensors = _page_aligned((capacity, side, side, 3))
        mattes = _page_aligned((capacity, side, side))
        pinned = [self._pinner.pin(array.ctypes.data, array.nbytes) for array in (tensors, mattes)]
        for is_pinned, array in zip(pinned, (tensors, mattes), strict=True):
            if is_pinned and not all(pinned):
                self._pinner.unpin(array.ctypes.data)
        return HostBuffer(tensors, mattes, all(pinned))

    def _release(self, buffer: HostBuffer) -> None:
        if buffer.is_pinned:
            for array in (buffer.tensors, buffer.mattes):
                self._pinner.unpin(array.ctypes.data)
            buffer.is_pinned = False


def _rank(buffer: HostBuffer | None, bucket: int) -> tuple[bool, int]:
    capacity = 0 if buffer is None else buffer.capacity
    return capacity < bucket, capacity


def _page_aligned(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Allocate whole pages, which is what can be locked; the memory goes when the array does."""
    size_bytes = math.prod(shape)
    try:
        pages = mmap.mmap(-1, size_bytes)
    except OSError as error:
        raise MemoryError(f"no {size_bytes} bytes for a batch") from error
    return np.frombuffer(pages, np.uint8, count=size_bytes).reshape(shape)
