"""Two programs run as one: order, readiness, signals, deaths."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from alphacut_service.supervisor import Plan, supervise
from support.journal import Journal, open_journal
from support.process_signals import restored_handlers, signal_self
from support.supervision import READY_TEXT, child_environ, never_ready, plan_of, until_both_started

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Keep the test run's own handlers."""
    with restored_handlers():
        yield


@pytest.fixture
async def journal() -> AsyncIterator[Journal]:
    """Hear what the children report."""
    async with open_journal() as opened:
        yield opened


@dataclass(slots=True)
class Said:
    """What the supervisor told and complained about."""

    told: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    was_told: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, text: str) -> None:
        """Take the announcement."""
        self.told.append(text)
        self.was_told.set()


def start(plan: Plan, said: Said) -> "asyncio.Task[int]":
    """Supervise in the background."""
    return asyncio.create_task(supervise(plan, tell=said.tell, complain=said.complaints.append))


async def test_both_are_announced_then_drained_front_first(journal: Journal) -> None:
    """A signal drains the front before the back, which the front still needs, and the exit code is 0."""
    said = Said()
    running = start(plan_of(journal.address), said)
    await until_both_started(journal)
    await said.was_told.wait()

    signal_self(signal.SIGTERM)
    code = await running

    assert code == 0
    assert said.told == [READY_TEXT]
    assert said.complaints == []
    assert await journal.lines(4) == ["front stopped", "front gone", "back stopped", "back gone"]


async def test_repeated_signals_change_nothing(journal: Journal) -> None:
    """However often and whichever signal comes, both drain once and the exit code is 0."""
    said = Said()
    running = start(plan_of(journal.address), said)
    await until_both_started(journal)
    await said.was_told.wait()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGINT):
        signal_self(number)
    first = await journal.line()
    signal_self(signal.SIGTERM)
    code = await running

    assert code == 0
    assert said.complaints == []
    assert [first, *await journal.lines(3)] == ["front stopped", "front gone", "back stopped", "back gone"]


async def test_signal_before_readiness_stops_without_announcement(journal: Journal) -> None:
    """Stopping while the programs still start is a stop like any other."""
    said = Said()
    running = start(plan_of(journal.address, wait_until_ready=never_ready), said)
    await until_both_started(journal)

    signal_self(signal.SIGTERM)
    code = await running

    assert code == 0
    assert said == Said(was_told=said.was_told)


async def test_signal_during_preparation_ends_it(journal: Journal) -> None:
    """A pull that takes minutes can be stopped; nothing else is started."""
    said = Said()
    running = start(plan_of(journal.address, preparation="serve"), said)
    assert await journal.line() == "preparation started"

    signal_self(signal.SIGINT)
    code = await running

    assert code == 0
    assert await journal.lines(2) == ["preparation stopped", "preparation gone"]
    assert journal.rest() == []


@pytest.mark.parametrize(("preparation", "expected"), [("exit-2", 2), ("exit-3", 1)])
async def test_failed_preparation_ends_the_start(journal: Journal, preparation: str, expected: int) -> None:
    """Wrong settings pass their code 2 on, anything else is 1; nothing else is started."""
    said = Said()

    code = await start(plan_of(journal.address, preparation=preparation), said)

    assert code == expected
    assert said.complaints == [f"preparation failed (exit code {preparation[-1]}); see above."]
    assert await journal.lines(2) == ["preparation started", "preparation gone"]
    assert journal.rest() == []


@pytest.mark.parametrize(("dying", "other"), [("front", "back"), ("back", "front")])
async def test_death_of_one_stops_the_other(journal: Journal, dying: str, other: str) -> None:
    """Half a service is none: the survivor drains, and the message says which died."""
    said = Said()
    front, back = ("cued-3", "serve") if dying == "front" else ("serve", "cued-3")
    running = start(plan_of(journal.address, front=front, back=back), said)
    await until_both_started(journal)

    journal.cue(dying)
    code = await running

    assert code == 1
    assert said.complaints == [f"{dying} ended by itself (exit code 3), so the rest was stopped."]
    assert await journal.lines(3) == [f"{dying} gone", f"{other} stopped", f"{other} gone"]


async def test_death_before_readiness_is_not_announced(journal: Journal) -> None:
    """A program that dies while starting, as for a taken port, is told instead of the addresses."""
    said = Said()

    code = await start(plan_of(journal.address, back="exit-1", wait_until_ready=never_ready), said)

    assert code == 1
    assert said.told == []
    assert said.complaints[0].startswith("back ended by itself (exit code 1)")


async def test_death_by_signal_is_named(journal: Journal) -> None:
    """A program that the kernel killed, as for memory, is told by the signal's name."""
    said = Said()
    running = start(plan_of(journal.address, back="cued-kill"), said)
    await until_both_started(journal)

    journal.cue("back")
    code = await running

    assert code == 1
    assert said.complaints[0].startswith("back ended by itself (killed by SIGKILL)")


async def test_program_that_does_not_stop_is_killed(journal: Journal) -> None:
    """A hung program cannot hold the other, or the terminal, for ever; the exit code tells."""
    said = Said()
    running = start(plan_of(journal.address, front="deaf", stop_timeout_s=0.2), said)
    await until_both_started(journal)

    signal_self(signal.SIGTERM)
    code = await running

    assert code == 1
    assert said.complaints == ["front did not stop within 0.2 s and was killed."]
    assert await journal.lines(3) == ["front gone", "back stopped", "back gone"]


async def test_failure_while_stopping_is_told(journal: Journal) -> None:
    """A program that fails in its drain has lost work: exit code 1."""
    said = Said()
    running = start(plan_of(journal.address, back="serve-badly"), said)
    await until_both_started(journal)

    signal_self(signal.SIGTERM)
    code = await running

    assert code == 1
    assert said.complaints == ["back failed while stopping (exit code 4)."]


async def test_killed_supervisor_leaves_no_orphans(journal: Journal) -> None:
    """Even SIGKILL to the supervisor ends both programs, with a drain."""
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.supervision", journal.address, env=child_environ()
    )
    await until_both_started(journal)

    supervisor.kill()
    await supervisor.wait()

    assert sorted(await journal.lines(4)) == ["back gone", "back stopped", "front gone", "front stopped"]


async def test_signals_to_the_process_group_are_one_stop(journal: Journal) -> None:
    """A terminal's Ctrl-C goes to the whole group, and more than once: still a drain in order, and exit code 0."""
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.supervision",
        journal.address,
        env=child_environ(),
        stdout=asyncio.subprocess.PIPE,
        process_group=0,
    )
    await until_both_started(journal)
    assert supervisor.stdout is not None
    assert await supervisor.stdout.readline() == f"{READY_TEXT}\n".encode()

    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        os.killpg(supervisor.pid, number)

    assert await supervisor.wait() == 0
    assert await journal.lines(4) == ["front stopped", "front gone", "back stopped", "back gone"]
