"""Backgrounds, formats, crops and URLs over the wire, against a model whose alpha is known."""

import hashlib
import io
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
from PIL import Image

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from support.images import known_picture, png, read_png, tight_box
from support.local_fetches import allowing
from support.pictures import noise
from support.rpc import failure_of, failure_of_item, request_for
from support.server import HANG_S, emulated_settings, running_app
from support.web import Web

pytestmark = pytest.mark.timeout(60)

HEIGHT, WIDTH = 180, 240
PICTURE = known_picture(7, HEIGHT, WIDTH)
BELOW = noise(40, 600, seed=8)
"""Wider than the picture and less high: at its own scale it covers rows 70 to 110."""


def request(
    mode: "options_pb2.Mode.ValueType" = options_pb2.MODE_FG_IMAGE,
) -> service_pb2.RemoveBackgroundRequest:
    """Return a request for the picture."""
    return request_for(PICTURE.content, mode=mode, name="main.png")


def cut(
    stub: BackgroundRemovalServiceStub, wanted: service_pb2.RemoveBackgroundRequest
) -> service_pb2.RemoveBackgroundResponse:
    """Cut a picture."""
    return stub.RemoveBackground(wanted, timeout=HANG_S)


def test_a_colour_fills_what_is_behind_the_subject(emulated_stub: BackgroundRemovalServiceStub) -> None:
    """Every pixel is opaque and within 0.501 levels of the exact mixture."""
    wanted = request()
    wanted.background.color = "rebeccapurple"

    pixels = read_png(cut(emulated_stub, wanted).image.content)

    opacity = PICTURE.alpha[..., None] / 255
    exact = PICTURE.rgb * opacity + np.array([102, 51, 153]) * (1 - opacity)
    assert (pixels[..., 3] == 255).all()
    assert np.abs(pixels[..., :3] - exact).max() <= 0.501


def test_a_picture_lies_in_the_middle_and_ends_where_it_ends(
    emulated_stub: BackgroundRemovalServiceStub,
) -> None:
    """Beside it all stays transparent; name, MD5, size and box are the main picture's, as without it."""
    plain, wanted = cut(emulated_stub, request()), request()
    wanted.background.image.content = png(BELOW)

    answer = cut(emulated_stub, wanted)

    pixels, cutout = read_png(answer.image.content), read_png(plain.image.content)
    assert np.array_equal(pixels[:70], cutout[:70])
    assert np.array_equal(pixels[110:], cutout[110:])
    assert (pixels[70:110, :, 3] == 255).all()
    bare = PICTURE.alpha[70:110] == 0
    assert np.array_equal(pixels[70:110][bare][:, :3], BELOW[:, 180:420][bare])
    assert (answer.name, answer.md5, answer.width, answer.height) == ("main.png", plain.md5, WIDTH, HEIGHT)
    assert list(answer.objects) == list(plain.objects)
    assert "background" in [timing.stage for timing in answer.timings]


def test_a_mask_leaves_its_background_unread_and_unfetched(
    emulated_stub: BackgroundRemovalServiceStub,
) -> None:
    """One that is no picture, or that nobody could fetch, changes nothing."""
    sources = (
        image_pb2.ImageSource(content=b"no picture"),
        image_pb2.ImageSource(url="http://a.example/b.png"),
    )
    for source in sources:
        wanted = request(options_pb2.MODE_FG_MASK)
        wanted.background.image.MergeFrom(source)

        answer = cut(emulated_stub, wanted)

        assert np.array_equal(read_png(answer.image.content), PICTURE.alpha)
        assert not {"fetch", "background"} & {timing.stage for timing in answer.timings}


@pytest.mark.parametrize("mode", [options_pb2.MODE_FG_IMAGE, options_pb2.MODE_FG_MASK])
@pytest.mark.parametrize(
    "output_format",
    [image_pb2.IMAGE_FORMAT_PNG, image_pb2.IMAGE_FORMAT_WEBP, image_pb2.IMAGE_FORMAT_JPEG],
)
def test_every_format_shows_the_same_picture(
    emulated_stub: BackgroundRemovalServiceStub,
    mode: "options_pb2.Mode.ValueType",
    output_format: "image_pb2.ImageFormat.ValueType",
) -> None:
    """Laid over white they differ by no more than their compression; PNG and WebP keep alpha exactly, a mask whole."""
    wanted = request(mode)
    wanted.output.format = output_format

    answer = cut(emulated_stub, wanted)

    image = Image.open(io.BytesIO(answer.image.content))
    assert answer.image.format == output_format
    assert image.format == image_pb2.ImageFormat.Name(output_format).removeprefix("IMAGE_FORMAT_")
    white = Image.new("RGBA", image.size, "white")
    shown = np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")).astype(float)
    opacity = PICTURE.alpha[..., None] / 255
    exact = PICTURE.rgb * opacity + 255 * (1 - opacity)
    if mode == options_pb2.MODE_FG_MASK:
        exact = np.repeat(PICTURE.alpha[..., None].astype(float), 3, axis=2)
    is_lossy = output_format == image_pb2.IMAGE_FORMAT_JPEG or (
        output_format == image_pb2.IMAGE_FORMAT_WEBP and mode != options_pb2.MODE_FG_MASK
    )
    assert np.abs(shown - exact).mean() <= (2.0 if is_lossy else 0.5)
    if output_format == image_pb2.IMAGE_FORMAT_WEBP and mode == options_pb2.MODE_FG_IMAGE:
        assert np.array_equal(np.asarray(image.getchannel("A")), PICTURE.alpha)


def test_a_crop_cuts_down_to_the_subject(emulated_stub: BackgroundRemovalServiceStub) -> None:
    """The file is as large as the subject's box, which stays relative to the picture that came in."""
    wanted = request(options_pb2.MODE_FG_MASK)
    wanted.output.crop.SetInParent()

    answer = cut(emulated_stub, wanted)

    (found,) = answer.objects
    x, y, width, height = tight_box(PICTURE.alpha)
    assert (found.box.x, found.box.y, found.box.width, found.box.height) == (x, y, width, height)
    left, top = round(x * WIDTH), round(y * HEIGHT)
    size = (round(height * HEIGHT), round(width * WIDTH))
    assert np.array_equal(
        read_png(answer.image.content), PICTURE.alpha[top : top + size[0], left : left + size[1]]
    )
    assert (answer.image.height, answer.image.width) == size
    assert (answer.height, answer.width) == (HEIGHT, WIDTH)


def test_the_server_s_own_quality_is_served(emulated_stub: BackgroundRemovalServiceStub) -> None:
    """It means the model that the server was started with."""
    wanted = request()
    wanted.quality = options_pb2.QUALITY_FAST

    assert cut(emulated_stub, wanted).model == "emulated"


async def test_pictures_are_fetched_from_where_the_operator_allows() -> None:
    """Both of a call; the answer tells the URL's name and how long it took. What is not there is the URL's fault."""
    with Web() as web:
        main = web.serve("/cats/main%20cat.png", PICTURE.content)
        below = web.serve("/below.png", png(BELOW))
        missing = main.replace("main", "missing")
        settings = emulated_settings().model_copy(update={"fetch": allowing(web)})
        wanted = service_pb2.RemoveBackgroundRequest(image=image_pb2.ImageSource(url=main))
        wanted.background.image.url = below

        async with running_app(settings) as running:
            answer = await running.stub.RemoveBackground(wanted, timeout=HANG_S)
            wanted.background.image.url = missing
            with pytest.raises(grpc.aio.AioRpcError) as no_background:
                await running.stub.RemoveBackground(wanted, timeout=HANG_S)
            wanted.image.url = missing
            with pytest.raises(grpc.aio.AioRpcError) as no_picture:
                await running.stub.RemoveBackground(wanted, timeout=HANG_S)

    md5 = hashlib.md5(PICTURE.content, usedforsecurity=False).hexdigest()
    assert (answer.name, answer.md5) == ("main cat.png", md5)
    assert answer.timings[0].stage == "fetch"
    bare = PICTURE.alpha[70:110] == 0
    pixels = read_png(answer.image.content)[70:110]
    assert np.array_equal(pixels[bare][:, :3], BELOW[:, 180:420][bare])
    told = failure_of(no_background.value)
    assert (told.reason, told.metadata) == ("BACKGROUND_NOT_LOADABLE", {"md5": md5, "name": "main cat.png"})
    told = failure_of(no_picture.value)
    assert (told.reason, told.metadata["name"]) == ("URL_NOT_FETCHED", "missing cat.png")


async def test_a_stream_s_pictures_have_options_of_their_own() -> None:
    """A background for one, a format for another, and a bad background fails alone."""
    coloured, webp, bad = request(), request(), request()
    coloured.background.color = "#08f"
    webp.output.format = image_pb2.IMAGE_FORMAT_WEBP
    bad.background.image.content = b"no picture"

    async def items() -> AsyncIterator[service_pb2.RemoveBackgroundStreamRequest]:
        for key, wanted in (("coloured", coloured), ("webp", webp), ("bad", bad)):
            yield service_pb2.RemoveBackgroundStreamRequest(id=key, request=wanted)

    async with running_app() as running:
        answers = {
            answer.id: answer async for answer in running.stub.RemoveBackgroundStream(items(), timeout=HANG_S)
        }

    assert (read_png(answers["coloured"].response.image.content)[0] == (0, 136, 255, 255)).all()
    assert answers["webp"].response.image.content.startswith(b"RIFF")
    assert failure_of_item(answers["bad"]).reason == "BACKGROUND_NOT_LOADABLE"
