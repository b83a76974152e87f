"""What callers ask for by the client and the command line is what they get from a real server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alphacut import AsyncClient, Background, BackgroundNotLoadable, Client, Options, Url, UrlNotFetched
from alphacut_server.embedded import EmbeddedServer
from alphacut_server.settings import EngineSettings, FetchSettings, ServerSettings, Settings
from support.cli import files_in, run_cli
from support.images import KnownPicture, known_picture, png
from support.web import Web

pytestmark = pytest.mark.timeout(60)

HEIGHT, WIDTH = 48, 64


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """Run a web server for the pictures that are fetched."""
    with Web() as running:
        yield running


@pytest.fixture(scope="module")
def target(web: Web) -> Iterator[str]:
    """Run a server with the emulated device, allowed to fetch from the web server; gives its address."""
    settings = Settings(
        server=ServerSettings(metrics_port=0),
        engine=EngineSettings(model="emulated", emulated_base_ms=1, emulated_item_ms=0),
        fetch=FetchSettings(allow=("127.0.0.1",), ports=(web.port,)),
    )
    with EmbeddedServer(settings) as server:
        server.start()
        yield server.target


@pytest.fixture(scope="module")
def picture() -> KnownPicture:
    """Return a picture whose alpha is known."""
    return known_picture(7, HEIGHT, WIDTH)


def plain(color: tuple[int, int, int]) -> bytes:
    """Make a background of one colour, half the size of the picture."""
    return png(np.full((HEIGHT // 2, WIDTH // 2, 3), color, np.uint8))


def test_colour_lies_behind_the_subject(target: str, picture: KnownPicture) -> None:
    """Opaque everywhere: the colour where there is no subject, the picture where it is solid."""
    with Client(target) as client:
        rgba = client.remove_background(picture.content, background=Background(color="#102030")).to_numpy()

    assert (rgba[..., 3] == 255).all()
    assert (rgba[picture.alpha == 0] == (0x10, 0x20, 0x30, 255)).all()
    assert np.array_equal(rgba[picture.alpha == 255][:, :3], picture.rgb[picture.alpha == 255])


def test_background_picture_is_laid_out_as_asked(target: str, picture: KnownPicture) -> None:
    """At its own scale it leaves the corners transparent; covering, it leaves nothing so."""
    small = plain((200, 0, 0))
    with Client(target) as client:
        centred, covering = (
            client.remove_background(picture.content, background=Background(image=small, fit=fit)).to_numpy()
            for fit in ("none", "cover")
        )

    assert centred[0, 0, 3] == 0
    assert (covering[..., 3] == 255).all()
    assert (covering[picture.alpha == 0][:, :3] == (200, 0, 0)).all()


@pytest.mark.parametrize(("name", "expected"), [("png", "PNG"), ("webp", "WEBP"), ("jpeg", "JPEG")])
def test_format_is_what_was_asked_for(
    target: str, picture: KnownPicture, tmp_path: Path, name: str, expected: str
) -> None:
    """The bytes are of the format that the cut-out says, and its ending fits; a JPEG is white where nothing is."""
    with Client(target) as client:
        cutout = client.remove_background(picture.content, format=name)

    cutout.save(tmp_path / f"cut{cutout.suffix}")
    with Image.open(tmp_path / f"cut{cutout.suffix}") as image:
        assert (image.format, image.size) == (expected, (WIDTH, HEIGHT))
    pixels = cutout.to_numpy()
    if name == "jpeg":
        assert pixels[0, 0].min() > 250
    else:
        assert np.array_equal(pixels[..., 3], picture.alpha)


def test_mask_of_every_format_is_the_alpha(target: str, picture: KnownPicture) -> None:
    """One channel by the views, whatever the file holds; only a JPEG is off, by little."""
    with Client(target) as client:
        masks = {
            name: client.remove_background(picture.content, mode="fg-mask", format=name).to_numpy()
            for name in ("png", "webp", "jpeg")
        }

    assert np.array_equal(masks["png"], picture.alpha)
    assert np.array_equal(masks["webp"], picture.alpha)
    assert np.abs(masks["jpeg"].astype(int) - picture.alpha).max() < 32


def test_crop_keeps_the_subject_and_tells_both_sizes(target: str, picture: KnownPicture) -> None:
    """The tight crop is the box; box and picture size stay those of the whole picture."""
    rows, columns = np.flatnonzero(picture.alpha.any(axis=1)), np.flatnonzero(picture.alpha.any(axis=0))
    tight = picture.alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    with Client(target) as client:
        whole = client.remove_background(picture.content)
        cropped = client.remove_background(picture.content, crop_margin=0)
        roomy = client.remove_background(picture.content, crop_margin=0.1)

    assert np.array_equal(cropped.to_numpy()[..., 3], tight)
    assert (cropped.height, cropped.width) == tight.shape
    assert (cropped.picture_height, cropped.picture_width) == (HEIGHT, WIDTH)
    assert cropped.objects == whole.objects
    assert roomy.width > cropped.width


def test_url_is_fetched_and_named(target: str, web: Web, picture: KnownPicture) -> None:
    """The same cut-out as of the file; the name is the URL's last part, unless the caller has one."""
    url = web.serve("/photos/shoes.png", picture.content)

    with Client(target) as client:
        by_file = client.remove_background(picture.content)
        by_url = client.remove_background(url)
        named = client.remove_background(Url(url), name="mine.png")

    assert by_url.content == by_file.content
    assert by_url.md5 == by_file.md5
    assert (by_url.name, named.name) == ("shoes.png", "mine.png")


def test_background_is_fetched_too(target: str, web: Web, picture: KnownPicture) -> None:
    """By URL in a stream: every picture has it behind."""
    url = web.serve("/red.png", plain((200, 0, 0)))
    options = Options(background=Background(image=url, fit="stretch"))

    async def run() -> list[int]:
        async with AsyncClient(target) as client:
            results = client.remove_background_stream([(str(n), picture.content) for n in range(3)], options)
            return [int(each.unwrap().to_numpy()[..., 3].min()) async for each in results]

    assert asyncio.run(run()) == [255, 255, 255]


def test_what_cannot_be_had_is_told_apart(target: str, web: Web, picture: KnownPicture) -> None:
    """A picture that is not there, and a background that is none; a stranger's path is no file here."""
    with Client(target) as client:
        with pytest.raises(UrlNotFetched):
            client.remove_background(f"{web.base}/nowhere.png")
        with pytest.raises(UrlNotFetched):
            client.remove_background(Url("/etc/hostname"))
        with pytest.raises(BackgroundNotLoadable):
            client.remove_background(picture.content, background=Background(image=b"no picture"))


def test_command_line_asks_for_all_of_it(
    target: str, web: Web, picture: KnownPicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL in, a cropped JPEG over a colour out, as one command."""
    monkeypatch.chdir(tmp_path)
    url = web.serve("/shoes.png", picture.content)

    ended = run_cli(
        "remove", url, "--crop", "--background-color", "navy", "--format", "jpeg", "--server", target
    )

    assert (ended.code, files_in(tmp_path)) == (0, {"shoes.cutout.jpg"}), ended.stderr
    with Image.open("shoes.cutout.jpg") as image:
        assert image.format == "JPEG"
        assert image.width < WIDTH


def test_command_line_ends_at_a_colour_that_is_none(
    target: str, picture: KnownPicture, tmp_path: Path
) -> None:
    """Told once, with the exit code of a wrong command, and nothing is written."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture.content)

    ended = run_cli("remove", tmp_path, "--background-color", "blurple", "-j", "1", "--server", target)

    assert ended.code == 2
    assert "1 failed, 1 not attempted" in ended.stderr
    assert files_in(tmp_path) == {"a.png", "b.png"}
