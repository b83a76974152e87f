"""What is sent again and when: the policy by itself, and against servers that refuse, die and come back."""

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphacut import AsyncClient, Client, RetryPolicy, errors
from alphacut.retry import is_retryable
from support.fake_service import (
    NOT_LOADABLE,
    UNAVAILABLE,
    Context,
    FakeServer,
    Hold,
    Request,
    Response,
    fail,
    make_status,
)
from support.fake_time import FakeTime

TESTS = Path(__file__).parents[2]
FIVE_MB = os.urandom(5_000_000)
GONE = errors.Unavailable("gone")
OVERLOADED = make_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "Full.", reason="OVERLOADED", retry_after_s=2.5)


def test_backoff_grows_to_its_limit() -> None:
    """Without jitter the delays double until the limit."""
    policy = RetryPolicy(max_attempts=9, initial_backoff_s=0.1, max_backoff_s=1.0, jitter=0)

    delays = [policy.delay_s(GONE, attempts, math.inf, 0.0) for attempts in range(1, 7)]

    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


@given(
    attempts=st.integers(1, 10_000),
    remaining_s=st.floats(0, 100) | st.just(math.inf),
    chance=st.floats(0, 1, exclude_max=True),
    advice_s=st.none() | st.floats(0, 60),
    jitter=st.floats(0, 1),
)
def test_delay_keeps_its_promises(
    attempts: int, remaining_s: float, chance: float, advice_s: float | None, jitter: float
) -> None:
    """A retry never starts at or after the deadline, nor before the server's advice, nor beyond the attempts."""
    policy = RetryPolicy(max_attempts=5000, jitter=jitter)
    error = errors.Overloaded("full", retry_after_s=advice_s)

    delay_s = policy.delay_s(error, attempts, remaining_s, chance)

    if attempts >= 5000 or advice_s is None:
        assert delay_s is None
    elif delay_s is not None:
        assert advice_s <= delay_s < remaining_s
    else:
        assert remaining_s <= max(policy.max_backoff_s, advice_s * (1 + jitter))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.Unavailable("x"), True),
        (errors.Draining("x"), True),
        (errors.ModelNotReady("x"), True),
        (errors.Overloaded("x", retry_after_s=1), True),
        (errors.Overloaded("x"), False),
        (errors.MessageTooLarge("x"), False),
        (errors.ImageNotLoadable("x"), False),
        (errors.InvalidOption("x"), False),
        (errors.DeadlineExceeded("x"), False),
        (errors.ServerFault("x"), False),
        (errors.Cancelled("x"), False),
        (errors.Unauthenticated("x"), False),
    ],
)
def test_only_what_may_heal_is_retryable(error: errors.AlphacutError, expected: bool) -> None:
    """No server and advised overload may heal; the rest fails the same way again."""
    assert is_retryable(error) is expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: RetryPolicy(max_attempts=0),
        lambda: RetryPolicy(initial_backoff_s=0),
        lambda: RetryPolicy(initial_backoff_s=2, max_backoff_s=1),
        lambda: RetryPolicy(multiplier=0.5),
        lambda: RetryPolicy(jitter=1.5),
    ],
)
def test_policy_refuses_nonsense(make: Callable[[], RetryPolicy]) -> None:
    """A policy that would never pause or never send is a bug where it is made."""
    with pytest.raises(ValueError, match="must be"):
        make()


def test_refused_five_megabytes_arrive_in_the_end(server: FakeServer) -> None:
    """A picture far above gRPC's 256 KiB retry buffer is sent again, whole, after the policy's pauses."""
    time = FakeTime()
    server.service.script.extend([fail(UNAVAILABLE)] * 3)

    with Client(server.target, timing=time.timing, sleep=time.sleep) as client:
        cutout = client.remove_background(FIVE_MB)

    assert cutout.width == 4
    assert [request.image.content == FIVE_MB for request in server.service.requests] == [True] * 4
    assert time.slept == pytest.approx([0.1, 0.2, 0.4])


async def test_refused_five_megabytes_arrive_in_the_end_async(server: FakeServer) -> None:
    """The asyncio client sends a large picture again just so."""
    time = FakeTime()
    server.service.script.extend([fail(UNAVAILABLE)] * 3)

    async with AsyncClient(server.target, timing=time.timing, sleep=time.sleep_async) as client:
        cutout = await client.remove_background(FIVE_MB)

    assert cutout.width == 4
    assert [request.image.content == FIVE_MB for request in server.service.requests] == [True] * 4
    assert time.slept == pytest.approx([0.1, 0.2, 0.4])


def test_attempts_end_with_the_policy(server: FakeServer) -> None:
    """The server sees exactly as many calls as the policy allows: gRPC adds none of its own."""
    time = FakeTime()
    server.service.script.extend([fail(UNAVAILABLE)] * 20)
    policy = RetryPolicy(max_attempts=4)

    with (
        Client(server.target, retry=policy, timing=time.timing, sleep=time.sleep) as client,
        pytest.raises(errors.Draining) as caught,
    ):
        client.remove_background(b"small enough for gRPC's own retries")

    assert len(server.service.requests) == 4
    assert caught.value.attempts == 4


def test_overload_is_retried_when_the_server_says(server: FakeServer) -> None:
    """RetryInfo is waited for, and no shorter."""
    time = FakeTime()
    server.service.script.append(fail(OVERLOADED))

    with Client(server.target, timing=time.timing, sleep=time.sleep) as client:
        client.remove_background(b"picture")

    assert time.slept == pytest.approx([2.5])


def test_overload_beyond_the_deadline_is_told_at_once(server: FakeServer) -> None:
    """When the advised wait would outlast the deadline, nobody waits for it."""
    time = FakeTime()
    server.service.script.append(fail(OVERLOADED))

    with (
        Client(server.target, timing=time.timing, sleep=time.sleep, timeout_s=2.0) as client,
        pytest.raises(errors.Overloaded),
    ):
        client.remove_background(b"picture")

    assert time.slept == []
    assert len(server.service.requests) == 1


def test_bad_picture_is_never_sent_again(server: FakeServer) -> None:
    """INVALID_ARGUMENT ends the call at the first attempt."""
    time = FakeTime()
    server.service.script.append(fail(NOT_LOADABLE))

    with (
        Client(server.target, timing=time.timing, sleep=time.sleep) as client,
        pytest.raises(errors.ImageNotLoadable),
    ):
        client.remove_background(b"no picture")

    assert len(server.service.requests) == 1
    assert time.slept == []


def test_nothing_is_sent_after_the_deadline(server: FakeServer) -> None:
    """A pause that ran longer than planned does not lead to a call after the deadline."""
    time = FakeTime()
    server.service.script.append(fail(UNAVAILABLE))

    def oversleep(span_s: float) -> None:
        time.sleep(span_s + 60)

    with (
        Client(server.target, timing=time.timing, sleep=oversleep, timeout_s=30) as client,
        pytest.raises(errors.Draining),
    ):
        client.remove_background(b"picture")

    assert len(server.service.requests) == 1


def test_each_attempt_has_what_is_left_of_the_deadline(server: FakeServer) -> None:
    """The server sees one shrinking deadline, not a fresh one for each attempt."""
    time = FakeTime()
    left_s: list[float] = []

    def refuse(request: Request, context: Context) -> Response:
        left_s.append(context.time_remaining())
        return fail(OVERLOADED)(request, context)

    server.service.script.extend([refuse, refuse])

    with Client(server.target, timing=time.timing, sleep=time.sleep, timeout_s=20) as client:
        client.remove_background(b"picture")

    assert left_s == pytest.approx([20.0, 17.5], abs=1.0)


def test_deadline_ends_a_call_that_nobody_answers(server: FakeServer) -> None:
    """A server that holds the call is left when the call's own timeout has passed, and told so."""
    hold = Hold()
    server.service.script.append(hold)

    with Client(server.target) as client, pytest.raises(errors.DeadlineExceeded):
        client.remove_background(b"picture", timeout_s=0.2)

    assert hold.cancelled.wait(10)
    assert len(server.service.requests) == 1


def test_close_ends_the_wait_for_a_retry(server: FakeServer) -> None:
    """Closing the client from another thread ends a pause between attempts, and calls under way."""
    advice = make_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "Full.", reason="OVERLOADED", retry_after_s=100)
    server.service.script.append(fail(advice))
    client = Client(server.target, timeout_s=math.inf)
    asked = threading.Event()

    def ask() -> None:
        with suppress(errors.Cancelled):
            client.remove_background(b"picture")
        asked.set()

    threading.Thread(target=ask, daemon=True).start()
    while not server.service.requests:
        client.is_serving()
    client.close()

    assert asked.wait(10)


def start_process(port: int, *words: str) -> "subprocess.Popen[str]":
    """Start the fake server in a process of its own; its first line is its port."""
    command = [sys.executable, "-m", "support.fake_service", str(port), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS)


def read_line(process: "subprocess.Popen[str]") -> str:
    """Return the process's next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.slow
def test_killed_and_restarted_server_costs_no_picture() -> None:
    """SIGKILL in the middle of a call, a new server on the same port: the caller sees an answer, not an error."""
    first = start_process(0, "hold")
    port = int(read_line(first))
    answers: list[str] = []
    with Client(f"127.0.0.1:{port}", timeout_s=60, retry=RetryPolicy(max_attempts=50)) as client:
        caller = threading.Thread(target=lambda: answers.append(client.remove_background(FIVE_MB).model))
        caller.start()
        assert read_line(first) == "arrived"

        first.send_signal(signal.SIGKILL)
        first.wait(10)
        second = start_process(port)
        try:
            caller.join(60)
        finally:
            second.kill()
            second.wait(10)

    assert answers == ["fake"]
