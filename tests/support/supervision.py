"""Plans of fake programs for a supervisor, and a supervisor as a process of its own (`python -m support.supervision`)."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import alphacut_service
from alphacut_service.supervisor import Plan, Program, supervise
from support.journal import Journal

READY_TEXT = "both are ready"


def child_environ() -> dict[str, str]:
    """Return an environment in which a child finds these tests' helpers and the packages under test."""
    folders = [Path(__file__).parents[1], Path(alphacut_service.__file__).parents[1]]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(folder) for folder in folders)}


def fake(name: str, address: str, behaviour: str) -> Program:
    """Return a fake program that reports to the journal at `address`."""
    return Program(name, "support.fake_program", (address, name, behaviour))


def plan_of(
    address: str,
    *,
    preparation: str = "exit-0",
    back: str = "serve",
    front: str = "serve",
    wait_until_ready: Callable[[], Coroutine[Any, Any, None]] | None = None,
    stop_timeout_s: float = 30.0,
) -> Plan:
    """Return a plan of fakes that behave as told; ready at once unless told otherwise."""
    return Plan(
        preparation=fake("preparation", address, preparation),
        back=fake("back", address, back),
        front=fake("front", address, front),
        environ=child_environ(),
        wait_until_ready=wait_until_ready or ready_at_once,
        announcement=READY_TEXT,
        stop_timeout_s=stop_timeout_s,
    )


async def ready_at_once() -> None:
    """Return."""


async def never_ready() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


async def until_both_started(journal: Journal) -> None:
    """Wait until preparation has come and gone and both programs have reported."""
    assert await journal.lines(2) == ["preparation started", "preparation gone"]
    assert sorted(await journal.lines(2)) == ["back started", "front started"]


def main() -> int:
    """Supervise two serving fakes that report to the journal of the command line; for tests that kill the supervisor."""
    plan = plan_of(sys.argv[1])
    return asyncio.run(supervise(plan, tell=print, complain=print))


if __name__ == "__main__":
    sys.exit(main())
