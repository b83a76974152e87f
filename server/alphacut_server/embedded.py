"""A server inside the caller's own process, for the CLI and for tests: a thread with its own loop, behind a private socket."""

import asyncio
import os
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from alphacut_server.app import App
from alphacut_server.models import prepare_models, settle_store
from alphacut_server.settings import ALIASES, EngineSettings, Profile, ServerSettings, Settings
from alphacut_service import logs
from alphacut_service.known_names import EVERYWHERE
from alphacut_service.settings import load

STARTING = "alphacut-starting"
"""Name of the task that starts the server, by which a stop in the middle of it finds it."""


class EmbeddedServer:
    """Runs from construction by `start` until `close`; `target` is where a client finds it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="alphacut-")  # mode 0700: nobody else can call
        self.target = f"unix:{Path(self._folder.name) / 'server.sock'}"
        self._loop = asyncio.new_event_loop()
        self._app: App | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="alphacut-embedded", daemon=True)

    def start(self) -> None:
        """Start and wait until cut-outs are served. Raises what App.start and App.load raise, with nothing left running."""
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(self._start(), self._loop)
        try:
            starting.result()
        except BaseException:  # Ctrl-C, too: nothing may be left running
            starting.cancel()
            self.close()
            raise

    def close(self) -> None:
        """Drain and stop; idempotent."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        self._folder.cleanup()

    async def _start(self) -> None:
        if (task := asyncio.current_task()) is not None:
            task.set_name(STARTING)
        self._app = App(self._settings)
        await self._app.start(self.target)
        await self._app.load()

    async def _stop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        starting = [task for task in others if task.get_name() == STARTING]
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        if self._app is not None:
            app, self._app = self._app, None
            await app.stop()

    def __enter__(self) -> "EmbeddedServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def start(log_level: str | None = None, model: str = "", quality: str = "") -> EmbeddedServer:
    """Start a server in this process; pulls the model first if it is missing.

    log_level: DEBUG to ERROR, None for WARNING. quality: a profile's name, empty for the environment's, else `fast`. model: a
    catalogue id; empty for the quality's where one is given, else for what the environment names. The environment's
    ALPHACUT_* settings hold, but for addresses. Raises SettingsError and what pull and load raise.
    """
    loaded = load(
        Settings,
        argv=(),
        environ=os.environ,
        aliases=ALIASES,
        known_elsewhere=EVERYWHERE,
        program="alphacut",
        description="A server inside this process.",
    ).settings
    observability = logs.LogSettings(log_level=logs.LogLevel[(log_level or "WARNING").upper()])
    logs.configure(observability)
    settings = loaded.model_copy(
        update={
            "server": ServerSettings(metrics_port=0),
            "engine": _choose_engine(loaded.engine, model, quality),
            "observability": observability,
        }
    )
    settings = settle_store(settings, os.environ)
    prepare_models(settings, sys.stderr)
    server = EmbeddedServer(settings)
    server.start()
    return server


def _choose_engine(engine: EngineSettings, model: str, quality: str) -> EngineSettings:
    """Return the engine's settings with what the caller asks for, which wins over the environment."""
    if quality:
        return engine.model_copy(update={"profile": Profile(quality), "model": model})
    return engine.model_copy(update={"model": model or engine.model})
