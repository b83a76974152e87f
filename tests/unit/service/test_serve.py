"""`alphacut serve`: what it hands on, what it checks first, when it calls itself ready."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from alphacut_service.addresses import PortUnusable, open_listener
from alphacut_service.serve import (
    GatewaySection,
    ServerSection,
    ServeSettings,
    announcement,
    check_ports,
    child_environ,
    load,
    main,
    plan_for,
    wait_until_ready,
)
from support import supervision

FAKE_SERVER = """
import asyncio, os, sys
from alphacut_service.signals import stop_requested

async def serve():
    with stop_requested() as stop:
        await stop.wait()

if "--prepare-only" in sys.argv:
    print("prepared", os.environ.get("ALPHACUT_MODEL"), flush=True)
else:
    asyncio.run(serve())
    print("server drained", flush=True)
"""

FAKE_GATEWAY = """
import asyncio, os
from alphacut_service.signals import stop_requested

answers = iter(["503 Service Unavailable", "200 OK"])

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(f"HTTP/1.1 {next(answers)}\\r\\n\\r\\n".encode())
    writer.close()

async def serve():
    with stop_requested() as stop:
        async with await asyncio.start_server(answer, "127.0.0.1", int(os.environ["ALPHACUT_HTTP_PORT"])):
            await stop.wait()
    print("gateway drained", flush=True)

asyncio.run(serve())
"""


def has_ipv6_loopback() -> bool:
    """Tell whether ::1 can be listened on here."""
    try:
        open_listener("::1", 0, setting="").close()
    except PortUnusable:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now."""
    listeners = [open_listener("127.0.0.1", 0, setting="") for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@asynccontextmanager
async def http_server(answers: list[bytes], host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Answer one connection after the other; give the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        writer.close()

    async with await asyncio.start_server(answer, host, 0) as server:
        yield server.sockets[0].getsockname()[1]


def test_children_get_what_was_set_under_its_short_name() -> None:
    """A flag wins over both names of its variable, and what was not set stays each program's own choice."""
    environ = {"ALPHACUT_SERVER_GRPC_PORT": "1", "ALPHACUT_LOG_LEVEL": "debug", "HOME": "/home/someone"}
    loaded = load(["--grpc-port", "2", "--model", "emulated", "--gateway-metrics-port=3"], environ)

    handed_on = child_environ(loaded, environ)

    assert handed_on == {
        "ALPHACUT_GRPC_PORT": "2",
        "ALPHACUT_MODEL": "emulated",
        "ALPHACUT_GATEWAY_METRICS_PORT": "3",
        "ALPHACUT_LOG_LEVEL": "debug",
        "HOME": "/home/someone",
    }


def test_settings_file_is_handed_on(tmp_path: Path) -> None:
    """The programs read the same file, whose other keys are theirs to judge; its ports are known here, too."""
    file = tmp_path / "alphacut.toml"
    file.write_text("[batching]\nmax_queue = 100\n[gateway]\nhttp_port = 8181\n")
    loaded = load(["--config", str(file)], {})

    handed_on = child_environ(loaded, {})

    assert handed_on == {"ALPHACUT_CONFIG": str(file), "ALPHACUT_HTTP_PORT": "8181"}


def test_taken_port_is_found_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    """The port, and how to move it, are told at once: no pull, no load, exit code 1."""
    names = ("--grpc-port", "--metrics-port", "--gateway-metrics-port")
    others = [f"{name}={port}" for name, port in zip(names, free_ports(3), strict=True)]
    with open_listener("127.0.0.1", 0, setting="") as listener:
        port = listener.getsockname()[1]

        code = main([f"--http-port={port}", *others])

    assert code == 1
    assert f"Port {port} on 127.0.0.1 is in use" in capsys.readouterr().err


def test_one_port_for_two_purposes_is_found() -> None:
    """Two settings with one port cannot both be had."""
    (port,) = free_ports(1)
    chosen = ServeSettings(
        server=ServerSection(grpc_port=port, metrics_port=0),
        gateway=GatewaySection(http_port=port, metrics_port=0),
    )

    with pytest.raises(PortUnusable, match="ALPHACUT_HTTP_PORT"):
        check_ports(chosen)


def test_ports_are_free_again_after_the_check() -> None:
    """The check takes nothing away from the programs."""
    ports = free_ports(2)
    chosen = ServeSettings(
        server=ServerSection(grpc_port=ports[0], metrics_port=0),
        gateway=GatewaySection(http_port=ports[1], metrics_port=0),
    )

    check_ports(chosen)

    for port in ports:
        open_listener("127.0.0.1", port, setting="").close()


def test_wrong_usage_is_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown flag is a usage error; nothing starts."""
    code = main(["--grcp-port", "1"])

    assert code == 2
    assert "Did you mean --grpc-port?" in capsys.readouterr().err


def test_announcement_has_addresses_that_work_from_here() -> None:
    """A listener on all addresses is shown by loopback; what is switched off is not shown."""
    chosen = ServeSettings(
        server=ServerSection(host="0.0.0.0", metrics_port=0), gateway=GatewaySection(http_port=8181)
    )

    text = announcement(chosen)

    assert "gRPC     127.0.0.1:50051" in text
    assert "HTTP     http://127.0.0.1:8181/" in text
    assert "metrics  http://127.0.0.1:9091/metrics (gateway)" in text
    assert "(server)" not in text


def test_plan_prepares_before_serving() -> None:
    """The model is pulled by the server's own program, so that this one needs to know nothing of models."""
    plan = plan_for(ServeSettings(), {"A": "b"})

    assert (plan.preparation.module, plan.preparation.arguments) == ("alphacut_server", ("--prepare-only",))
    assert (plan.back.module, plan.front.module) == ("alphacut_server", "alphacut_gateway")
    assert plan.environ == {"A": "b"}


def test_long_drains_are_not_cut() -> None:
    """What the operator allows the programs for their drain, the supervisor allows them, too."""
    chosen = ServeSettings(
        server=ServerSection(drain_timeout_ms=300_000),
        gateway=GatewaySection(drain_delay_ms=300_000, drain_timeout_ms=600_000),
    )

    assert plan_for(chosen, {}).stop_timeout_s > 900


async def test_ready_means_200_from_the_gateway() -> None:
    """503, an empty answer and a refused connection are asked again."""
    answers = [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\n"]
    async with http_server(answers) as port:
        await asyncio.wait_for(wait_until_ready(f"127.0.0.1:{port}", poll_s=0), 10)

    assert answers == []


@pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no IPv6 loopback")
async def test_ipv6_address_can_be_asked() -> None:
    """A host in brackets is connected to without them."""
    async with http_server([b"HTTP/1.1 200 OK\r\n\r\n"], "::1") as port:
        await asyncio.wait_for(wait_until_ready(f"[::1]:{port}", poll_s=0), 10)


async def test_nobody_listening_is_not_ready() -> None:
    """While the gateway starts there is no port yet."""
    (port,) = free_ports(1)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait_until_ready(f"127.0.0.1:{port}", poll_s=0.01), 0.1)


@pytest.mark.slow
async def test_whole_program_prepares_announces_and_drains(tmp_path: Path) -> None:
    """With stand-ins for both programs: prepare, start, become ready, print the addresses, drain, exit 0."""
    (tmp_path / "alphacut_server.py").write_text(FAKE_SERVER)
    (tmp_path / "alphacut_gateway.py").write_text(FAKE_GATEWAY)
    ports = dict(zip(("grpc", "http", "metrics", "gateway-metrics"), free_ports(4), strict=True))
    environ = supervision.child_environ()
    environ["PYTHONPATH"] = os.pathsep.join((str(tmp_path), environ["PYTHONPATH"]))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; from alphacut_service.serve import main; sys.exit(main())",
        *(f"--{name}-port={port}" for name, port in ports.items()),
        "--model=emulated",
        env=environ,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    shown = (await process.stdout.readuntil(b"Ctrl-C\n")).decode()

    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    rest = (await process.stdout.read()).decode()

    assert await process.wait() == 0
    assert shown.startswith("prepared emulated\n\nalphacut is ready.\n")
    assert f"gRPC     127.0.0.1:{ports['grpc']}" in shown
    assert rest.split("\n") == ["", "gateway drained", "server drained", ""]
