"""The gateway as a process: ports, signals, exit."""

import asyncio
import http.client
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphacut_gateway.__main__ import main
from alphacut_gateway.serving import serve
from alphacut_gateway.settings import GatewaySection
from alphacut_service.addresses import PortUnusable, open_listener
from support.process_signals import restored_handlers, signal_self
from support.supervision import child_environ

# Nothing listens on port 1, and nobody may without rights.
NO_SERVER = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Keep the test run's own handlers."""
    with restored_handlers():
        yield


class StartedPort(logging.Handler):
    """Tells the port of the gateway once its start is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def emit(self, record: logging.LogRecord) -> None:
        """Take the port from the event."""
        if record.getMessage() == "gateway_started":
            self.port.set_result(vars(record)["http_port"])


async def start(settings: GatewaySection) -> tuple["asyncio.Task[None]", str]:
    """Serve in the background; return the task and the address."""
    logger = logging.getLogger("alphacut_gateway.serving")
    handler = StartedPort()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    running = asyncio.create_task(serve(settings))
    either: list[asyncio.Future[Any]] = [running, handler.port]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    if running.done():
        running.result()
    return running, f"http://127.0.0.1:{handler.port.result()}"


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with open_listener("127.0.0.1", 0, setting="") as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.slow
async def test_metrics_are_on_their_own_port() -> None:
    """/metrics is for operators: not on the callers' port."""
    metrics_port = free_port()
    running, address = await start(
        GatewaySection(http_port=0, metrics_port=metrics_port, target=NO_SERVER, drain_delay_ms=1)
    )
    async with httpx.AsyncClient(trust_env=False) as client:
        live = await client.get(f"{address}/livez")
        there = await client.get(f"http://127.0.0.1:{metrics_port}/metrics")
        here = await client.get(f"{address}/metrics")
    signal_self(signal.SIGTERM)
    await running

    assert live.status_code == 200
    assert 'alphacut_gateway_requests_total{code="200",method="GET",route="livez"} 1.0' in there.text
    assert here.status_code == 404


@pytest.mark.slow
async def test_oversized_upload_is_answered_and_the_room_is_told() -> None:
    """The process is wired: the limit holds, the answer is read behind 40 MiB of body, the metrics know the room."""
    metrics_port = free_port()
    running, address = await start(
        GatewaySection(http_port=0, metrics_port=metrics_port, target=NO_SERVER, drain_delay_ms=1)
    )

    def send() -> int:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
        connection.request(
            "POST", "/v1/results", bytes(40 << 20), {"Content-Type": "multipart/form-data; boundary=b"}
        )
        with connection.getresponse() as response:
            return response.status

    status = await asyncio.to_thread(send)
    async with httpx.AsyncClient(trust_env=False) as client:
        metrics = await client.get(f"http://127.0.0.1:{metrics_port}/metrics")
    signal_self(signal.SIGTERM)
    await running

    assert status == 413
    assert "alphacut_gateway_inflight_bytes 0.0" in metrics.text
    assert "alphacut_gateway_waiting_requests 0.0" in metrics.text


@pytest.mark.slow
async def test_silent_connection_is_closed_as_the_setting_says() -> None:
    """The process serves with connections of its own kind."""
    running, address = await start(
        GatewaySection(http_port=0, metrics_port=0, target=NO_SERVER, header_timeout_ms=100, drain_delay_ms=1)
    )
    reader, writer = await asyncio.open_connection(*address.removeprefix("http://").split(":"))

    async with asyncio.timeout(30):
        received = await reader.read()
    writer.close()
    signal_self(signal.SIGTERM)
    await running

    assert received == b""


async def test_taken_http_port_is_told() -> None:
    """The message names the port and the setting that moves it."""
    with open_listener("127.0.0.1", 0, setting="") as listener:
        port = listener.getsockname()[1]

        with pytest.raises(PortUnusable, match=f"Port {port} .* ALPHACUT_HTTP_PORT"):
            await serve(GatewaySection(http_port=port, metrics_port=0, target=NO_SERVER))


def test_taken_metrics_port_ends_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and a sentence on standard error."""
    with open_listener("127.0.0.1", 0, setting="") as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("ALPHACUT_HTTP_PORT", "0")

        code = main([f"--gateway-metrics-port={port}"])

    assert code == 1
    assert f"Port {port} on 127.0.0.1 is in use" in capsys.readouterr().err


def test_missing_tls_file_ends_the_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be read is told by name, with exit code 2: the settings are wrong."""
    missing = tmp_path / "ca.pem"

    code = main(["--http-port=0", "--gateway-metrics-port=0", f"--gateway-tls-ca-file={missing}"])

    assert code == 2
    assert f"{missing}: No such file or directory" in capsys.readouterr().err


def test_wrong_setting_ends_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and the range."""
    code = main(["--http-port=70000"])

    assert code == 2
    assert "--http-port=70000: must be a whole number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.slow
def test_process_lives_without_a_server_and_ends_cleanly_on_repeated_signals() -> None:
    """Alive, not ready, and two signals of each kind are one clean stop."""
    environ = {
        **child_environ(),
        "ALPHACUT_HTTP_PORT": "0",
        "ALPHACUT_GATEWAY_METRICS_PORT": "0",
        "ALPHACUT_GATEWAY_TARGET": NO_SERVER,
        "ALPHACUT_HTP_PORT": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "alphacut_gateway"], env=environ, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        warned, started = (json.loads(process.stderr.readline()) for _ in range(2))
        address = f"http://127.0.0.1:{started['http_port']}"
        with httpx.Client(trust_env=False) as client:
            codes = [
                client.get(f"{address}{path}").status_code for path in ("/livez", "/readyz", "/v1/modes")
            ]
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.kill(process.pid, number)
        code = process.wait(timeout=30)

    assert warned["event"] == "setting_ignored"
    assert "Did you mean ALPHACUT_HTTP_PORT?" in warned["reason"]
    assert codes == [200, 503, 503]
    assert code == 0
