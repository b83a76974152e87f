"""A running batcher for each test that asks for one."""

from collections.abc import Callable, Iterator

import pytest

from support.batching import Rig, start_rig, stop_rig


@pytest.fixture
def make_rig() -> Iterator[Callable[..., Rig]]:
    """Start batchers that are stopped, device and all, when the test ends."""
    rigs: list[Rig] = []

    def make(*, max_batch_size: int = 16, max_queue: int = 64) -> Rig:
        rigs.append(start_rig(max_batch_size=max_batch_size, max_queue=max_queue))
        return rigs[-1]

    yield make
    for rig in rigs:
        stop_rig(rig)


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """Start one such batcher."""
    return make_rig()
