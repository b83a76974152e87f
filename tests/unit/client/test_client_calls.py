"""The calls of both clients over a socket: what is sent, what comes back."""

import asyncio
import hashlib
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

import alphacut
from alphacut import AsyncClient, Box, Client, InvalidOption, Mode, Priority, RetryPolicy, errors
from alphacut.pictures import ImageInput
from alphacut.session import Session
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import options_pb2
from support.fake_service import (
    Context,
    FakeServer,
    FakeService,
    Hold,
    Request,
    Response,
    answer,
    fail,
    make_png,
    make_status,
)


def test_cutout_holds_all_that_the_reply_says(server: FakeServer) -> None:
    """Every field of the reply is in the cut-out."""
    with Client(server.target) as client:
        cutout = client.remove_background(b"picture", name="p.jpg", model="fake-2")

    assert cutout.content == make_png(b"picture")
    assert (cutout.format, cutout.mode) == (alphacut.ImageFormat.PNG, Mode.FG_IMAGE)
    assert (cutout.width, cutout.height) == (4, 3)
    assert cutout.md5 == hashlib.md5(b"picture", usedforsecurity=False).hexdigest()
    assert (cutout.name, cutout.model, cutout.batch_size) == ("p.jpg", "fake-2", 2)
    assert [each.box for each in cutout.objects] == [Box(0.25, 0.0, 0.5, 1.0)]
    assert cutout.timings == (alphacut.StageTiming("inference", 0.25),)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("fg-image", options_pb2.MODE_FG_IMAGE),
        (Mode.FG_MASK, options_pb2.MODE_FG_MASK),
        ("fg-image-shadow", options_pb2.MODE_FG_IMAGE_SHADOW),
    ],
)
def test_options_are_sent(server: FakeServer, mode: str, expected: int) -> None:
    """Mode, priority, model and name arrive; names and enums mean the same."""
    with Client(server.target) as client:
        cutout = client.remove_background(b"x", mode=mode, priority="bulk", model="m", name="n")

    (request,) = server.service.requests
    assert (request.mode, request.priority) == (expected, options_pb2.PRIORITY_BULK)
    assert (request.model, request.image.name) == ("m", "n")
    assert cutout.mode == mode


def test_priority_is_left_to_the_server(server: FakeServer) -> None:
    """Unless asked for, no priority is sent."""
    with Client(server.target) as client:
        client.remove_background(b"x")

    assert server.service.requests[0].priority == options_pb2.PRIORITY_UNSPECIFIED


def test_unknown_mode_is_told_before_anything_is_sent(server: FakeServer) -> None:
    """A wrong name is refused here, listing the right ones."""
    with (
        Client(server.target) as client,
        pytest.raises(InvalidOption, match="fg-image, fg-mask, fg-image-shadow"),
    ):
        client.remove_background(b"x", mode="cutout")

    assert server.service.requests == []


def test_url_is_sent_as_url(server: FakeServer) -> None:
    """A web address goes into image.url, with no content."""
    with Client(server.target) as client:
        client.remove_background("https://example.org/a.jpg")

    assert server.service.requests[0].image.WhichOneof("source") == "url"


def test_every_kind_of_image_arrives(server: FakeServer, tmp_path: Path) -> None:
    """Path, bytes, array and PIL image all reach the server as a file's bytes."""
    path = tmp_path / "a.png"
    Image.new("RGB", (3, 2), "red").save(path)
    content = path.read_bytes()
    array = np.zeros((2, 3, 3), np.uint8)
    kinds: list[ImageInput] = [str(path), path, content, array, Image.fromarray(array)]

    with Client(server.target) as client:
        for image in kinds:
            client.remove_background(image)

    received = [request.image.content for request in server.service.requests]
    assert received[:3] == [content] * 3
    assert all(each.startswith(b"\x89PNG") for each in received)


def test_version_modes_and_models_are_told(server: FakeServer) -> None:
    """The three questions about the server are answered."""
    with Client(server.target) as client:
        assert client.version() == "v1.2.3"
        assert [mode.name for mode in client.modes()] == ["fg-image", "fg-mask"]
        (model,) = client.models()

    assert (model.name, model.provider, model.side_px, model.is_default) == ("fake", "cpu", 320, True)


def test_key_and_metadata_ride_on_every_call(server: FakeServer) -> None:
    """The key goes with each call, streams included, and so does what the caller adds."""
    with Client(server.target, api_key="secret") as client:
        client.version()
        client.remove_background(b"x", metadata=(("x-request-id", "r-1"),))
        list(client.remove_background_stream([("a", b"x")]))

    assert [each["x-api-key"] for each in server.service.metadata] == ["secret"] * 3
    assert server.service.metadata[1]["x-request-id"] == "r-1"


def test_key_is_not_in_the_repr() -> None:
    """What is printed of a client's settings shows no key."""
    assert "secret" not in repr(Session(api_key="secret"))


def test_health_is_asked_by_the_standard_protocol(server: FakeServer) -> None:
    """The hand-made health messages are those of the official servicer."""
    with Client(server.target) as client:
        serving = client.is_serving(), client.is_serving(""), client.is_serving("no.such.Service")
        server.set_serving(False)
        stopped = client.is_serving()

    assert serving == (True, True, False)
    assert stopped is False


def test_health_of_nobody_is_false() -> None:
    """A server that cannot be reached does not serve; nothing is raised."""
    with FakeServer() as server:
        target = server.target

    with Client(target) as client:
        assert client.is_serving() is False


def test_hand_made_request_is_sent(server: FakeServer) -> None:
    """`send` takes what the methods have no words for, and gives the whole reply."""
    request = service_pb2.RemoveBackgroundRequest(quality=options_pb2.QUALITY_BEST)
    request.image.content = b"x"

    with Client(server.target) as client:
        reply = client.send(request)

    assert reply.model == "fake"
    assert server.service.requests[0].quality == options_pb2.QUALITY_BEST


def test_infinite_timeout_sets_no_deadline(server: FakeServer, service: FakeService) -> None:
    """math.inf lets a call take for ever, the default does not."""
    left_s: list[float | None] = []

    def look(request: Request, context: Context) -> Response:
        left_s.append(context.time_remaining())
        return answer(request)

    service.script.extend([look, look])

    with Client(server.target) as client:
        client.remove_background(b"x", timeout_s=math.inf)
        client.remove_background(b"x")

    assert left_s[0] is None or left_s[0] > 1e6
    assert left_s[1] == pytest.approx(30, abs=2)


@pytest.mark.parametrize("timeout_s", [0, -1, math.nan])
def test_impossible_timeout_is_refused(server: FakeServer, timeout_s: float) -> None:
    """A timeout that no call can meet is a bug where it is given."""
    with pytest.raises(ValueError, match="timeout_s"):
        Client(timeout_s=timeout_s)
    with Client(server.target) as client, pytest.raises(ValueError, match="timeout_s"):
        client.remove_background(b"x", timeout_s=timeout_s)


def test_closed_client_says_so(server: FakeServer) -> None:
    """After close every call raises Cancelled, and closing again is fine."""
    client = Client(server.target)
    client.version()
    client.close()
    client.close()

    with pytest.raises(errors.Cancelled):
        client.version()


def test_threads_share_a_client(server: FakeServer) -> None:
    """Calls from many threads get each its own answer."""
    pictures = [f"picture {number}".encode() for number in range(40)]

    with Client(server.target) as client, ThreadPoolExecutor(8) as pool:
        cutouts = list(pool.map(client.remove_background, pictures))

    assert [cutout.content for cutout in cutouts] == [make_png(picture) for picture in pictures]


async def test_async_client_cuts_and_asks(server: FakeServer) -> None:
    """The asyncio client has the same methods with the same answers."""
    async with AsyncClient(server.target, api_key="secret") as client:
        cutouts = await asyncio.gather(
            *(client.remove_background(bytes([n]), mode="fg-mask") for n in range(20))
        )
        version, modes, models = await client.version(), await client.modes(), await client.models()
        serving = await client.is_serving()
        server.set_serving(False)
        stopped = await client.is_serving()

    assert [each.content for each in cutouts] == [
        make_png(bytes([n]), options_pb2.MODE_FG_MASK) for n in range(20)
    ]
    assert (version, len(modes), models[0].name) == ("v1.2.3", 2, "fake")
    assert (serving, stopped) == (True, False)
    assert {each["x-api-key"] for each in server.service.metadata} == {"secret"}


async def test_async_failures_are_the_same_exceptions(server: FakeServer) -> None:
    """The asyncio client reads the details as the other one does."""
    status = make_status(grpc.StatusCode.INVALID_ARGUMENT, "Broken.", reason="IMAGE_NOT_LOADABLE")
    server.service.script.append(fail(status))

    async with AsyncClient(server.target) as client:
        with pytest.raises(errors.ImageNotLoadable, match="Broken"):
            await client.remove_background(b"x", priority=Priority.INTERACTIVE)


async def test_cancelling_the_task_cancels_the_call(server: FakeServer) -> None:
    """A task that is cancelled takes its call on the server with it."""
    hold = Hold()
    server.service.script.append(hold)

    async with AsyncClient(server.target) as client:
        task = asyncio.create_task(client.remove_background(b"x"))
        assert await asyncio.to_thread(hold.arrived.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(hold.cancelled.wait, 10)


async def test_closing_the_async_client_ends_its_calls(server: FakeServer) -> None:
    """Close in one task is Cancelled in another, not that task's own cancellation."""
    hold = Hold()
    server.service.script.append(hold)
    client = AsyncClient(server.target)
    task = asyncio.create_task(client.remove_background(b"x"))
    assert await asyncio.to_thread(hold.arrived.wait, 10)

    await client.close()

    with pytest.raises(errors.Cancelled):
        await task
    with pytest.raises(errors.Cancelled):
        await client.version()


async def test_async_client_of_nobody_is_unavailable() -> None:
    """No server: Unavailable from a call, False from health."""
    with FakeServer() as server:
        target = server.target

    async with AsyncClient(target, retry=RetryPolicy(max_attempts=1)) as client:
        assert await client.is_serving() is False
        with pytest.raises(errors.Unavailable):
            await client.version()


@pytest.mark.slow
def test_package_imports_lightly() -> None:
    """`import alphacut` loads neither gRPC nor protobuf; the names are there, and load what they need."""
    program = (
        "import sys, alphacut; heavy = {'grpc', 'google.protobuf', 'numpy'} & set(sys.modules); "
        "print(sorted(heavy), set(alphacut.__all__) <= set(dir(alphacut)), "
        "all(hasattr(alphacut, name) for name in alphacut.__all__), 'numpy' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == "[] True True False", done.stderr


def test_unknown_name_is_an_attribute_error() -> None:
    """A name the package does not have is no import error of some module."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = alphacut.nonsense
