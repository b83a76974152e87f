"""`alphacut serve`: the gRPC server and the REST gateway as one program, with the model pulled first if need be."""

import asyncio
import functools
import os
import sys
from collections.abc import Mapping, Sequence

from pydantic import Field

from alphacut_service import settings
from alphacut_service.addresses import PortUnusable, open_listener, reachable
from alphacut_service.fields import SettingDoc
from alphacut_service.settings import HelpRequested, Loaded, Section, SettingsError
from alphacut_service.supervisor import Plan, Program, supervise

PROGRAM = "alphacut serve"
DESCRIPTION = (
    "Starts the gRPC server and the REST gateway, pulls the model they need first, prints their addresses and runs "
    "until SIGTERM or Ctrl-C. Both programs also read all of their own variables and the settings file."
)

ALIASES = {
    "ALPHACUT_HOST": "server.host",
    "ALPHACUT_GRPC_PORT": "server.grpc_port",
    "ALPHACUT_METRICS_PORT": "server.metrics_port",
    "ALPHACUT_HTTP_PORT": "gateway.http_port",
    "ALPHACUT_PROFILE": "engine.profile",
    "ALPHACUT_MODEL": "engine.model",
    "ALPHACUT_DEVICE": "engine.device",
}

# How often the gateway is asked whether a cut-out would work; only while starting, and the answer comes from another
# process, so there is no event to wait for.
READY_POLL_S = 0.2
# What a program may take beyond its own drain before it counts as hung.
STOP_MARGIN_S = 15.0


class ServerSection(Section):
    """The gRPC server."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address that both programs listen on.")
    grpc_port: int = Field(default=50051, ge=1, le=65535, description="Port of the gRPC server.")
    metrics_port: int = Field(
        default=9090, ge=0, le=65535, description="Port of the server's /metrics; 0 switches it off."
    )
    drain_timeout_ms: int = Field(
        default=25_000,
        ge=0,
        le=600_000,
        description="How long the server's admitted calls may take to finish.",
    )


class GatewaySection(Section):
    """The REST gateway."""

    http_port: int = Field(default=8080, ge=1, le=65535, description="Port of the REST API.")
    metrics_port: int = Field(
        default=9091, ge=0, le=65535, description="Port of the gateway's /metrics; 0 switches it off."
    )
    drain_delay_ms: int = Field(
        default=0, ge=0, le=300_000, description="How long the gateway still serves after SIGTERM."
    )
    drain_timeout_ms: int = Field(
        default=25_000,
        ge=0,
        le=600_000,
        description="How long the gateway's requests may take to finish after that.",
    )


class EngineSection(Section):
    """The model and its device; the server knows the choices."""

    profile: str | None = Field(default=None, description="Profile: fast, balanced or best.")
    model: str | None = Field(default=None, description="Model by its id; overrides the profile's.")
    device: str | None = Field(default=None, description="Device: auto, cpu, cuda or tensorrt.")


class ServeSettings(Section):
    """What `alphacut serve` itself must know; its names are those of the programs it starts."""

    server: ServerSection = ServerSection()
    gateway: GatewaySection = GatewaySection()
    engine: EngineSection = EngineSection()


def main(argv: Sequence[str] | None = None) -> int:
    """Run `alphacut serve` and return its exit code: 0 when told to stop, 1 for a failure, 2 for wrong settings."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        loaded = load(arguments, os.environ)
    except (HelpRequested, SettingsError) as stop:
        return settings.stop_start(stop, PROGRAM)
    try:
        check_ports(loaded.settings)
    except PortUnusable as error:
        _complain(str(error))
        return 1
    environ = child_environ(loaded, os.environ)
    return asyncio.run(supervise(plan_for(loaded.settings, environ), tell=_tell, complain=_complain))


def load(argv: Sequence[str], environ: Mapping[str, str]) -> Loaded[ServeSettings]:
    """Return what was set of the addresses and the model. Unknown variables are left to the programs started."""
    return settings.load(
        ServeSettings,
        argv=argv,
        environ=environ,
        aliases=ALIASES,
        known_elsewhere=(),
        program=PROGRAM,
        description=DESCRIPTION,
        is_file_shared=True,
    )


def child_environ(loaded: Loaded[ServeSettings], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for both programs: ours, with everything that was set here under its short name.

    A long name goes, so that it cannot disagree with a flag.
    """
    result = dict(environ)
    if loaded.config is not None:
        result[settings.CONFIG_ENV] = str(loaded.config)
    for doc in settings.describe(ServeSettings, ALIASES):
        value = _text(loaded.settings, doc)
        if doc.path in loaded.origins and value is not None:
            result.pop(doc.env, None)
            result[doc.env_aliases[0] if doc.env_aliases else doc.env] = value
    return result


def check_ports(chosen: ServeSettings) -> None:
    """See that every port is free before anything is started or pulled. Raises PortUnusable."""
    ports = {
        "ALPHACUT_GRPC_PORT": chosen.server.grpc_port,
        "ALPHACUT_HTTP_PORT": chosen.gateway.http_port,
        "ALPHACUT_METRICS_PORT": chosen.server.metrics_port,
        "ALPHACUT_GATEWAY_METRICS_PORT": chosen.gateway.metrics_port,
    }
    opened = []
    try:
        for setting, port in ports.items():
            if port != 0:
                # All are held until the last is open, so that two settings with one port are found, too.
                opened.append(open_listener(chosen.server.host, port, setting=setting))
    finally:
        for listener in opened:
            listener.close()


def plan_for(chosen: ServeSettings, environ: Mapping[str, str]) -> Plan:
    """Return what to run: preparation, server, gateway."""
    server_drain_ms = chosen.server.drain_timeout_ms
    gateway_drain_ms = chosen.gateway.drain_delay_ms + chosen.gateway.drain_timeout_ms
    return Plan(
        preparation=Program("preparing the model", "alphacut_server", ("--prepare-only",)),
        back=Program("the gRPC server", "alphacut_server"),
        front=Program("the REST gateway", "alphacut_gateway"),
        environ=environ,
        wait_until_ready=functools.partial(
            wait_until_ready, reachable(chosen.server.host, chosen.gateway.http_port)
        ),
        announcement=announcement(chosen),
        stop_timeout_s=max(server_drain_ms, gateway_drain_ms) / 1000 + STOP_MARGIN_S,
    )


def announcement(chosen: ServeSettings) -> str:
    """Return the screen that is shown once both programs serve."""
    host = chosen.server.host
    grpc = reachable(host, chosen.server.grpc_port)
    http = reachable(host, chosen.gateway.http_port)
    metrics = [
        f"http://{reachable(host, port)}/metrics ({whose})"
        for whose, port in (("server", chosen.server.metrics_port), ("gateway", chosen.gateway.metrics_port))
        if port != 0
    ]
    lines = [
        "",
        "alphacut is ready.",
        "",
        f"  gRPC     {grpc}",
        f"  HTTP     http://{http}/ (the demo page; the API under /v1, its reference under /docs)",
        *(f"  metrics  {address}" for address in metrics),
        "",
        f"  Cut a photo:  alphacut remove photo.jpg --server {grpc}",
        f"  Over HTTP:    curl -F image=@photo.jpg http://{http}/v1/results",
        "  Stop:         Ctrl-C",
        "",
    ]
    return "\n".join(lines)


async def wait_until_ready(address: str, poll_s: float = READY_POLL_S) -> None:
    """Return once the gateway at HOST:PORT answers 200 to /readyz, which says that a cut-out would work."""
    while not await _is_ready(address):  # noqa: ASYNC110 (the event would have to come from another process)
        await asyncio.sleep(poll_s)


async def _is_ready(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError:
        return False
    try:
        writer.write(f"GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        status_line = await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
    return status_line.split(b" ")[1:2] == [b"200"]


def _text(chosen: ServeSettings, doc: SettingDoc) -> str | None:
    value = getattr(getattr(chosen, doc.section), doc.name)
    return None if value is None else str(value)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _complain(text: str) -> None:
    sys.stderr.write(f"{PROGRAM}: {text}\n")
    sys.stderr.flush()
