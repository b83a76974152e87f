"""`alphacut server`: load the settings, run the app until a signal, exit 0 after a drain."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from alphacut_server.allocator import settle_allocator
from alphacut_server.app import App
from alphacut_server.engine.runtime import DeviceUnavailable
from alphacut_server.errors import AlphacutError
from alphacut_server.models import prepare_models, settle_store
from alphacut_server.observability.exposition import MetricsUnavailable
from alphacut_server.settings import ALIASES, Settings
from alphacut_server.transport.server import PortUnavailable
from alphacut_service import logs
from alphacut_service.known_names import EVERYWHERE
from alphacut_service.settings import HelpRequested, SettingsError, load, stop_start
from alphacut_service.signals import stop_requested

PROGRAM = "alphacut server"
START_FAULTS = (DeviceUnavailable, AlphacutError, MetricsUnavailable, PortUnavailable)

logger = logging.getLogger("alphacut_server")  # __name__ is "__main__" here


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server. Exit codes: 0 stopped after a drain, 1 could not start or did not drain in time, 2 usage."""
    try:
        loaded = load(
            Settings,
            argv=sys.argv[1:] if argv is None else argv,
            environ=os.environ,
            aliases=ALIASES,
            known_elsewhere=EVERYWHERE,
            program=PROGRAM,
            description="The gRPC server: cuts the foreground out of photos.",
            switches={"prepare-only": "Pull and prepare the models the settings name, then exit."},
        )
    except (HelpRequested, SettingsError) as stop:
        return stop_start(stop, PROGRAM)
    logs.configure(loaded.settings.observability)
    for warning in loaded.warnings:
        logger.warning("setting_doubtful", extra={"note": warning})
    settle_allocator()
    settings = settle_store(loaded.settings, os.environ)
    try:
        if "prepare-only" in loaded.switches:
            prepare_models(settings, sys.stderr)
            return 0
        return asyncio.run(_serve(settings))
    except START_FAULTS as fault:
        sys.stderr.write(f"{PROGRAM}: {fault}\n")
        return 1
    except KeyboardInterrupt:
        return 130


async def _serve(settings: Settings) -> int:
    app = App(settings)
    with stop_requested() as stop:
        try:
            port = await app.start()
            logger.info("port_opened", extra={"host": settings.server.host, "grpc_port": port})
            loading = asyncio.create_task(app.load())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
            if loading.done():
                loading.result()
                logger.info("serving_started", extra={"grpc_port": port})
                await stopping
            else:  # stopped while loading: nothing was admitted, and a thread that loads cannot be interrupted
                await app.refuse_callers()
                await asyncio.wait((loading,))
                if (fault := loading.exception()) is not None:
                    logger.warning("load_failed", extra={"note": str(fault)})
        finally:
            finished = await app.stop()
    return 0 if finished else 1


if __name__ == "__main__":
    raise SystemExit(main())
