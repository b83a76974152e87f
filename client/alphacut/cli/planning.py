"""Which pictures there are and where each goes, settled before any work starts; touches no picture."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alphacut.cli.arguments import RemoveOptions
from alphacut.cli.console import UsageError
from alphacut.options import Mode

PIPE = "-"
SUFFIXES = {Mode.FG_IMAGE: ".cutout.png", Mode.FG_MASK: ".mask.png", Mode.FG_IMAGE_SHADOW: ".shadow.png"}
_OWN_SUFFIXES = tuple(SUFFIXES.values())
_PICTURE_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png")
# How many files an error names before it only counts them.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Job:
    """One picture: where it comes from, None for stdin, and where it goes, None for stdout."""

    source: Path | None
    output: Path | None

    @property
    def label(self) -> str:
        """What to call it in front of the user."""
        return PIPE if self.source is None else str(self.source)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, and what to leave out because its output exists."""

    jobs: tuple[Job, ...]
    skipped: tuple[Job, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A picture on disk, and its path below the folder that was asked for."""

    path: Path
    below: Path


def make_plan(options: RemoveOptions) -> Plan:
    """Return the plan; raises UsageError for what would lose data or cannot be done."""
    if PIPE in options.inputs:
        return Plan((_plan_pipe(options),))
    found = _unique(each for text in options.inputs for each in _find(text, options.recursive))
    if not found:
        raise UsageError(
            "no pictures there; folders are searched for .jpg and .png, and below them only with -r"
        )
    # Counted by what was asked, not by what was found: the same command must mean the same tomorrow.
    is_single = len(options.inputs) == 1 and not _is_many(options.inputs[0])
    jobs = [Job(each.path, _output_for(each, options, is_single)) for each in found]
    _refuse_collisions(jobs)
    existing = [job for job in jobs if job.output is not None and job.output.exists()]
    if existing and options.skip_existing:
        kept = tuple(job for job in jobs if job.output is None or not job.output.exists())
        return Plan(kept, tuple(existing))
    if existing and not options.overwrite:
        names = _name_some([str(job.output) for job in existing])
        raise UsageError(f"the output exists already: {names}; choose --overwrite or --skip-existing")
    return Plan(tuple(jobs))


def _plan_pipe(options: RemoveOptions) -> Job:
    if len(options.inputs) > 1:
        raise UsageError("- reads one picture from stdin and stands alone")
    if options.out is None or options.out == PIPE:
        return Job(None, None)
    output = _out_file(options.out) or Path(options.out) / f"stdin{SUFFIXES[options.mode]}"
    if output.exists() and not options.overwrite:
        raise UsageError(f"the output exists already: {output}; choose --overwrite")
    return Job(None, output)


def _find(text: str, recursive: bool) -> Iterator[_Found]:
    """Yield the pictures an argument means: a file as it is, a folder's pictures, or a pattern's."""
    path = Path(text)
    if path.is_dir():
        yield from _walk(path, recursive)
    elif path.exists():
        yield _Found(path, Path(path.name))
    elif glob.has_magic(text):
        found = glob.glob(text, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        matches = [Path(each) for each in sorted(found)]
        files = [each for each in matches if each.is_file() and not each.name.endswith(_OWN_SUFFIXES)]
        if not files:
            raise UsageError(f"nothing matches {text!r}")
        yield from (_Found(each, Path(each.name)) for each in files)
    else:
        raise UsageError(f"there is no file {text!r}")


def _walk(folder: Path, recursive: bool) -> Iterator[_Found]:
    for here, folders, files in os.walk(folder):
        # Hidden ones are no photos, but what systems leave beside them.
        folders[:] = sorted(each for each in folders if not each.startswith(".")) if recursive else []
        for name in sorted(files):
            is_picture = name.lower().endswith(_PICTURE_ENDINGS) and not name.startswith(".")
            if is_picture and not name.endswith(_OWN_SUFFIXES):
                path = Path(here, name)
                yield _Found(path, path.relative_to(folder))


def _unique(found: Iterator[_Found]) -> list[_Found]:
    """Return each file once, however many arguments name it."""
    seen: dict[str, _Found] = {}
    for each in found:
        seen.setdefault(os.path.realpath(each.path), each)
    return list(seen.values())


def _is_many(text: str) -> bool:
    path = Path(text)
    return path.is_dir() or (not path.exists() and glob.has_magic(text))


def _output_for(found: _Found, options: RemoveOptions, is_single: bool) -> Path | None:
    name = found.path.stem + SUFFIXES[options.mode]
    if options.out is None:
        return found.path.with_name(name)
    if options.out == PIPE:
        if not is_single:
            raise UsageError("-o - writes one picture; give one file")
        return None
    file = _out_file(options.out)
    if file is None:
        return Path(options.out) / found.below.with_name(name)
    if not is_single:
        raise UsageError(f"-o {options.out} is one file for several pictures; name a folder")
    return file


def _out_file(out: str) -> Path | None:
    """Return the file that OUT names, or None when it is a folder; refuses what would surprise."""
    path = Path(out)
    if path.is_dir() or out.endswith(("/", os.sep)):
        return None
    if path.exists() and not path.is_file():
        raise UsageError(f"-o {out} is no regular file; use -o - to write into a pipe")
    if path.suffix.lower() == ".png":
        return path
    if path.suffix or path.exists():
        raise UsageError(f"-o {out}: cut-outs are PNG files; name a .png file, or a folder by a / at its end")
    return None


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    inputs = {os.path.realpath(job.source) for job in jobs if job.source is not None}
    takers: dict[str, Job] = {}
    for job in jobs:
        if job.output is None:
            continue
        output = os.path.realpath(job.output)
        if output in inputs:
            raise UsageError(f"{job.label} would be written over the input {job.output}; choose another -o")
        other = takers.setdefault(output, job)
        if other is not job:
            raise UsageError(
                f"{other.label} and {job.label} would both be written to {job.output}; cut them apart, with different -o"
            )


def _name_some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
