"""Run two programs as one: start both, tell when they are ready, stop both whatever ends first. Knows neither program."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from alphacut_service.signals import stop_requested

# How a program ends that was told to stop: by itself, or by the signal when it had no handler yet.
_STOPPED = frozenset({0, -signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT})


@dataclass(frozen=True, slots=True)
class Program:
    """A Python module to run: what messages call it, the module, its arguments."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and what to say.

    preparation runs first, to its end. front is stopped before back, for it passes on what callers are waiting for.
    wait_until_ready returns when both can be used. stop_timeout_s: how long each may drain before it is killed.
    """

    preparation: Program
    back: Program
    front: Program
    environ: Mapping[str, str]
    wait_until_ready: Callable[[], Coroutine[Any, Any, None]]
    announcement: str
    stop_timeout_s: float


async def supervise(plan: Plan, *, tell: Callable[[str], None], complain: Callable[[str], None]) -> int:
    """Run the plan until SIGTERM, SIGINT or the end of one program; return the exit code.

    0 after a signal, also a repeated one; 2 when the preparation refuses its settings (exit code 2); else 1.
    tell: shows the announcement. complain: shows why it ended otherwise.
    """
    with stop_requested() as stop:
        preparation = await _start(plan.preparation, plan.environ)
        code = await _until_stopped(preparation.wait(), stop)
        if code is None:
            await _stop(preparation, plan.stop_timeout_s)
            return 0
        if code != 0:
            complain(f"{plan.preparation.name} failed (exit code {code}); see above.")
            return 2 if code == 2 else 1
        back = await _start(plan.back, plan.environ)
        front = await _start(plan.front, plan.environ)
        ended = await _watch(plan, back, front, stop, tell)
        return await _stop_both(plan, back=back, front=front, ended=ended, complain=complain)


async def _watch(
    plan: Plan,
    back: asyncio.subprocess.Process,
    front: asyncio.subprocess.Process,
    stop: asyncio.Event,
    tell: Callable[[str], None],
) -> Program | None:
    """Announce readiness when it comes; return the program that ended by itself, None when told to stop."""
    loop = asyncio.get_running_loop()
    waits = {
        "stop": loop.create_task(stop.wait()),
        "back": loop.create_task(back.wait()),
        "front": loop.create_task(front.wait()),
        "ready": loop.create_task(plan.wait_until_ready()),
    }
    try:
        await asyncio.wait(waits.values(), return_when=asyncio.FIRST_COMPLETED)
        ready = waits.pop("ready")
        if ready.done():
            ready.result()
            tell(plan.announcement)
            await asyncio.wait(waits.values(), return_when=asyncio.FIRST_COMPLETED)
        else:
            await _cancel(ready)
        if waits["stop"].done():
            return None
        return plan.back if waits["back"].done() else plan.front
    finally:
        for wait in waits.values():
            await _cancel(wait)


async def _stop_both(
    plan: Plan,
    *,
    back: asyncio.subprocess.Process,
    front: asyncio.subprocess.Process,
    ended: Program | None,
    complain: Callable[[str], None],
) -> int:
    """Drain both, the front first, and say at the end, below their own last lines, what did not go as it should."""
    processes = {plan.front.name: front, plan.back.name: back}
    faults = []
    if ended is not None:
        process = processes.pop(ended.name)
        faults.append(f"{ended.name} ended by itself ({_how(process.returncode)}), so the rest was stopped.")
    for name, process in processes.items():
        if not await _stop(process, plan.stop_timeout_s):
            faults.append(f"{name} did not stop within {plan.stop_timeout_s:g} s and was killed.")
        elif process.returncode not in _STOPPED:
            faults.append(f"{name} failed while stopping ({_how(process.returncode)}).")
    for fault in faults:
        complain(fault)
    return 1 if faults else 0


async def _start(program: Program, environ: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start a program in a process group of its own, so that a terminal's Ctrl-C reaches it only through us, in order."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "alphacut_service.child",
        str(os.getpid()),
        program.module,
        *program.arguments,
        env=dict(environ),
        stdin=asyncio.subprocess.DEVNULL,
        process_group=0,
    )


async def _stop(process: asyncio.subprocess.Process, timeout_s: float) -> bool:
    """Send SIGTERM and wait for the end. Return False when the process had to be killed."""
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), timeout_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
    return True


async def _until_stopped(work: Coroutine[Any, Any, int], stop: asyncio.Event) -> int | None:
    """Return what the work returns, or None when the stop comes first."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    result = None if stop.is_set() else working.result()
    await _cancel(working)
    await _cancel(stopping)
    return result


async def _cancel(task: "asyncio.Task[Any]") -> None:
    """Cancel a task, if it still runs, and see its end."""
    task.cancel()
    await asyncio.wait({task})


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
