"""Which pictures there are and where each goes, settled before any work starts; touches no picture."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alphacut.cli.arguments import RemoveOptions
from alphacut.cli.console import UsageError
from alphacut.cli.naming import OWN_ENDINGS, format_of, output_name, stem_of_url
from alphacut.options import ImageFormat, Mode
from alphacut.urls import Url, is_url

PIPE = "-"
_PICTURE_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png")
# How many files an error names before it only counts them.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Job:
    """One picture: where it comes from, None for stdin, and where it goes, None for stdout."""

    source: Path | Url | None
    output: Path | None

    @property
    def label(self) -> str:
        """What to call it in front of the user."""
        if self.source is None:
            return PIPE
        return self.source.url if isinstance(self.source, Url) else str(self.source)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in which format, before which background; and what to leave out because its output exists."""

    jobs: tuple[Job, ...]
    format: ImageFormat = ImageFormat.PNG
    background: Path | Url | None = None
    skipped: tuple[Job, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A picture, and its path below the folder that was asked for."""

    source: Path | Url
    below: Path


@dataclass(frozen=True, slots=True)
class _Target:
    """What -o means: a file, else a folder, else beside the input; and the outputs' format."""

    format: ImageFormat
    file: Path | None = None
    folder: Path | None = None


def make_plan(options: RemoveOptions) -> Plan:
    """Return the plan; raises UsageError for what would lose data or cannot be done."""
    target = _settle_target(options)
    background = _find_background(options)
    is_pipe = PIPE in options.inputs
    jobs = [_plan_pipe(options, target)] if is_pipe else _plan_files(options, target)
    _refuse_collisions(jobs, background)
    existing = [job for job in jobs if job.output is not None and job.output.exists()]
    if existing and options.skip_existing:
        kept = tuple(job for job in jobs if job.output is None or not job.output.exists())
        return Plan(kept, target.format, background, tuple(existing))
    if existing and not options.overwrite:
        names = _name_some([str(job.output) for job in existing])
        raise UsageError(f"the output exists already: {names}; choose --overwrite or --skip-existing")
    return Plan(tuple(jobs), target.format, background)


def _plan_pipe(options: RemoveOptions, target: _Target) -> Job:
    if len(options.inputs) > 1:
        raise UsageError("- reads one picture from stdin and stands alone")
    if target.folder is not None:
        return Job(None, target.folder / output_name("stdin", options.mode, target.format))
    return Job(None, target.file)


def _plan_files(options: RemoveOptions, target: _Target) -> list[Job]:
    found = _unique(each for text in options.inputs for each in _find(text, options.recursive))
    if not found:
        raise UsageError(
            "no pictures there; folders are searched for .jpg and .png, and below them only with -r"
        )
    # Counted by what was asked, not by what was found: the same command must mean the same tomorrow.
    if len(options.inputs) > 1 or _is_many(options.inputs[0]):
        if options.out == PIPE:
            raise UsageError("-o - writes one picture; give one file")
        if target.file is not None:
            raise UsageError(f"-o {options.out} is one file for several pictures; name a folder")
    if options.out == PIPE:
        return [Job(each.source, None) for each in found]
    return [Job(each.source, _output_for(each, options.mode, target)) for each in found]


def _find_background(options: RemoveOptions) -> Path | Url | None:
    """Return the background picture, if one is asked for; refuses what would be ignored."""
    if options.background_fit is not None and options.background is None:
        raise UsageError("--background-fit is for a picture; name it with --background")
    if options.mode is Mode.FG_MASK and (options.background or options.background_color):
        raise UsageError("a mask has no background; leave out --background, or choose another --mode")
    if options.background is None:
        return None
    if is_url(options.background):
        return Url(options.background)
    path = Path(options.background)
    if not path.exists() or path.is_dir():
        raise UsageError(
            f"there is no background picture {options.background!r}; a colour is named by --background-color"
        )
    return path


def _find(text: str, recursive: bool) -> Iterator[_Found]:
    """Yield the pictures an argument means: a URL or a file as it is, a folder's pictures, or a pattern's."""
    path = Path(text)
    if is_url(text):
        yield _Found(Url(text), Path(stem_of_url(text)))
    elif path.is_dir():
        yield from _walk(path, recursive)
    elif path.exists():
        yield _Found(path, Path(path.name))
    elif glob.has_magic(text):
        found = glob.glob(text, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        matches = [Path(each) for each in sorted(found)]
        files = [each for each in matches if each.is_file() and not each.name.endswith(OWN_ENDINGS)]
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
            if is_picture and not name.endswith(OWN_ENDINGS):
                path = Path(here, name)
                yield _Found(path, path.relative_to(folder))


def _unique(found: Iterator[_Found]) -> list[_Found]:
    """Return each picture once, however many arguments name it."""
    seen: dict[str, _Found] = {}
    for each in found:
        source = each.source
        seen.setdefault(source.url if isinstance(source, Url) else os.path.realpath(source), each)
    return list(seen.values())


def _is_many(text: str) -> bool:
    path = Path(text)
    return not is_url(text) and (path.is_dir() or (not path.exists() and glob.has_magic(text)))


def _output_for(found: _Found, mode: Mode, target: _Target) -> Path:
    if target.file is not None:
        return target.file
    source = found.source
    stem = found.below.name if isinstance(source, Url) else source.stem
    name = output_name(stem, mode, target.format)
    if target.folder is not None:
        return target.folder / found.below.with_name(name)
    # What comes from the web lies beside nothing here: it goes into the current folder.
    return Path(name) if isinstance(source, Url) else source.with_name(name)


def _settle_target(options: RemoveOptions) -> _Target:
    """Return what OUT names, a file's ending being its format; refuses what would surprise."""
    out, chosen = options.out, options.format
    if out is None or out == PIPE:
        return _Target(chosen or ImageFormat.PNG)
    path = Path(out)
    if path.is_dir() or out.endswith(("/", os.sep)):
        return _Target(chosen or ImageFormat.PNG, folder=path)
    if path.exists() and not path.is_file():
        raise UsageError(f"-o {out} is no regular file; use -o - to write into a pipe")
    named = format_of(path)
    if named is None and not path.suffix and not path.exists():
        return _Target(chosen or ImageFormat.PNG, folder=path)
    if named is None:
        raise UsageError(
            f"-o {out}: cut-outs are PNG, WebP or JPEG files; name one that ends in .png, .webp or .jpg,"
            " or a folder by a / at its end"
        )
    if chosen is not None and chosen is not named:
        raise UsageError(f"-o {out} is no name for --format {chosen}; leave one of the two out")
    return _Target(named, file=path)


def _refuse_collisions(jobs: Sequence[Job], background: Path | Url | None) -> None:
    inputs = {
        os.path.realpath(each)
        for each in (background, *(job.source for job in jobs))
        if isinstance(each, Path)
    }
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
