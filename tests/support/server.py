"""Real servers for tests: a process of its own (`running_server`), and an App on the test's own loop (`running_app`).

Nothing here sleeps. A process is followed by its log lines and by gRPC's own waiting; where the only witness is a counter, the
metrics are scraped again and again, and the scrape itself is the pause.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2
from prometheus_client import CollectorRegistry, generate_latest

from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from alphacut_server.app import App
from alphacut_server.settings import (
    BatchingSettings,
    EngineSettings,
    PipelineSettings,
    ServerSettings,
    Settings,
)
from support.rpc import BIG_MESSAGES

if TYPE_CHECKING:  # a class of the stubs' types alone
    from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceAsyncStub

HANG_S = 30.0
"""How long anything may take before it counts as a hang; never reached when all is well."""

EMULATED = {"ALPHACUT_MODEL": "emulated"}
SERVING = health_pb2.HealthCheckResponse.SERVING

_SAMPLE = re.compile(r"^(\w+(?<!_bucket)(?<!_created))(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

LogLine = Mapping[str, object]


def free_port() -> int:
    """Return a port nobody listens on at this moment; the metrics port has no way to tell which one it chose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_environ(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `settings` as its only ALPHACUT_* variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALPHACUT_")}
    return kept | {"ALPHACUT_LOG_FORMAT": "json"} | dict(settings)


def fetch_text(url: str) -> str:
    """Get a page; anything but 200 raises."""
    with urllib.request.urlopen(url, timeout=HANG_S) as reply:
        return str(reply.read().decode())


def samples(exposition: str) -> dict[str, float]:
    """Return name → value of a scrape, summed over labels; and for each label value also `name{label=value}`.

    Buckets are left out: this is read again and again while a server works on the same two cores.
    """
    found: dict[str, float] = {}
    for name, labels, value in _SAMPLE.findall(exposition):
        for key in (name, *(f"{name}{{{label}={text}}}" for label, text in _LABEL.findall(labels))):
            found[key] = found.get(key, 0.0) + float(value)
    return found


class ProcessLog:
    """The lines a process writes to one of its streams, as they come."""

    def __init__(self, stream: IO[str] | None) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        assert stream is not None, "the process was started without a pipe"
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """Return everything so far."""
        with self._changed:
            return "".join(self._lines)

    def await_line(self, fits: Callable[[str], bool]) -> str:
        """Return the first line that fits, waiting for it; fails when the process ends without one."""
        deadline_s = time.monotonic() + HANG_S
        with self._changed:
            while True:
                for line in self._lines:
                    if fits(line):
                        return line
                if self._ended or not self._changed.wait(deadline_s - time.monotonic()):
                    raise AssertionError("the line never came; the log was:\n" + "".join(self._lines))

    def await_event(self, event: str) -> LogLine:
        """Return the first event of that name, waiting for it."""
        line: LogLine = json.loads(self.await_line(lambda text: f'"event": "{event}"' in text))
        return line

    def join(self) -> None:
        """Wait until the process has closed the stream."""
        self._thread.join(HANG_S)

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class ServerProcess:
    """`python -m alphacut_server` with its log, its port and its metrics."""

    def __init__(self, settings: Mapping[str, str], arguments: Sequence[str] = ()) -> None:
        self._metrics_port = free_port()
        ports = {"ALPHACUT_GRPC_PORT": "0", "ALPHACUT_METRICS_PORT": str(self._metrics_port)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "alphacut_server", *arguments],
            env=own_environ(ports | dict(settings)),
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log = ProcessLog(self._process.stderr)

    @property
    def target(self) -> str:
        """Return HOST:PORT once the port is open."""
        return f"127.0.0.1:{self.log.await_event('port_opened')['grpc_port']}"

    @property
    def metrics_url(self) -> str:
        """Return where the metrics are."""
        return f"http://127.0.0.1:{self._metrics_port}/metrics"

    @property
    def pid(self) -> int:
        """Return the process's id."""
        return self._process.pid

    def await_serving(self) -> None:
        """Return when health says SERVING."""
        with grpc.insecure_channel(self.target) as channel:
            await_serving(channel)

    def metrics(self) -> dict[str, float]:
        """Scrape; see `samples`."""
        return samples(fetch_text(self.metrics_url))

    def await_metrics(self, holds: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        """Return the first scrape for which `holds` is true."""
        deadline_s = time.monotonic() + HANG_S
        while not holds(now := self.metrics()):
            if time.monotonic() > deadline_s:
                raise AssertionError(f"the metrics never said so; the last scrape was {now}")
        return now

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end; return the exit code."""
        code = self._process.wait(HANG_S)
        self.log.join()
        return code

    def stop(self) -> int:
        """Send SIGTERM, unless it has ended, and return the exit code."""
        if self._process.poll() is None:
            self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
        self.wait()


def await_serving(channel: grpc.Channel, service: str = "") -> None:
    """Return when health says SERVING: watched, not polled."""
    ask: grpc.UnaryStreamMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
    ask = channel.unary_stream(  # the stubs' types know no Watch
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    watch = ask(health_pb2.HealthCheckRequest(service=service), wait_for_ready=True, timeout=HANG_S)
    for answer in watch:
        if answer.status == SERVING:
            watch.cancel()
            return


@contextmanager
def starting_server(settings: Mapping[str, str], arguments: Sequence[str] = ()) -> Iterator[ServerProcess]:
    """Start a server and see to it that no process is left; the test ends it itself."""
    server = ServerProcess(settings, arguments)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def running_server(settings: Mapping[str, str]) -> Iterator[ServerProcess]:
    """Start a server, wait until it serves, and at the end stop it with SIGTERM: exit code 0 or the test fails."""
    with starting_server(settings) as server:
        server.await_serving()
        yield server
        code = server.stop()
        assert code == 0, f"exit code {code}; the log was:\n{server.log.text}"


@dataclass(frozen=True, slots=True)
class RunningApp:
    """An App in this process."""

    app: App
    target: str
    channel: grpc.aio.Channel
    stub: "BackgroundRemovalServiceAsyncStub"

    def metrics(self) -> dict[str, float]:
        """Scrape; see `samples`."""
        return scrape(self.app.registry)


def scrape(registry: CollectorRegistry) -> dict[str, float]:
    """Return what a registry holds; see `samples`."""
    return samples(generate_latest(registry).decode())


def emulated_settings(
    *,
    server: ServerSettings | None = None,
    batching: BatchingSettings | None = None,
    pipeline: PipelineSettings | None = None,
    base_ms: float = 1.0,
    item_ms: float = 0.5,
) -> Settings:
    """Return settings of a server with the emulated model, on a port of the system's choice, without metrics port."""
    return Settings(
        server=server or ServerSettings(grpc_port=0, metrics_port=0),
        batching=batching or BatchingSettings(),
        pipeline=pipeline or PipelineSettings(),
        engine=EngineSettings(model="emulated", emulated_base_ms=base_ms, emulated_item_ms=item_ms),
    )


@asynccontextmanager
async def running_app(
    settings: Settings | None = None, *, is_loaded: bool = True
) -> AsyncIterator[RunningApp]:
    """Run an App on this loop until the block ends, with one connection to it."""
    app = App(settings or emulated_settings())
    try:
        target = f"127.0.0.1:{await app.start()}"
        if is_loaded:
            await app.load()
        async with grpc.aio.insecure_channel(target, options=BIG_MESSAGES) as channel:
            yield RunningApp(app, target, channel, BackgroundRemovalServiceStub(channel))
    finally:
        await app.stop()
