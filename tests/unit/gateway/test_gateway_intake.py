"""Reading a form from a request: limits of size and time, room first, and callers who leave."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from alphacut_gateway.forms import BodyMalformed, BodyTooLarge, CallerGone, Form, NoRoom, SenderTooSlow
from alphacut_gateway.intake import COPIES, FLOOR_BYTES, BodyLimits, open_form, read_form
from alphacut_gateway.presence import run_unless_disconnected
from support.gateway_http import FILES, PATIENT, TEXTS, multipart, room_of
from support.server import HANG_S

MIB = 1 << 20
DISCONNECT: Message = {"type": "http.disconnect"}


class Body:
    """A request's body as an ASGI server hands it over; after the pieces it keeps silent, or the caller leaves.

    reads: how many times it was asked.
    """

    def __init__(self, pieces: Sequence[bytes], *, ends: bool = True, leaves: bool = False) -> None:
        last = len(pieces) - 1
        self._messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": not (ends and i == last)}
            for i, piece in enumerate(pieces)
        ]
        self._leaves = leaves
        self.reads = 0

    async def receive(self) -> Message:
        """Hand over the next piece."""
        self.reads += 1
        if self._messages:
            return self._messages.pop(0)
        if self._leaves:
            return DISCONNECT
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody ends the silence")


def headers(*, length: str | None = None, kind: str = "multipart/form-data; boundary=b") -> Headers:
    """Return a request's headers; length None is a chunked body."""
    size = ("transfer-encoding", "chunked") if length is None else ("content-length", length)
    return Headers(dict([("content-type", kind), size]))


async def read(body: Body, *, length: str | None = None, limits: BodyLimits = PATIENT) -> Form:
    """Read a form."""
    return await read_form(headers(length=length), body.receive, limits, files=FILES, texts=TEXTS)


async def test_form_is_read_to_the_end_of_the_body() -> None:
    """However many pieces it comes in, empty ones included."""
    whole = multipart(b"b", (b'form-data; name="image"; filename="a"', b"pixels"))

    form = await read(Body([whole[:9], b"", whole[9:], b"an epilogue"]))

    assert form.files["image"].content == b"pixels"


@pytest.mark.parametrize("length", ["33554433", "99999999999999999999999999", "9" * 5000])
async def test_declared_excess_is_refused_unread(length: str) -> None:
    """The head says enough: nothing is read, and no `100 Continue` is sent, for reading would send it."""
    body = Body([b""])

    with pytest.raises(BodyTooLarge, match="larger than 32 MiB"):
        await read(body, length=length)

    assert body.reads == 0


@pytest.mark.parametrize("length", ["-1", "+1", "1_0", "0x10", "one", "", "1,1", "²"])
async def test_length_that_is_no_number_is_malformed(length: str) -> None:
    """Only digits are a length."""
    with pytest.raises(BodyMalformed, match="Content-Length"):
        await read(Body([b""]), length=length)


async def test_streamed_excess_is_refused_as_soon_as_it_is_there() -> None:
    """32 MiB are read, one byte more is not waited for: what follows is not asked for."""
    begin = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
    rest = [b"p" * MIB] * 40

    body = Body([begin, *rest])
    with pytest.raises(BodyTooLarge):
        await read(body)

    assert body.reads == 33


async def test_body_of_just_the_limit_is_read() -> None:
    """The limit itself is allowed."""
    frame = multipart(b"b", (b'form-data; name="image"; filename="a"', b"|"))
    content = b"p" * (32 * MIB - len(frame) + 1)

    form = await read(Body([frame.replace(b"|", content)]), length=str(32 * MIB))

    assert len(form.files["image"].content) == len(content)


async def test_caller_who_leaves_ends_the_reading() -> None:
    """There is nobody to answer."""
    with pytest.raises(CallerGone):
        await read(Body([b"--b\r\n"], ends=False, leaves=True))


@pytest.mark.parametrize("pieces", [[], [b"--b\r\n"]])
async def test_silent_sender_is_too_slow(pieces: list[bytes]) -> None:
    """Once the grace is over, the average counts, and silence lowers it."""
    limits = BodyLimits(upload_timeout_s=HANG_S, grace_s=0.01, min_bytes_per_s=10_000)

    with pytest.raises(SenderTooSlow, match="did not arrive in time"):
        await read(Body(pieces, ends=False), limits=limits)


async def test_whole_body_must_come_in_time() -> None:
    """However fast it began."""
    limits = BodyLimits(upload_timeout_s=0.01, grace_s=HANG_S, min_bytes_per_s=1)

    with pytest.raises(SenderTooSlow):
        await read(Body([b"p" * MIB], ends=False), limits=limits)


@pytest.mark.parametrize(
    ("received_bytes", "patience_s"), [(0, 10), (50_000, 10), (100_000, 10), (200_000, 20), (10**9, 60)]
)
def test_patience_grows_with_what_came(received_bytes: int, patience_s: float) -> None:
    """The grace first, then as long as the average holds, and never beyond the whole upload's time."""
    limits = BodyLimits(upload_timeout_s=60, grace_s=10, min_bytes_per_s=10_000)

    assert limits.patience_s(received_bytes) == patience_s


async def test_room_is_taken_by_the_declared_length_and_kept_by_the_files() -> None:
    """While it is read the whole body may be a file; afterwards only what was kept is in memory."""
    room = room_of()
    whole = multipart(
        b"b", (b'form-data; name="image"; filename="a"', b"p" * 100), (b'form-data; name="junk"', b"j" * MIB)
    )
    body = Body([whole])
    held_reading = 0

    async def receive() -> Message:
        nonlocal held_reading
        held_reading = room.held_bytes
        return await body.receive()

    async with open_form(
        headers(length=str(len(whole))), receive, PATIENT, files=FILES, texts=TEXTS, room=room
    ) as taken:
        held_answering = room.held_bytes
        size = len(taken.form.files["image"].content)

    assert held_reading == FLOOR_BYTES + COPIES * len(whole)
    assert held_answering == FLOOR_BYTES + COPIES * size
    assert room.held_bytes == 0


async def test_body_of_unknown_length_takes_room_for_the_largest() -> None:
    """It may become that large; growing by steps, two of them could wait for each other."""
    room = room_of()
    held: list[int] = []

    async def receive() -> Message:
        held.append(room.held_bytes)
        return {"type": "http.request", "body": b"", "more_body": False}

    async with open_form(headers(), receive, PATIENT, files=FILES, texts=TEXTS, room=room):
        pass

    assert held == [FLOOR_BYTES + COPIES * 32 * MIB]


async def test_without_room_nothing_is_read() -> None:
    """The body stays with its sender; when the wait is over the request is refused."""
    room = room_of(timeout_s=0.001)
    body = Body([b""])

    async with room.hold(1 << 30):
        with pytest.raises(NoRoom):
            async with open_form(
                headers(length="100"), body.receive, PATIENT, files=FILES, texts=TEXTS, room=room
            ):
                pass

    assert body.reads == 0


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (Body([b"x"], ends=False, leaves=True), CallerGone),
        (Body([b"--b\n"]), BodyMalformed),
        (Body([b"p" * 33 * MIB]), BodyTooLarge),
    ],
)
async def test_failure_gives_the_room_back(body: Body, error: type[Exception]) -> None:
    """Whatever ends the reading, nothing stays held."""
    room = room_of()

    with pytest.raises(error):
        async with open_form(headers(), body.receive, PATIENT, files=FILES, texts=TEXTS, room=room):
            pass

    assert room.held_bytes == 0


async def test_work_is_done_while_the_caller_is_there() -> None:
    """What it returns or raises comes out, and nobody is left watching."""

    async def done() -> str:
        return "done"

    async def failed() -> str:
        raise ValueError("failed")

    silent = Body([], ends=False)
    assert await run_unless_disconnected(silent.receive, done()) == "done"
    with pytest.raises(ValueError, match="failed"):
        await run_unless_disconnected(silent.receive, failed())
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_work_is_cancelled_when_the_caller_leaves() -> None:
    """It has ended by the time the caller is told to be gone."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    async def receive() -> Message:
        await began.wait()
        return DISCONNECT

    with pytest.raises(CallerGone):
        await run_unless_disconnected(receive, work())

    assert ended.is_set()


async def test_cancelling_the_request_cancels_the_work() -> None:
    """A gateway that is told to stop does not leave calls behind."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    request = asyncio.create_task(run_unless_disconnected(Body([], ends=False).receive, work()))
    await began.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    assert ended.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}
