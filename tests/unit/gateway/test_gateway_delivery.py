"""Answers arrive: early ones before callers who are still writing, in pieces before those who read slowly."""

import asyncio
import contextlib
import http.client
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator

import aiohttp
import httpx
import pytest
import requests
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from alphacut_gateway.delivery import PIECE_BYTES, Deliver
from alphacut_gateway.intake import COPIES, FLOOR_BYTES, BodyLimits
from support.gateway_http import (
    Uploads,
    caller_of,
    delivered,
    http_server,
    multipart,
    post,
    room_of,
)
from support.server import HANG_S

MIB = 1 << 20
BODY = multipart(b"b", (b'form-data; name="image"; filename="a"', b"p" * 40 * MIB))
FORM_TYPE = "multipart/form-data; boundary=b"
TOO_LARGE = "The request is larger than 32 MiB."


def in_pieces() -> Iterator[bytes]:
    """Give the body as a stream, so that its length is not declared."""
    for begin in range(0, len(BODY), 1 << 16):
        yield BODY[begin : begin + (1 << 16)]


def by_http_client(url: str) -> tuple[int, str]:
    """Send with http.client, which writes all before it reads."""
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=HANG_S)
    connection.request("POST", "/v1/results", BODY, {"Content-Type": FORM_TYPE})
    response = connection.getresponse()
    return response.status, json.load(response)["message"]


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy set for this machine is none for its own ports
    return session


def by_requests(url: str) -> tuple[int, str]:
    """Send with requests, the length declared."""
    response = _session().post(url, BODY, headers={"Content-Type": FORM_TYPE}, timeout=HANG_S)
    return response.status_code, response.json()["message"]


def by_requests_in_chunks(url: str) -> tuple[int, str]:
    """Send with requests, chunked."""
    response = _session().post(url, in_pieces(), headers={"Content-Type": FORM_TYPE}, timeout=HANG_S)
    return response.status_code, response.json()["message"]


def by_httpx(url: str) -> tuple[int, str]:
    """Send with httpx, chunked."""
    response = httpx.post(
        url, content=in_pieces(), headers={"Content-Type": FORM_TYPE}, timeout=HANG_S, trust_env=False
    )
    return response.status_code, response.json()["message"]


def by_aiohttp(url: str) -> tuple[int, str]:
    """Send with aiohttp, as a form."""

    async def send() -> tuple[int, str]:
        async with aiohttp.ClientSession() as session:
            form = aiohttp.FormData()
            form.add_field("image", BODY, filename="a.jpg")
            async with session.post(url, data=form) as response:
                return response.status, (await response.json())["message"]

    return asyncio.run(send())


def by_curl(*options: str) -> Callable[[str], tuple[int, str]]:
    """Return what sends with curl; without a file of the body's size it is piped in."""

    def send(url: str) -> tuple[int, str]:
        done = subprocess.run(
            [
                "curl", "-sS", "--noproxy", "*", "-w", "\n%{http_code}", "-H", f"Content-Type: {FORM_TYPE}",
                "--data-binary", "@-", *options, url,
            ],
            input=BODY,
            capture_output=True,
            timeout=HANG_S,
            check=True,
        )  # fmt: skip
        body, code = done.stdout.decode().rsplit("\n", 1)
        return int(code), json.loads(body)["message"]

    return send


SENDERS = {
    "http.client": by_http_client,
    "requests": by_requests,
    "requests, chunked": by_requests_in_chunks,
    "httpx, chunked": by_httpx,
    "aiohttp": by_aiohttp,
    "curl": by_curl(),
    "curl without Expect": by_curl("-H", "Expect:"),
    "curl, chunked": by_curl("-H", "Transfer-Encoding: chunked"),
}


@pytest.mark.slow
@pytest.mark.parametrize("client", SENDERS)
async def test_excess_is_answered_so_that_the_client_can_read_it(client: str) -> None:
    """40 MiB, declared or chunked: each client reports the answer, none a broken connection."""
    if client.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("needs curl")

    async with http_server(delivered(Uploads())) as port:
        answer = await asyncio.to_thread(SENDERS[client], f"http://127.0.0.1:{port}/v1/results")

    assert answer == (413, TOO_LARGE)


async def test_caller_who_writes_all_before_reading_gets_the_answer() -> None:
    """The answer waits for them; then the connection closes."""
    async with http_server(delivered(Uploads())) as port, caller_of(port) as caller:
        await caller.write(post(length=len(BODY)), BODY)
        answer = await caller.answer()
        rest = await caller.until_closed()

    assert (answer.status, answer.headers["connection"], rest) == (413, "close", b"")


async def test_caller_who_waits_for_100_continue_is_answered_without() -> None:
    """The refusal is final: the body need not be sent."""
    async with http_server(delivered(Uploads(), linger_idle_s=0.01)) as port, caller_of(port) as caller:
        await caller.write(post(length=len(BODY), extra="Expect: 100-continue\r\n"))
        answer = await caller.answer()
        rest = await caller.until_closed()

    assert (answer.status, rest) == (413, b"")


async def test_caller_who_waits_for_room_is_not_told_to_continue() -> None:
    """The body stays with the caller; the answer without room is 503, and 100 never came."""
    uploads = Uploads(room=room_of(100, timeout_s=0.01))
    async with (
        uploads.room.hold(100),
        http_server(delivered(uploads, linger_idle_s=0.01)) as port,
        caller_of(port) as caller,
    ):
        await caller.write(post(length=1000, extra="Expect: 100-continue\r\n"))
        answer = await caller.answer()

    assert answer.status == 503


async def test_body_within_limits_is_asked_for() -> None:
    """100 Continue is sent once there is room, and the connection lives on."""
    form = multipart(b"b", (b'form-data; name="url"', b"x"))
    async with http_server(delivered(Uploads())) as port, caller_of(port) as caller:
        await caller.write(post(length=len(form), extra="Expect: 100-continue\r\n"))
        async with asyncio.timeout(HANG_S):
            go = await caller.reader.readuntil(b"\r\n\r\n")
        await caller.write(form)
        answer = await caller.answer()

    assert go == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.status == 200
    assert "connection" not in answer.headers


@pytest.mark.parametrize(
    ("length", "sent", "status"),
    [(None, b"5\r\n--b\r\n\r\n", 408), (1000, b"--b\r\n", 408), (1000, b"x" * 500, 408)],
)
async def test_slow_sender_is_told(length: int | None, sent: bytes, status: int) -> None:
    """The answer comes while the body does not."""
    uploads = Uploads(limits=BodyLimits(upload_timeout_s=HANG_S, grace_s=0.02, min_bytes_per_s=1e6))
    async with http_server(delivered(uploads, linger_idle_s=0.01)) as port, caller_of(port) as caller:
        await caller.write(post(length=length) + sent)
        answer = await caller.answer()
        rest = await caller.until_closed()

    assert (answer.status, rest) == (status, b"")
    assert uploads.room.held_bytes == 0


async def test_caller_who_leaves_while_sending_frees_the_room() -> None:
    """The rest of its body is not waited for."""
    uploads = Uploads()
    async with http_server(delivered(uploads)) as port:
        async with caller_of(port) as caller:
            await caller.write(post(length=1000) + b"--b\r\n")
        async with asyncio.timeout(HANG_S):
            await uploads.was_lost.wait()

    assert (uploads.lost, uploads.room.held_bytes) == (1, 0)


async def test_request_without_room_waits_unread_and_is_served_in_turn() -> None:
    """Its sender is held up by the connection, not by memory of ours."""
    content = b"p" * 8 * MIB
    form = multipart(b"b", (b'form-data; name="image"; filename="a"', content))
    uploads = Uploads(room=room_of(FLOOR_BYTES + COPIES * len(form)), hold=True)
    async with http_server(delivered(uploads)) as port, caller_of(port) as first, caller_of(port) as second:
        await first.write(post(length=len(form)), form)
        async with asyncio.timeout(HANG_S):
            await uploads.entered.wait()
        writing = asyncio.create_task(second.write(post(length=len(form)), form))
        _done, pending = await asyncio.wait({writing}, timeout=0.05)
        waits_unread = writing in pending
        uploads.release.set()
        answers = [await first.answer(), await second.answer()]
        await writing

    assert waits_unread
    assert [json.loads(answer.body)["files"] for answer in answers] == [{"image": len(content)}] * 2


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without reading anything."""
    await JSONResponse({"message": "no"}, 401)(scope, receive, send)


async def test_early_answer_to_a_small_body_is_delivered() -> None:
    """A key that is missing is told before the picture is read, and the caller reads it."""
    async with http_server(delivered(refuse)) as port, caller_of(port) as caller:
        await caller.write(post(length=3 * MIB), b"p" * 3 * MIB)
        answer = await caller.answer()
        rest = await caller.until_closed()

    assert (answer.status, answer.headers["connection"], rest) == (401, "close", b"")


@pytest.mark.parametrize("body", [b"", b"x"])
async def test_answer_without_a_length_gets_one(body: bytes) -> None:
    """Its end would be the connection's otherwise, and the caller would wait for that."""

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with http_server(delivered(stream)) as port, caller_of(port) as caller:
        await caller.write(post(length=100))
        answer = await caller.answer()

    assert answer.body == body


async def test_request_without_a_body_keeps_its_connection() -> None:
    """There is nothing to wait for."""
    async with http_server(delivered(refuse)) as port, caller_of(port) as caller:
        for _ in range(2):
            await caller.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            answer = await caller.answer()
            await caller.write(post(length=0))
            empty = await caller.answer()

    assert (answer.status, "connection" in answer.headers) == (401, False)
    assert (empty.status, "connection" in empty.headers) == (401, False)


async def test_lingering_has_an_end() -> None:
    """A caller who goes on sending, as slowly as you like, is let go after a while."""
    async with http_server(delivered(refuse, linger_s=0.05)) as port, caller_of(port) as caller:
        await caller.write(post(length=None))
        await caller.answer()
        sending = asyncio.create_task(_trickle(caller.write))
        rest = await caller.until_closed()
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await sending

    assert rest == b""


async def _trickle(write: Callable[[bytes], object]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await write(b"1\r\nx\r\n")  # type: ignore[misc]
        pause = loop.create_future()
        loop.call_later(0.005, pause.set_result, None)
        await pause


async def test_lingering_drops_so_much_and_no_more() -> None:
    """Beyond that the connection is closed, whatever is still to come."""
    dropped = 0

    async def receive() -> Message:
        nonlocal dropped
        dropped += MIB
        return {"type": "http.request", "body": b"p" * MIB, "more_body": True}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
    await Deliver(refuse, linger_bytes=5 * MIB)(scope, receive, send)

    assert dropped == 5 * MIB
    assert [message.get("more_body") for message in sent] == [None, True, False]


async def test_process_that_ends_does_not_wait_for_lingering_callers() -> None:
    """They have their answer."""
    app = delivered(refuse)
    async with http_server(app) as port, caller_of(port) as caller:
        await caller.write(post(length=100))
        answer = await caller.answer()
        app.stop_lingering()
        rest = await caller.until_closed()

    assert (answer.status, rest) == (401, b"")


async def test_large_answers_leave_in_pieces() -> None:
    """Each waits until the connection takes more; together they are the answer, and only the last ends it."""
    body = bytes(range(256)) * (PIECE_BYTES // 100)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing to receive")

    await Deliver(PlainTextResponse(body))({"type": "http", "headers": []}, receive, send)

    pieces = sent[1:]
    assert b"".join(piece["body"] for piece in pieces) == body
    assert max(len(piece["body"]) for piece in pieces) == PIECE_BYTES
    assert [piece["more_body"] for piece in pieces] == [True, True, False]


async def test_streamed_answers_pass_unchanged() -> None:
    """Chunk by chunk, the empty last one included."""

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await StreamingResponse(iter([b"a", b"b"]))(scope, receive, send)

    async with http_server(delivered(stream)) as port, httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(f"http://127.0.0.1:{port}/", content=b"x")

    assert (response.text, response.headers["transfer-encoding"]) == ("ab", "chunked")
