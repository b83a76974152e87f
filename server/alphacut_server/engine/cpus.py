"""How many CPUs this process may really use: the container's limit, not the host's count."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_PROC_CGROUP = Path("proc/self/cgroup")
_MOUNT = Path("sys/fs/cgroup")
_V1_CPU_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def cpu_limit() -> int:
    """Count the CPUs granted: the smaller of the affinity mask and the cgroup's quota, at least 1."""
    return limit_from(len(os.sched_getaffinity(0)), quota_cpus(Path("/")))


def limit_from(affinity: int, quota: float | None) -> int:
    """Combine mask and quota.

    A quota of 1.5 CPUs gives 2 threads: the work is throttled to 1.5 either way, and one thread would leave a third
    of what was granted.
    """
    return max(1, affinity if quota is None else min(affinity, math.ceil(quota)))


def quota_cpus(root: Path) -> float | None:
    """Read the tightest CPU quota on the way from this process's cgroup to the top, in CPUs; None when there is none.

    root: the file system's root; tests hand in a tree of their own. Knows cgroup v2 (`cpu.max`) and v1
    (`cpu.cfs_quota_us` over `cpu.cfs_period_us`); what cannot be read counts as unlimited.
    """
    quotas = (_read_quota(folder) for folder in _cgroup_folders(root))
    return min((quota for quota in quotas if quota is not None), default=None)


def _cgroup_folders(root: Path) -> Iterator[Path]:
    """Yield this process's cgroup folders and all above them, up to the mounts."""
    for line in _read(root / _PROC_CGROUP).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = [root / _MOUNT / name for name in _V1_CPU_MOUNTS] if controllers else [root / _MOUNT]
        # Inside a container the path may be the host's and not exist under the mount: its limit then stands in the
        # mount's own root, which is among the folders tried.
        steps = [step for step in path.split("/") if step not in ("", "..")]
        for mount in mounts:
            for depth in range(len(steps), -1, -1):
                yield mount.joinpath(*steps[:depth])


def _read_quota(folder: Path) -> float | None:
    words = _read(folder / "cpu.max").split() or [
        *_read(folder / "cpu.cfs_quota_us").split(),
        *_read(folder / "cpu.cfs_period_us").split(),
    ]
    try:
        quota, period = (float(word) for word in words)
    except ValueError:  # "max", an absent file, or something else that is no pair of numbers
        return None
    return quota / period if quota > 0 and period > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
