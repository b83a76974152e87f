"""`alphacut server` in this process: exit codes, and what it says before it ends."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from alphacut_server.__main__ import main
from support.logging_state import kept_logging
from support.process_signals import restored_handlers
from support.server import await_serving, free_port
from support.tiny_store import tiny_engine

pytestmark = pytest.mark.timeout(30)

EMULATED = ("--model", "emulated", "--emulated-base-ms", "1", "--emulated-item-ms", "0.1")
NO_PORTS = ("--grpc-port", "0", "--metrics-port", "0")


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave this process's environment, logging and signals as they were."""
    for name in [name for name in os.environ if name.startswith("ALPHACUT_")]:
        monkeypatch.delenv(name)
    with kept_logging(), restored_handlers():
        yield


def tiny_arguments(folder: Path, *, is_pulled: bool = True) -> tuple[str, ...]:
    """Return the flags that serve the tiny network."""
    engine = tiny_engine(folder, is_pulled=is_pulled)
    return (
        *("--model", engine.model, "--device", "cpu"),
        *("--engine-catalogue-dir", str(engine.catalogue_dir), "--engine-store-dir", str(engine.store_dir)),
    )


def test_it_serves_until_a_signal_and_ends_with_0(capfd: pytest.CaptureFixture[str]) -> None:
    """In one process with its caller: the signal goes to this very process once health says SERVING."""
    port = free_port()
    seen = threading.Event()

    def stop_when_serving() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            await_serving(channel)
        seen.set()
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop_when_serving)
    stopper.start()
    code = main([*EMULATED, "--grpc-port", str(port), "--metrics-port", "0"])
    stopper.join()

    assert code == 0
    assert seen.is_set()
    events = capfd.readouterr().err
    for event in ("port_opened", "model_loaded", "serving_started", "drain_started", "drain_finished"):
        assert event in events


@pytest.mark.parametrize("flag", ["--grpc-port", "--metrics-port"])
def test_a_port_in_use_ends_the_start_with_the_flag_that_moves_it(
    capfd: pytest.CaptureFixture[str], flag: str
) -> None:
    """One sentence on standard error, exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        code = main([*EMULATED, *NO_PORTS, flag, str(port)])

    said = capfd.readouterr().err
    assert code == 1
    assert f"alphacut server: Cannot listen on 127.0.0.1:{port}" in said
    assert flag in said


def test_a_model_that_is_not_pulled_says_how_to_pull_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No network at the start: the operator decides when to download."""
    code = main([*NO_PORTS, *tiny_arguments(tmp_path, is_pulled=False)])

    assert code == 1
    assert "alphacut models pull tiny" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--batching-max-queue", "3"), "--batching-max-queue=3"),
        (("--profile", "fastest"), "--profile=fastest"),
        (("--modle", "u2netp"), "--model"),
        (("serve",), "takes flags only"),
    ],
    ids=["range", "choice", "flag", "word"],
)
def test_wrong_settings_are_a_matter_of_usage(
    capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2, and the setting is named as the user wrote it."""
    code = main([*EMULATED, *arguments])

    assert code == 2
    assert said in capfd.readouterr().err


def test_help_lists_every_flag_and_ends_with_0(capfd: pytest.CaptureFixture[str]) -> None:
    """On standard output, so that it can be searched."""
    code = main(["--help"])

    shown = capfd.readouterr().out
    assert code == 0
    for flag in ("--grpc-port", "--model", "--prepare-only", "--server-tls-cert-file"):
        assert flag in shown


def test_prepare_only_prepares_and_opens_no_port(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """From weights in the store to a graph that a start can open, without network; what an image's build runs."""
    code = main([*tiny_arguments(tmp_path), "--prepare-only"])

    assert code == 0, capfd.readouterr().err
    assert len(list((tmp_path / "store").rglob("prepared-*.onnx"))) == 1
    assert "port_opened" not in capfd.readouterr().err
