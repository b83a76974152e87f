"""`alphacut serve` as an operator runs it: one command, two programs, one signal."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import pytest

from alphacut import Client
from support.images import small_png
from support.server import EMULATED, HANG_S, ProcessLog, free_port, own_environ

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


@dataclass(frozen=True, slots=True)
class Serving:
    """The command's process, what it prints, and where its programs listen."""

    process: "subprocess.Popen[str]"
    screen: ProcessLog
    log: ProcessLog
    grpc: str
    http: str


@contextmanager
def serve() -> Iterator[Serving]:
    """Run `alphacut serve` in a session of its own, with the emulated accelerator."""
    ports = {
        name: str(free_port())
        for name in (
            "ALPHACUT_GRPC_PORT",
            "ALPHACUT_HTTP_PORT",
            "ALPHACUT_METRICS_PORT",
            "ALPHACUT_GATEWAY_METRICS_PORT",
        )
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "alphacut", "serve"],
        env=own_environ(EMULATED | ports),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Serving(
            process,
            ProcessLog(process.stdout),
            ProcessLog(process.stderr),
            f"127.0.0.1:{ports['ALPHACUT_GRPC_PORT']}",
            f"127.0.0.1:{ports['ALPHACUT_HTTP_PORT']}",
        )
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(HANG_S)


def ready_status(address: str) -> int:
    """Ask /readyz."""
    connection = http.client.HTTPConnection(address, timeout=HANG_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_is_ready_when_a_cut_out_works_and_leaves_nothing_behind() -> None:
    """Readiness, addresses, a cut-out, then signals to the whole group: exit code 0 and no process left."""
    with serve() as serving, Client(serving.grpc) as client:
        serving.log.await_event("gateway_started")
        statuses: list[int] = []
        deadline_s = time.monotonic() + HANG_S
        while (status := ready_status(serving.http)) != 200:
            assert serving.process.poll() is None
            assert time.monotonic() < deadline_s
            statuses.append(status)
        mask = client.remove_background(small_png(1), mode="fg-mask", timeout_s=5.0)
        serving.screen.await_line(lambda line: "alphacut is ready." in line)
        serving.screen.await_line(lambda line: "Stop:" in line)
        programs = psutil.Process(serving.process.pid).children(recursive=True)

        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            os.killpg(serving.process.pid, number)
        code = serving.process.wait(HANG_S)

    assert (mask.width, mask.height) == (32, 24)
    assert set(statuses) <= {503}
    assert serving.grpc in serving.screen.text
    assert f"http://{serving.http}/" in serving.screen.text
    assert code == 0
    assert len(programs) == 2
    assert not any(program.is_running() for program in programs)
