"""The command in a process of its own: pipes, signals, no half-written file."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alphacut.cli.console import ExitCode
from support.cli import files_in, make_photos
from support.fake_service import FakeServer, Hold, answer, make_png

pytestmark = pytest.mark.slow


# `python -m alphacut`, with Ctrl-C as a terminal gives it: what a shell starts in the background ignores it. Set here,
# not in Popen's preexec_fn: that forks, and gRPC's threads, running in this process, do not survive a fork.
PROGRAM = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("alphacut", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def holds(server: FakeServer) -> Iterator[list[Hold]]:
    """Calls that the server holds, released at the end."""
    made = [Hold() for _ in range(8)]
    server.service.script.extend(made)
    yield made
    for hold in made:
        hold.release.set()


def start(*words: str | Path) -> "subprocess.Popen[bytes]":
    """Start the command."""
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", PROGRAM, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def await_arrival(hold: Hold, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server holds the call; a command that never calls is ended, and what it said is shown."""
    if not hold.arrived.wait(30):
        process.kill()
        pytest.fail(f"no call came; the command said: {process.communicate()[1].decode()}")


def test_pipe_works_between_processes(server: FakeServer) -> None:
    """Bytes in by stdin, PNG out by stdout, nothing else."""
    with start("remove", "-", "--server", server.target) as process:
        out, err = process.communicate(b"photo", timeout=60)

    assert (process.returncode, out, err) == (ExitCode.DONE, make_png(b"photo"), b"")


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_signal_ends_the_run_cleanly(
    server: FakeServer, holds: list[Hold], tmp_path: Path, number: signal.Signals, expected: ExitCode
) -> None:
    """While the server holds its calls: the calls are cancelled there, no file is half written, the code tells."""
    names = [f"{number}.jpg" for number in range(20)]
    make_photos(tmp_path, *names)
    with start("remove", tmp_path, "--server", server.target, "--jobs", "2") as process:
        await_arrival(holds[0], process)
        await_arrival(holds[1], process)

        process.send_signal(number)
        _, err = process.communicate(timeout=30)

    assert process.returncode == expected
    assert b"Traceback" not in err
    assert b"what was written is whole" in err
    assert files_in(tmp_path) == set(names)
    assert holds[0].cancelled.wait(10)
    assert len(server.service.requests) == 2


def test_finished_pictures_stay_after_ctrl_c(server: FakeServer, tmp_path: Path) -> None:
    """What was cut before the interrupt is there, whole."""
    make_photos(tmp_path, "a.jpg", "b.jpg")
    hold = Hold()
    server.service.script.append(answer)
    server.service.script.append(hold)
    with start("remove", tmp_path, "--server", server.target, "--jobs", "1") as process:
        await_arrival(hold, process)

        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        hold.release.set()

    assert process.returncode == ExitCode.INTERRUPTED
    assert (tmp_path / "a.cutout.png").read_bytes() == make_png(b"a.jpg")
    assert files_in(tmp_path) == {"a.jpg", "b.jpg", "a.cutout.png"}


@pytest.mark.parametrize("words", [["-"], ["a.jpg", "--json-lines"]], ids=["picture", "lines"])
def test_reader_that_goes_away_ends_the_run_quietly(
    server: FakeServer, tmp_path: Path, words: list[str]
) -> None:
    """A closed stdout ends the command as other programs of a pipeline end, without a traceback."""
    make_photos(tmp_path, "a.jpg")
    inputs = [tmp_path / word if word.endswith(".jpg") else word for word in words]
    with start("remove", *inputs, "--server", server.target, "--quiet") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None

        _, err = process.communicate(b"photo", timeout=60)

    assert (process.returncode, err) == (ExitCode.PIPE_CLOSED, b"")


def test_help_loads_no_grpc() -> None:
    """Help and usage errors do not wait for gRPC's import."""
    program = (
        "import sys\nfrom alphacut.cli import main\n"
        "try: main(['remove', '--help'])\nexcept SystemExit: print('grpc' in sys.modules, file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )

    assert done.stderr.strip() == "False"
