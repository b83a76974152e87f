"""`alphacut gateway`, `python -m alphacut_gateway`: the REST gateway as a process."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from alphacut_gateway import settings
from alphacut_gateway.serving import TlsFileUnreadable, serve
from alphacut_service import logs
from alphacut_service.addresses import PortUnusable
from alphacut_service.settings import HelpRequested, SettingsError, stop_start

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the gateway until it is told to stop; return the exit code: 0 then, 1 for a failure, 2 for wrong settings."""
    try:
        loaded = settings.load(sys.argv[1:] if argv is None else argv, os.environ)
    except (HelpRequested, SettingsError) as stop:
        return stop_start(stop, settings.PROGRAM)
    logs.configure(loaded.settings.observability)
    for warning in loaded.warnings:
        log.warning("setting_ignored", extra={"reason": warning})
    try:
        asyncio.run(serve(loaded.settings.gateway))
    except PortUnusable as error:
        return _refuse(str(error), 1)
    except TlsFileUnreadable as error:
        return _refuse(str(error), 2)
    return 0


def _refuse(message: str, code: int) -> int:
    sys.stderr.write(f"{settings.PROGRAM}: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
