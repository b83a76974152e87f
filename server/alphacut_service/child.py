"""`python -m alphacut_service.child PARENT_PID MODULE [ARGS…]`: run a module as a program that does not outlive its parent.

Linux sends SIGTERM to this process when the parent is gone, however it went, so a killed supervisor leaves no orphans: the
program drains as it would for its operator.
"""

import ctypes
import os
import runpy
import signal
import sys
from types import FrameType
from typing import NoReturn

# From <linux/prctl.h>: the signal this process gets when its parent dies.
PR_SET_PDEATHSIG = 1


def follow_parent(parent_pid: int) -> bool:
    """Ask for SIGTERM when the parent dies. Return whether the parent is still there to follow."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # The parent may have died before prctl took effect; then this process belongs to somebody else already.
    return os.getppid() == parent_pid


def leave_quietly(_number: int, _frame: FrameType | None) -> NoReturn:
    """End a program that is told to stop before it has installed handlers of its own: nothing to drain, no traceback."""
    raise SystemExit(0)


def main() -> None:
    """Run the module of the command line as `__main__`."""
    parent_pid, module, *arguments = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave_quietly)
    if not follow_parent(int(parent_pid)):
        raise SystemExit(0)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
