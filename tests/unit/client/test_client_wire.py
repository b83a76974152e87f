"""Every option arrives in its field of the message, by either client, alone or in a stream."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alphacut import (
    AsyncClient,
    Background,
    Client,
    Cutout,
    ImageFormat,
    MessageTooLarge,
    Options,
    Shadow,
    Url,
)
from alphacut.pictures import MAX_PICTURE_BYTES
from alphacut.v1 import image_pb2, options_pb2
from alphacut.wire import build_request
from support.fake_service import (
    Context,
    FakeServer,
    Request,
    StreamRequest,
    StreamResponse,
    answer,
)

Cut = Callable[..., Cutout]


def cut_sync(server: FakeServer, *args: Any, **words: Any) -> Cutout:
    """Cut by the sync client."""
    with Client(server.target) as client:
        return client.remove_background(*args, **words)


def cut_async(server: FakeServer, *args: Any, **words: Any) -> Cutout:
    """Cut by the asyncio client."""

    async def run() -> Cutout:
        async with AsyncClient(server.target) as client:
            return await client.remove_background(*args, **words)

    return asyncio.run(run())


def stream_sync(server: FakeServer, image: Any, *args: Any, **words: Any) -> Cutout:
    """Cut a stream of one by the sync client."""
    with Client(server.target) as client:
        return next(client.remove_background_stream([("1", image)], *args, **words)).unwrap()


def stream_async(server: FakeServer, image: Any, *args: Any, **words: Any) -> Cutout:
    """Cut a stream of one by the asyncio client."""

    async def run() -> Cutout:
        async with AsyncClient(server.target) as client:
            results = client.remove_background_stream([("1", image)], *args, **words)
            (result,) = [each async for each in results]
            return result.unwrap()

    return asyncio.run(run())


every_way = pytest.mark.parametrize(
    "cut",
    [cut_sync, cut_async, stream_sync, stream_async],
    ids=["sync", "async", "sync stream", "async stream"],
)


@pytest.fixture
def seen(server: FakeServer) -> list[Request]:
    """What the server was asked, in calls and streams alike."""

    def look(requests: Iterator[StreamRequest], context: Context) -> Iterator[StreamResponse]:
        for each in requests:
            server.service.requests.append(each.request)
            yield StreamResponse(id=each.id, response=answer(each.request))

    server.service.stream_script.append(look)
    return server.service.requests


@every_way
def test_all_options_arrive(server: FakeServer, seen: list[Request], cut: Cut) -> None:
    """Options and keywords together: each in its field, and the answer in the format asked for."""
    kept = Options(quality="fast", format="webp", crop_margin=0.25)

    cutout = cut(server, b"x", kept, quality="best", background=Background(color="#fff"), model="m")

    (request,) = seen
    assert (request.quality, request.model) == (options_pb2.QUALITY_BEST, "m")
    assert request.output.format == image_pb2.IMAGE_FORMAT_WEBP
    assert request.output.crop.margin == 0.25
    assert (request.background.WhichOneof("fill"), request.background.color) == ("color", "#fff")
    assert cutout.format is ImageFormat.WEBP


@every_way
def test_background_picture_arrives(
    server: FakeServer, seen: list[Request], tmp_path: Path, cut: Cut
) -> None:
    """A file's bytes lie behind the picture, with the fit, and under no name of ours."""
    path = tmp_path / "beach.jpg"
    path.write_bytes(b"beach")

    cut(server, b"x", background=Background(image=path, fit="contain"))

    (request,) = seen
    assert request.background.image == image_pb2.ImageSource(content=b"beach")
    assert request.background.fit == options_pb2.BACKGROUND_FIT_CONTAIN


@every_way
def test_background_that_cannot_be_read_is_raised(server: FakeServer, tmp_path: Path, cut: Cut) -> None:
    """It is no one picture's fault, so a stream raises it, too."""
    with pytest.raises(FileNotFoundError):
        cut(server, b"x", background=Background(image=tmp_path / "none.jpg"))


@every_way
def test_mask_sends_no_background(server: FakeServer, seen: list[Request], tmp_path: Path, cut: Cut) -> None:
    """A mask ignores it unread: not even its file is looked for."""
    cut(server, b"x", mode="fg-mask", background=Background(image=tmp_path / "none.jpg"))

    assert not seen[0].HasField("background")


@every_way
def test_picture_and_background_too_large_together_are_refused(server: FakeServer, cut: Cut) -> None:
    """What fits alone and not together fails here, and breaks no stream."""
    half = bytes(MAX_PICTURE_BYTES // 2 + 1)

    with pytest.raises(MessageTooLarge, match="picture and its background"):
        cut(server, half, background=Background(image=half))


def test_options_left_open_stay_unset() -> None:
    """The server's own defaults hold for what nobody asked for."""
    request = build_request(b"x", None, Options())

    assert (request.quality, request.priority, request.model) == (0, 0, "")
    assert not request.HasField("background")
    assert not request.output.HasField("crop")
    assert request.output.format == image_pb2.IMAGE_FORMAT_PNG


def test_crop_without_margin_is_still_a_crop() -> None:
    """A margin of 0 is the tight box, not none."""
    request = build_request(b"x", None, Options(crop_margin=0))

    assert request.output.HasField("crop")
    assert request.output.crop.margin == 0


def test_background_takes_every_kind_of_image() -> None:
    """URL, array and PIL image go behind a picture as they go before one."""
    array = np.zeros((2, 3, 3), np.uint8)

    sources = [
        build_request(b"x", None, Options(background=Background(image=image))).background.image
        for image in ("https://example.org/b.png", Url("x"), array, Image.fromarray(array))
    ]

    assert [each.WhichOneof("source") for each in sources] == ["url", "url", "content", "content"]
    assert all(each.content.startswith(b"\x89PNG") for each in sources[2:])


def test_empty_url_is_sent_as_a_url() -> None:
    """A stranger's empty text stays a URL, for the server to refuse as one."""
    request = build_request(Url(""), None, Options())

    assert request.image.WhichOneof("source") == "url"


def test_fit_and_format_of_every_name_have_a_number() -> None:
    """Whatever the enums offer can be sent."""
    fits = [
        build_request(b"x", None, Options(background=Background(image=b"b", fit=fit))).background.fit
        for fit in ("none", "cover", "contain", "stretch")
    ]
    formats = [build_request(b"x", None, Options(format=each)).output.format for each in ImageFormat]
    qualities = [
        build_request(b"x", None, Options(quality=each)).quality for each in ("fast", "balanced", "best")
    ]

    assert (fits, formats, qualities) == ([1, 2, 3, 4], [1, 2, 3], [1, 2, 3])


def test_shadow_is_sent_as_it_was_said() -> None:
    """What is None stays unset, 0 does not; without a shadow there is no message."""
    said = build_request(b"x", None, Options(shadow=Shadow(type="drop", softness=0, color="navy"))).shadow
    whole = Shadow(direction_deg=0, elevation_deg=45, opacity=0)
    rest = build_request(b"x", None, Options(mode="fg-image-shadow", shadow=whole)).shadow

    assert said == options_pb2.Shadow(type=options_pb2.SHADOW_TYPE_DROP, softness=0, color="navy")
    assert rest == options_pb2.Shadow(
        type=options_pb2.SHADOW_TYPE_AUTO, direction_deg=0, elevation_deg=45, opacity=0
    )
    assert not build_request(b"x", None, Options()).HasField("shadow")


def test_cropped_cutout_knows_both_sizes(server: FakeServer) -> None:
    """The output's size, and that of the picture it was cut from."""
    cutout = cut_sync(server, b"x", crop_margin=0)

    assert (cutout.width, cutout.height) == (2, 3)
    assert (cutout.picture_width, cutout.picture_height) == (4, 3)


def test_url_is_named_by_the_server(server: FakeServer) -> None:
    """No name is sent with a URL, and the reply brings the server's."""
    cutout = cut_sync(server, "https://example.org/shoes.jpg")

    assert server.service.requests[0].image.name == ""
    assert cutout.name == "shoes.jpg"


def test_unknown_keyword_is_a_type_error(server: FakeServer) -> None:
    """A misspelt option is a bug, told as Python tells it."""
    with pytest.raises(TypeError, match="colour"):
        cut_sync(server, b"x", colour="red")
