"""`alphacut remove`: the plan's pictures through a bounded pool of calls; memory holds `jobs` pictures, never all."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from alphacut.cli.arguments import RemoveOptions
from alphacut.cli.connect import connect
from alphacut.cli.console import Console, ExitCode, UsageError
from alphacut.cli.planning import Job, Plan, make_plan
from alphacut.cli.report import Outcome, Report, Status
from alphacut.client import Client
from alphacut.cutout import Cutout
from alphacut.errors import (
    AlphacutError,
    BackgroundNotLoadable,
    Cancelled,
    MessageTooLarge,
    NotServed,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    UnknownModel,
)
from alphacut.options import Background, BackgroundFit, Options, Priority
from alphacut.pictures import MAX_PICTURE_BYTES, check_size, load_picture
from alphacut.urls import Url

# What would end every other picture the same way: the run stops there instead of failing thousands of times.
_STOPPERS: dict[type[AlphacutError], ExitCode] = {
    Unavailable: ExitCode.NO_SERVER,
    Unauthenticated: ExitCode.NO_SERVER,
    PermissionDenied: ExitCode.NO_SERVER,
    UnknownModel: ExitCode.USAGE,
}


def run_remove(options: RemoveOptions, console: Console) -> int:
    """Cut what was asked for and return the exit code; raises CommandError before any work."""
    plan = make_plan(options)
    _check_pipes(plan, options, console)
    how = _settle_options(plan, options)
    started_s = time.monotonic()
    report = Report(console, total=len(plan.jobs), json_lines=options.json_lines, quiet=options.quiet)
    with report:
        for job in plan.skipped:
            report.tell(Outcome(job, Status.SKIPPED))
        code = ExitCode.DONE
        if plan.jobs:
            with connect(options.connection, options.model, options.quality) as client:
                code = _Run(client, options.jobs, how, console, report).cut(plan.jobs)
        report.conclude(time.monotonic() - started_s)
    return code


def _check_pipes(plan: Plan, options: RemoveOptions, console: Console) -> None:
    """Refuse to read from or write to a terminal, and to mix two things into one pipe."""
    if any(job.source is None for job in plan.jobs) and console.stdin.isatty():
        raise UsageError(
            "- reads a picture from stdin, which is a terminal; use `alphacut remove - < photo.jpg`"
        )
    if any(job.output is None for job in plan.jobs):
        if console.stdout.isatty():
            raise UsageError(
                "the picture would be written to a terminal; redirect stdout or name a file with -o"
            )
        if options.json_lines:
            raise UsageError("--json-lines and the picture cannot both go to stdout; name a file with -o")


def _settle_options(plan: Plan, options: RemoveOptions) -> Options:
    """Return what every call asks for; raises UsageError when the background cannot be read."""
    # An embedded server is started with the model and the quality already.
    has_server = options.connection.server is not None
    return Options(
        mode=options.mode,
        quality=options.quality if has_server else None,
        model=options.model if has_server else "",
        background=_read_background(plan, options),
        format=plan.format,
        crop_margin=options.crop_margin,
        # One picture has someone waiting for it; many yield to those who wait.
        priority=Priority.INTERACTIVE if len(plan.jobs) == 1 else Priority.BULK,
    )


def _read_background(plan: Plan, options: RemoveOptions) -> Background | None:
    """Return the background, its file read once for all pictures; raises UsageError when it cannot be read."""
    if options.background_color is not None:
        return Background(color=options.background_color)
    if plan.background is None:
        return None
    fit = options.background_fit or BackgroundFit.NONE
    if isinstance(plan.background, Url):
        return Background(image=plan.background, fit=fit)
    try:
        return Background(image=load_picture(plan.background).content, fit=fit)
    except (OSError, MessageTooLarge) as error:
        raise UsageError(f"the background {plan.background} cannot be read: {error}") from error


class _Run:
    """One run over the jobs; the calling thread reports, the pool's threads read, call and write."""

    def __init__(self, client: Client, at_once: int, how: Options, console: Console, report: Report) -> None:
        self._client = client
        self._console = console
        self._report = report
        self._at_once = at_once
        self._how = how
        self._stopping = threading.Event()

    def cut(self, jobs: tuple[Job, ...]) -> ExitCode:
        """Cut them all; on Ctrl-C what runs is cancelled or ends whole, and the interrupt goes on."""
        todo = iter(jobs)
        running: set[Future[Outcome]] = set()
        stopped: ExitCode | None = None
        with ThreadPoolExecutor(min(self._at_once, len(jobs)), thread_name_prefix="alphacut-remove") as pool:
            try:
                while True:
                    if stopped is None:
                        self._refill(pool, todo, running)
                    if not running:
                        break
                    ended, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in ended:
                        outcome = future.result()
                        self._report.tell(outcome)
                        stopped = stopped or outcome.stops_run
            except BaseException:
                # Ends the calls under way, and with them the threads that the pool waits for.
                self._stopping.set()
                self._client.close()
                raise
        for job in todo:
            self._report.tell(Outcome(job, Status.NOT_ATTEMPTED))
        if stopped is not None:
            return stopped
        return ExitCode.SOME_FAILED if self._report.counts[Status.FAILED] else ExitCode.DONE

    def _refill(self, pool: ThreadPoolExecutor, todo: Iterator[Job], running: set[Future[Outcome]]) -> None:
        while len(running) < self._at_once:
            job = next(todo, None)
            if job is None:
                return
            running.add(pool.submit(self._cut_one, job))

    def _cut_one(self, job: Job) -> Outcome:
        started_s = time.monotonic()

        def failed(reason: str, message: str, stops_run: ExitCode | None = None) -> Outcome:
            elapsed_s = time.monotonic() - started_s
            return Outcome(job, Status.FAILED, None, reason, message, elapsed_s, stops_run)

        if self._stopping.is_set():
            return Outcome(job, Status.NOT_ATTEMPTED)
        try:
            cutout = self._call(job)
            self._write(job, cutout)
        except Cancelled:
            return Outcome(job, Status.NOT_ATTEMPTED)
        except AlphacutError as error:
            return failed(error.reason or _code_name(error), _sentence(error), _stop_code(error, self._how))
        except BrokenPipeError:
            # Nobody reads our stdout any more: the end of the run, not of one picture.
            raise
        except OSError as error:
            return failed("FILE", error.strerror or str(error))
        return Outcome(job, Status.DONE, cutout, elapsed_s=time.monotonic() - started_s)

    def _call(self, job: Job) -> Cutout:
        if job.source is not None:
            return self._client.remove_background(job.source, self._how)
        content = self._console.stdin.read(MAX_PICTURE_BYTES + 1)
        check_size(len(content))
        return self._client.remove_background(content, self._how, name="stdin")

    def _write(self, job: Job, cutout: Cutout) -> None:
        if job.output is None:
            self._console.stdout.write(cutout.content)
            self._console.stdout.flush()
            return
        job.output.parent.mkdir(parents=True, exist_ok=True)
        # Whether it may be replaced was settled by the plan.
        cutout.save(job.output)


def _stop_code(error: AlphacutError, how: Options) -> ExitCode | None:
    """Return how the run ends when every other picture would fail the same way, None when this one fails alone."""
    if isinstance(error, BackgroundNotLoadable):
        # A file stays what it is; a URL may answer the next time.
        is_file = how.background is not None and not isinstance(how.background.image, Url)
        return ExitCode.USAGE if is_file else None
    field = error.metadata.get("field", "")
    # All pictures have the same options. What is said of `image` is one's own, and so is what a format can hold.
    is_own = field.startswith("image") or (field == "output.format" and not isinstance(error, NotServed))
    if field and not is_own:
        return ExitCode.USAGE
    return next((code for kind, code in _STOPPERS.items() if isinstance(error, kind)), None)


def _code_name(error: AlphacutError) -> str:
    return "" if error.code is None else error.code.name


def _sentence(error: AlphacutError) -> str:
    return f"{error.message} (request {error.request_id})" if error.request_id else error.message
