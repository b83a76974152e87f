"""How this process gives memory back: glibc's allocator, told once at start that pictures come and go.

By default glibc learns from large arrays that come and go to keep them, on an arena for each thread, and resident memory wanders:
100 MB at rest became 140 to 180 MB under mixed pictures of up to 2048x1536 px. With large blocks mapped, and so given back at
once, and one arena it stays at 129 MB, at the same CPU time (bench/soak.py with the emulated model, 2026-11-23). Mapping blocks
from 1 MiB on costs a fifth of the imaging time in page faults, from 4 MiB on nothing that could be measured.
"""

import ctypes

# From <malloc.h>.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_LARGE_BLOCK_BYTES = 4 << 20


def settle_allocator() -> bool:
    """Tell glibc; to be called before the first thread starts. False where the C library has no such knob (musl)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)) and bool(mallopt(_M_ARENA_MAX, 1))
