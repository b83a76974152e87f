"""The CPU count is the container's, read from trees as Linux shows them."""

import os
from pathlib import Path

import pytest

from alphacut_server.engine.cpus import cpu_limit, limit_from, quota_cpus


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """Make the files of an imagined machine."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = {"proc/self/cgroup": "0::/kubepods/pod7/box\n"}
V1 = {"proc/self/cgroup": "12:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n0::/docker/ab\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (V2, None),
        (V2 | {"sys/fs/cgroup/kubepods/pod7/box/cpu.max": "max 100000\n"}, None),
        (V2 | {"sys/fs/cgroup/kubepods/pod7/box/cpu.max": "150000 100000\n"}, 1.5),
        # In the container's own cgroup namespace the limit stands at the mount's root.
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2.0),
        # The host's path may be shown though only the container's part is mounted.
        (V2 | {"sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3.0),
        ({"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        # The pod's limit is tighter than the container's.
        (
            V2
            | {
                "sys/fs/cgroup/kubepods/pod7/box/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/kubepods/pod7/cpu.max": "250000 100000\n",
            },
            2.5,
        ),
        (
            V1
            | {
                "sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "350000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us": "100000\n",
            },
            3.5,
        ),
        (
            V1
            | {
                "sys/fs/cgroup/cpu/docker/ab/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/docker/ab/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        # Another controller's folder is not asked.
        (
            {
                "proc/self/cgroup": "3:cpuset:/x\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        (V2 | {"sys/fs/cgroup/cpu.max": "garbage\n"}, None),
        (V2 | {"sys/fs/cgroup/cpu.max": "100000 0\n"}, None),
    ],
)
def test_the_tightest_quota_on_the_way_up_counts(
    tmp_path: Path, files: dict[str, str], expected: float | None
) -> None:
    """Both cgroup versions, with and without a limit, seen from inside and outside of a container."""
    root = write_tree(tmp_path, files)

    quota = quota_cpus(root)

    assert quota == expected


@pytest.mark.parametrize(
    ("affinity", "quota", "expected"), [(8, None, 8), (8, 2.0, 2), (8, 1.5, 2), (2, 6.0, 2), (4, 0.25, 1)]
)
def test_threads_are_the_smaller_of_mask_and_rounded_up_quota(
    affinity: int, quota: float | None, expected: int
) -> None:
    """A part of a CPU counts as one: it can be used, if not all the time."""
    limit = limit_from(affinity, quota)

    assert limit == expected


def test_this_machine_grants_between_one_and_its_mask() -> None:
    """The real reading gives something a thread pool can be made of."""
    limit = cpu_limit()

    assert 1 <= limit <= len(os.sched_getaffinity(0))
