"""What all sources share: running programs, the bound on bytes, the telling end of a program's output."""

import io
import sys
from pathlib import Path

import pytest

from alphacut_server.catalogue.faults import SourceFailed
from alphacut_server.catalogue.sources import (
    BoundedWriter,
    Delivery,
    Silent,
    Tools,
    cause_of,
    free_bytes,
    http_client,
    run_command,
)
from alphacut_server.catalogue.store import Store
from support.catalogue import RecordedProgress, make_file


def test_program_is_run_in_its_folder_with_its_output_kept(tmp_path: Path) -> None:
    """Exit code, stdout and stderr come back."""
    script = "import os, sys; print(os.getcwd()); sys.stderr.write('oh'); sys.exit(3)"

    ended = run_command([sys.executable, "-c", script], tmp_path)

    assert ended.code == 3
    assert str(tmp_path) in ended.output
    assert "oh" in ended.output


def test_absent_program_is_an_error_of_its_own(tmp_path: Path) -> None:
    """Callers tell a program that is not there from one that fails."""
    with pytest.raises(FileNotFoundError):
        run_command(["no-such-program-here"], tmp_path)


def test_writer_reports_and_stops_at_the_announced_size(tmp_path: Path) -> None:
    """Not one byte more than announced is written."""
    out, progress = io.BytesIO(), RecordedProgress()
    delivery = Delivery(make_file(b"12345"), tmp_path / "x", Store(tmp_path), Tools(progress=progress))
    writer = BoundedWriter(out, delivery)

    writer.copy(io.BytesIO(b"12345"))
    with pytest.raises(SourceFailed, match="larger than the 5 bytes"):
        writer.write(b"6")

    assert out.getvalue() == b"12345"
    assert progress.bytes_told == [(5, 5)]


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("noise\nERROR: one\nmore noise\n", "ERROR: one"),
        ("first\nlast\n", "first | last"),
        ("", "no output"),
        ("error " + "x" * 1000, "x" * 300),
    ],
)
def test_cause_is_the_telling_end_of_the_output(output: str, cause: str) -> None:
    """Error lines where there are any, else the last lines; bounded."""
    assert cause_of(output) == cause


def test_client_follows_redirects_and_has_time_outs() -> None:
    """Release files lie behind redirects, and no pull hangs for ever."""
    with http_client() as client:
        assert client.follow_redirects
        assert client.timeout.connect is not None
        assert client.timeout.read is not None


def test_silent_progress_takes_everything() -> None:
    """A pull may go unwatched."""
    silent = Silent()

    silent.step("anything")
    silent.advance(1, 2)

    assert Tools().progress is not silent


def test_free_space_is_that_of_the_folders_disk(tmp_path: Path) -> None:
    """A real disk has some bytes left."""
    assert free_bytes(tmp_path) > 0
