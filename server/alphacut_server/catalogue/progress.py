"""Show a pull to whoever started it: a bar on a terminal, plain lines in a log."""

from types import TracebackType
from typing import NoReturn, Self, TextIO

from tqdm import tqdm

_LINE_STEP = 4  # a log gets a line at every quarter


class LineProgress:
    """Plain lines: each step, and each quarter of a download."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left open."""

    def step(self, text: str) -> None:
        """Begin something new."""
        self._told = 0
        self._write(text)

    def advance(self, done_bytes: int, total_bytes: int) -> None:
        """Say so when another quarter has come."""
        quarter = done_bytes * _LINE_STEP // total_bytes
        if quarter > self._told:
            self._told = quarter
            self._write(f"  {done_bytes / 1e6:.1f} of {total_bytes / 1e6:.1f} MB")

    def _write(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


class BarProgress:
    """A bar with rate and remaining time."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def step(self, text: str) -> None:
        """Close the bar, if one is up, and say what begins."""
        self._close()
        self._out.write(text + "\n")
        self._out.flush()

    def advance(self, done_bytes: int, total_bytes: int) -> None:
        """Move the bar; what a resumed download had before counts as done, not as speed."""
        if self._bar is None:
            self._bar = tqdm(
                total=total_bytes,
                initial=done_bytes,
                unit="B",
                unit_scale=True,
                leave=False,
                file=self._out,
                delay=0.2,
            )
        self._bar.update(done_bytes - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def progress_for(out: TextIO) -> LineProgress | BarProgress:
    """Return what suits `out`."""
    return BarProgress(out) if out.isatty() else LineProgress(out)
