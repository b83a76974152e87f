"""A caller who goes away takes the work along: nothing that still waited costs device time."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from support.images import small_png
from support.rpc import request_for
from support.server import EMULATED, HANG_S, ServerProcess, own_environ, running_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

# One at a time and slow, so that whoever comes second waits for 300 ms.
SLOW_DEVICE = {
    **EMULATED,
    "ALPHACUT_EMULATED_BASE_MS": "300",
    "ALPHACUT_EMULATED_ITEM_MS": "0",
    "ALPHACUT_BATCHING_MAX_BATCH_SIZE": "1",
}
CALLS = 20
STREAM_WINDOW = 16
"""The server's default: so many pictures of one stream are in work."""


@pytest.fixture(scope="module")
def slow_server() -> Iterator[ServerProcess]:
    """Run a server whose device takes 300 ms for each picture."""
    with running_server(SLOW_DEVICE) as server:
        yield server


@contextmanager
def caller_process(target: str, calls: int, kind: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a process with so many calls under way; it is gone after the block, whatever it did."""
    client = subprocess.Popen(
        [sys.executable, "-m", "support.caller", target, str(calls), kind],
        cwd=Path(__file__).parents[1],
        env=own_environ({}),
    )
    try:
        yield client
    finally:
        client.kill()
        client.wait(HANG_S)


def in_queue(now: dict[str, float]) -> float:
    """Return how many pictures prepare, wait or run."""
    return now["alphacut_queue_depth"]


def device_items(now: dict[str, float]) -> float:
    """Return how many pictures the device has been given."""
    return now.get("alphacut_batch_size_sum", 0.0)


@pytest.mark.parametrize("kind", ["unary", "stream"])
def test_killing_a_client_frees_its_places_without_an_inference(
    slow_server: ServerProcess, kind: str
) -> None:
    """Of twenty calls the device sees those alone that it had begun when the process was killed."""
    before = device_items(slow_server.metrics())
    in_work = CALLS if kind == "unary" else STREAM_WINDOW

    with caller_process(slow_server.target, CALLS, kind) as client:
        slow_server.await_metrics(lambda now: in_queue(now) == in_work)
        client.send_signal(signal.SIGKILL)
        client.wait(HANG_S)
    freed = slow_server.await_metrics(lambda now: now["alphacut_calls_open"] == 0 and in_queue(now) == 0)

    # One ran when all were there; a busy test machine may take another 600 ms to see that, and to kill.
    begun = device_items(freed) - before
    assert 1 <= begun <= 3
    assert freed["alphacut_dropped_total{reason=cancelled}"] >= 1
    # Whoever comes next finds a free device, and nobody of the dead client's beside it.
    with grpc.insecure_channel(slow_server.target) as channel:
        answer = BackgroundRemovalServiceStub(channel).RemoveBackground(
            request_for(small_png(1)), timeout=HANG_S
        )
    assert answer.batch_size == 1
    assert device_items(slow_server.metrics()) == before + begun + 1


def test_a_cancelled_call_leaves_its_neighbours_alone(slow_server: ServerProcess) -> None:
    """One of three callers gives up; the two others are answered."""
    with grpc.insecure_channel(slow_server.target) as channel:
        stub = BackgroundRemovalServiceStub(channel)
        calls = [
            stub.RemoveBackground.future(request_for(small_png(seed)), timeout=HANG_S) for seed in range(3)
        ]
        slow_server.await_metrics(lambda now: in_queue(now) == 3)

        calls[1].cancel()

        assert calls[0].result().batch_size == 1
        assert calls[2].result().batch_size == 1
        assert calls[1].cancelled()
