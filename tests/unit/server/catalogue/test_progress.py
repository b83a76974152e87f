"""Progress as a person or a log sees it."""

import io

from alphacut_server.catalogue.progress import BarProgress, LineProgress, progress_for


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_log_gets_a_line_at_every_quarter() -> None:
    """A hundred reports give four lines, and each step one."""
    out = io.StringIO()

    with progress_for(out) as progress:
        progress.step("tiny: from somewhere")
        for done_bytes in range(1_000_000, 101_000_000, 1_000_000):
            progress.advance(done_bytes, 100_000_000)

    lines = out.getvalue().splitlines()
    assert lines[0] == "tiny: from somewhere"
    assert [line.split()[0] for line in lines[1:]] == ["25.0", "50.0", "75.0", "100.0"]


def test_terminal_gets_a_bar() -> None:
    """A terminal is drawn on, a log is not."""
    out = Terminal()

    with progress_for(out) as progress:
        progress.step("tiny: from somewhere")
        progress.advance(50, 100)
        progress.advance(100, 100)
        progress.step("tiny: checking")

    assert isinstance(progress, BarProgress)
    assert isinstance(progress_for(io.StringIO()), LineProgress)
    assert "tiny: checking" in out.getvalue()
