"""Starts a real alphacut server or gateway for a benchmark, on loopback, and ends it."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process that is measured."""

    pid: int

    def cpu_s(self) -> float:
        """Return the CPU seconds it has used."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def rss_bytes(self) -> int:
        """Return its resident memory."""
        return int(psutil.Process(self.pid).memory_info().rss)


@dataclass(frozen=True, slots=True)
class RunningServer(RunningProcess):
    """A server process and where it listens."""

    target: str
    metrics_url: str


@dataclass(frozen=True, slots=True)
class RunningGateway(RunningProcess):
    """A gateway process and where it listens."""

    host: str
    port: int


def free_port() -> int:
    """Return a port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(settings: Mapping[str, str]) -> Iterator[RunningServer]:
    """Run `python -m alphacut_server` with `settings` as its ALPHACUT_* environment until the block ends."""
    grpc_port, metrics_port = free_port(), free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ALPHACUT_")}
    environ |= {
        "ALPHACUT_GRPC_PORT": str(grpc_port),
        "ALPHACUT_METRICS_PORT": str(metrics_port),
        "ALPHACUT_LOG_LEVEL": "warning",
        **settings,
    }
    process = subprocess.Popen([sys.executable, "-m", "alphacut_server"], env=environ)
    try:
        target = f"127.0.0.1:{grpc_port}"
        _await_serving(process, target)
        yield RunningServer(process.pid, target, f"http://127.0.0.1:{metrics_port}/metrics")
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def running_floor(base_ms: float, item_ms: float) -> Iterator[RunningServer]:
    """Run bench/floor.py until the block ends."""
    port = free_port()
    script = Path(__file__).with_name("floor.py")
    costs = ("--base-ms", str(base_ms), "--item-ms", str(item_ms))
    process = subprocess.Popen([sys.executable, str(script), "--port", str(port), *costs])
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
        yield RunningServer(process.pid, f"127.0.0.1:{port}", "")
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await_serving(process: "subprocess.Popen[bytes]", target: str, timeout_s: float = 120.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    with grpc.insecure_channel(target) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < deadline_s:
            if process.poll() is not None:
                raise SystemExit(f"the server ended with exit code {process.returncode} before it served")
            try:
                answer = health.Check(  # type: ignore[attr-defined]  # its stubs forget the method
                    health_pb2.HealthCheckRequest(), timeout=1.0, wait_for_ready=True
                )
            except grpc.RpcError:
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            time.sleep(0.05)
    raise SystemExit(f"the server at {target} did not serve within {timeout_s:g} s")


@contextmanager
def running_gateway(server: RunningServer, settings: Mapping[str, str]) -> Iterator[RunningGateway]:
    """Run `python -m alphacut_gateway` in front of `server` until the block ends."""
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ALPHACUT_")}
    environ |= {
        "ALPHACUT_GATEWAY_TARGET": server.target,
        "ALPHACUT_HTTP_PORT": str(port),
        "ALPHACUT_GATEWAY_METRICS_PORT": "0",
        "ALPHACUT_LOG_LEVEL": "warning",
        **settings,
    }
    process = subprocess.Popen([sys.executable, "-m", "alphacut_gateway"], env=environ)
    try:
        _await_ready(process, port)
        yield RunningGateway(process.pid, "127.0.0.1", port)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _await_ready(process: "subprocess.Popen[bytes]", port: int, timeout_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise SystemExit(f"the gateway ended with exit code {process.returncode} before it was ready")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise SystemExit(f"the gateway on port {port} was not ready within {timeout_s:g} s")
