"""What a run tells while it goes: a progress bar or lines for people, JSON lines for programs."""

import json
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import TYPE_CHECKING, Self

from alphacut.cli.console import Console, ExitCode
from alphacut.cli.planning import Job
from alphacut.cutout import Cutout

if TYPE_CHECKING:
    from types import TracebackType

    from tqdm import tqdm

# Without a progress bar a long run says a line every so many pictures.
_LINE_EVERY = 50


class Status(StrEnum):
    """How a picture ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_ATTEMPTED = "not_attempted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One picture's end; `reason` is the server's word or FILE, `stops_run` set when all others would end the same."""

    job: Job
    status: Status
    cutout: Cutout | None = None
    reason: str = ""
    message: str = ""
    elapsed_s: float = 0.0
    stops_run: ExitCode | None = None


class Report:
    """Tells each outcome as it comes, and counts them; a context manager, for the bar."""

    def __init__(self, console: Console, *, total: int, json_lines: bool, quiet: bool) -> None:
        self._console = console
        self._total = total
        self._json_lines = json_lines
        self._quiet = quiet
        self._bar: tqdm[None] | None = None
        self.counts = dict.fromkeys(Status, 0)

    def __enter__(self) -> Self:
        """Show the bar, when there is a terminal, more than one picture, and tqdm."""
        tqdm_module = _import_tqdm()
        if tqdm_module is not None and not self._quiet and self._total > 1 and self._console.stderr.isatty():
            self._bar = tqdm_module.tqdm(total=self._total, unit="picture", file=self._console.stderr)
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def tell(self, outcome: Outcome) -> None:
        """Tell one outcome."""
        self.counts[outcome.status] += 1
        if self._json_lines:
            self._console.answer(_as_json(outcome))
        if outcome.status is Status.FAILED:
            reason = f"{outcome.reason}: " if outcome.reason else ""
            self._say(f"alphacut: {outcome.job.label}: {reason}{outcome.message}")
        elif (
            outcome.status is Status.DONE
            and self._total == 1
            and not self._quiet
            and outcome.job.output is not None
        ):
            self._say(f"{outcome.job.label} -> {outcome.job.output} ({outcome.elapsed_s:.2f} s)")
        if outcome.status in {Status.DONE, Status.FAILED}:
            self._advance()

    def conclude(self, elapsed_s: float) -> None:
        """Sum the run up, when it was more than one picture."""
        if self._bar is not None:
            self._bar.close()
        if self._total > 1 and not self._quiet:
            said = [f"{count} {status.replace('_', ' ')}" for status, count in self.counts.items() if count]
            self._console.say(f"{', '.join(said) or 'nothing to do'} in {elapsed_s:.1f} s")

    def _advance(self) -> None:
        ended = self.counts[Status.DONE] + self.counts[Status.FAILED]
        if self._bar is not None:
            self._bar.update()
        elif not self._quiet and ended % _LINE_EVERY == 0 and ended < self._total:
            self._console.say(f"{ended} of {self._total} pictures, {self.counts[Status.FAILED]} failed")

    def _say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.write(line, file=self._console.stderr)
        else:
            self._console.say(line)


def _import_tqdm() -> ModuleType | None:
    try:
        import tqdm  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        return None
    return tqdm


def _as_json(outcome: Outcome) -> str:
    cutout = outcome.cutout
    fields: dict[str, str | int | float | None] = {
        "input": outcome.job.label,
        "output": None if outcome.job.output is None else str(outcome.job.output),
        "status": outcome.status.value,
    }
    if outcome.message:
        fields |= {"reason": outcome.reason, "message": outcome.message}
    if cutout is not None:
        fields |= {
            "mode": cutout.mode.value,
            "format": cutout.format.value,
            "width": cutout.width,
            "height": cutout.height,
            "picture_width": cutout.picture_width,
            "picture_height": cutout.picture_height,
            "bytes": len(cutout.content),
            "md5": cutout.md5,
            "model": cutout.model,
            "has_foreground": bool(cutout.objects),
        }
    if outcome.status in {Status.DONE, Status.FAILED}:
        fields["elapsed_s"] = round(outcome.elapsed_s, 4)
    return json.dumps(fields)
