"""A server inside one's own process."""

import threading
from pathlib import Path

import pytest

from alphacut import Client
from alphacut_server.catalogue.faults import NotInCatalogue, NotPulled
from alphacut_server.embedded import EmbeddedServer, start
from alphacut_server.settings import ServerSettings, Settings
from support.images import small_png
from support.logging_state import kept_logging
from support.server import emulated_settings
from support.tiny_store import tiny_engine

pytestmark = pytest.mark.timeout(30)


def device_threads() -> list[str]:
    """Return the names of the threads that servers in this process have."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("alphacut")]


def test_a_picture_is_cut_through_a_private_socket() -> None:
    """Nothing listens on the network, and nothing is left behind."""
    with EmbeddedServer(emulated_settings()) as server:
        server.start()
        with Client(server.target) as client:
            mask = client.remove_background(small_png(1), mode="fg-mask")
        socket = Path(server.target.removeprefix("unix:"))
        mode = socket.parent.stat().st_mode & 0o777
        was_there = socket.exists()

    assert (mask.width, mask.height) == (32, 24)
    assert was_there
    assert mode == 0o700
    assert not socket.parent.exists()
    assert device_threads() == []


def test_closing_twice_or_without_a_start_is_harmless() -> None:
    """Whoever cleans up need not know how far it came."""
    never_started = EmbeddedServer(emulated_settings())
    never_started.close()
    never_started.close()

    server = EmbeddedServer(emulated_settings())
    server.start()
    server.close()
    server.close()

    assert device_threads() == []


def test_a_start_that_fails_raises_its_cause_and_leaves_nothing(tmp_path: Path) -> None:
    """No thread, no folder."""
    settings = Settings(server=ServerSettings(metrics_port=0), engine=tiny_engine(tmp_path, is_pulled=False))
    server = EmbeddedServer(settings)

    with pytest.raises(NotPulled):
        server.start()

    assert not Path(server.target.removeprefix("unix:")).parent.exists()
    assert device_threads() == []


def test_the_entry_point_starts_what_the_command_line_asks_for() -> None:
    """A model by its name, and logs as loud as asked for."""
    with (
        kept_logging(),
        start(log_level="error", model="emulated") as server,
        Client(server.target) as client,
    ):
        models = [model.name for model in client.models()]

    assert models == ["emulated"]


def test_the_entry_point_refuses_an_unknown_model() -> None:
    """Before anything is started."""
    with kept_logging(), pytest.raises(NotInCatalogue):
        start(model="u3net")

    assert device_threads() == []


def test_a_quality_asked_for_wins_over_the_environment_s_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its profile's model is what is looked for: here in a catalogue that has only others."""
    engine = tiny_engine(tmp_path)
    monkeypatch.setenv("ALPHACUT_ENGINE_CATALOGUE_DIR", str(engine.catalogue_dir))
    monkeypatch.setenv("ALPHACUT_MODEL", "emulated")

    with kept_logging(), pytest.raises(NotInCatalogue, match="isnet"):
        start(quality="best")


def test_a_model_asked_for_wins_over_the_quality_s() -> None:
    """The quality picks the profile, the model alone is overridden."""
    with (
        kept_logging(),
        start(model="emulated", quality="best") as server,
        Client(server.target) as client,
    ):
        models = [model.name for model in client.models()]

    assert models == ["emulated"]
