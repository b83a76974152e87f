"""The allocator's settings, seen from a process of their own: they hold for the whole process."""

import subprocess
import sys

SCRIPT = """
import numpy, os
from alphacut_server.allocator import settle_allocator
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
assert settle_allocator()
blocks = [numpy.ones((8 << 20,), numpy.uint8) for _ in range(16)]
full = resident()
del blocks[::2]
print(full - resident())
"""


def test_large_blocks_go_back_at_once() -> None:
    """Freeing every other one of sixteen blocks of 8 MiB lowers resident memory, though the last one stays."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True, timeout=30
    )

    assert int(done.stdout) >= 8 * (8 << 20)
