"""The programs in examples/rest/, run as their readers run them, against the real gateway and the real server."""

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from support.api_keys import SHOP_KEY
from support.pictures import jpeg_bytes, photo
from support.rest import PictureSite, RestService, running_rest, running_site
from support.server import EMULATED, own_environ

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "rest"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HEIGHT, WIDTH = 400, 600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def site() -> Iterator[PictureSite]:
    """Run a web site that the server may fetch pictures from."""
    with running_site() as running:
        yield running


@pytest.fixture(scope="module")
def rest(site: PictureSite) -> Iterator[RestService]:
    """Run the service with the emulated device."""
    with running_rest(EMULATED | site.settings) as service:
        yield service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two real photos and a file that is none."""
    (tmp_path / "coffee.jpg").write_bytes(jpeg_bytes())
    (tmp_path / "astronaut.jpg").write_bytes(jpeg_bytes(photo("astronaut.png")))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    return tmp_path


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with axios installed; skip where npm is missing or reaches no registry."""
    made = tmp_path_factory.mktemp("node")
    need("npm")
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "axios@1"]
    try:
        ended = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=90, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install axios within 90 s")
    if ended.returncode != 0:
        pytest.skip(f"npm could not install axios: {ended.stderr[-300:]}")
    return made


def need(program: str) -> None:
    """Skip where a program is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def run(rest: RestService, folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run an example in a folder, told by the environment where the service is."""
    environ = own_environ({"ALPHACUT_URL": rest.url, "ALPHACUT_API_KEY": SHOP_KEY})
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def pixels(content: bytes) -> NDArray[np.uint8]:
    """Decode a PNG with every channel it has."""
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        return np.asarray(image).copy()


def assert_cut(path: Path, channels: int = 4) -> None:
    """Check that a cut-out of coffee.jpg was written."""
    cut = pixels(path.read_bytes())
    assert cut.shape == ((HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels))
    assert cut.min() == 0
    assert cut.max() == 255


def test_curl_writes_a_cutout(rest: RestService, folder: Path) -> None:
    """The script asks for image/png and needs no JSON; a mode may follow."""
    need("curl")

    ended = run(rest, folder, str(EXAMPLES / "curl.sh"), "coffee.jpg", "cut.png")
    masked = run(rest, folder, str(EXAMPLES / "curl.sh"), "coffee.jpg", "mask.png", "fg-mask")

    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", "cut.png\n")
    assert masked.returncode == 0
    assert_cut(folder / "cut.png")
    assert_cut(folder / "mask.png", channels=1)


def test_curl_tells_why_not(rest: RestService, folder: Path) -> None:
    """What is no photo leaves no file behind."""
    need("curl")

    ended = run(rest, folder, str(EXAMPLES / "curl.sh"), "broken.jpg", "cut.png")

    assert ended.returncode == 1
    assert "Can not load image." in ended.stderr
    assert not (folder / "cut.png").exists()


def test_requests_writes_a_cutout(rest: RestService, folder: Path) -> None:
    """With the size and the subject's box on the screen."""
    ended = run(rest, folder, sys.executable, str(EXAMPLES / "python_requests.py"), "coffee.jpg", "cut.png")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("600x400 px\nsubject at x=0.")
    assert_cut(folder / "cut.png")


def test_requests_tells_why_not(rest: RestService, folder: Path) -> None:
    """A failed picture, and a status that is not 200."""
    script = str(EXAMPLES / "python_requests.py")

    broken = run(rest, folder, sys.executable, script, "broken.jpg", "cut.png")
    lost = run(rest, folder, sys.executable, script, "coffee.jpg", "cut.png", "--url", f"{rest.url}/nowhere")

    assert (broken.returncode, broken.stderr) == (1, "broken.jpg: Can not load image.\n")
    assert lost.returncode == 1
    assert "404" in lost.stderr
    assert not (folder / "cut.png").exists()


def test_httpx_cuts_by_url(rest: RestService, folder: Path, site: PictureSite) -> None:
    """The photo is fetched by the server, and the answer is the format that was asked for."""
    url = site.hold("shoes.jpg", jpeg_bytes())
    script = str(EXAMPLES / "python_httpx.py")

    ended = run(rest, folder, sys.executable, script, url, "cut.webp", "--format", "webp")
    missing = run(rest, folder, sys.executable, script, site.url("missing"), "none.png")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "shoes.jpg: 600x400 px, WEBP\n"
    with Image.open(folder / "cut.webp") as image:
        assert (image.format, image.size) == ("WEBP", (WIDTH, HEIGHT))
    assert (missing.returncode, missing.stderr) == (
        1,
        f"{site.url('missing')}: Can not load image from url.\n",
    )


def test_aiohttp_cuts_all_but_the_broken(rest: RestService, folder: Path) -> None:
    """Two of three photos are cut, and the third is told by name."""
    photos = ("coffee.jpg", "astronaut.jpg", "broken.jpg")

    ended = run(rest, folder, sys.executable, str(EXAMPLES / "python_aiohttp.py"), *photos, "--out", "cut")

    assert (ended.returncode, ended.stderr) == (1, "broken.jpg: Can not load image.\n")
    assert ended.stdout == "2 of 3 photos into cut\n"
    assert_cut(folder / "cut" / "coffee.cutout.png")
    assert pixels((folder / "cut" / "astronaut.cutout.png").read_bytes()).shape == (512, 512, 4)


def test_node_fetch_blends_with_a_background(rest: RestService, folder: Path) -> None:
    """A background that covers the canvas leaves nothing transparent."""
    need("node")
    script = str(EXAMPLES / "node_fetch.mjs")

    ended = run(rest, folder, "node", script, "coffee.jpg", "astronaut.jpg", "out.png")
    broken = run(rest, folder, "node", script, "broken.jpg", "astronaut.jpg", "none.png")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "coffee.jpg: 600x400 px into out.png\n"
    blended = pixels((folder / "out.png").read_bytes())
    assert blended.shape == (HEIGHT, WIDTH, 4)
    assert (blended[..., 3] == 255).all()
    assert (broken.returncode, broken.stderr) == (1, "broken.jpg: Can not load image.\n")


def test_node_axios_writes_a_cutout(rest: RestService, folder: Path, node_folder: Path) -> None:
    """Beside an installed axios, as in any project that has it."""
    script = str(shutil.copy(EXAMPLES / "node_axios.mjs", node_folder))

    ended = run(rest, folder, "node", script, "coffee.jpg", "mask.png", "fg-mask")
    broken = run(rest, folder, "node", script, "broken.jpg", "none.png")
    refused = run(rest, folder, "node", script, "coffee.jpg", "none.png", "nonsense")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "coffee.jpg: 600x400 px into mask.png\n"
    assert_cut(folder / "mask.png", channels=1)
    assert (broken.returncode, broken.stderr) == (1, "broken.jpg: Can not load image.\n")
    assert refused.stderr.startswith("coffee.jpg: HTTP 422: ")
    assert not (folder / "none.png").exists()


def test_php_writes_a_cutout(rest: RestService, folder: Path) -> None:
    """With PHP's curl extension."""
    need("php")
    if "curl" not in subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout.split():
        pytest.skip("PHP has no curl extension")
    script = str(EXAMPLES / "php_curl.php")

    ended = run(rest, folder, "php", script, "coffee.jpg", "shadow.png", "fg-image-shadow")
    broken = run(rest, folder, "php", script, "broken.jpg", "none.png")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "coffee.jpg: 600x400 px into shadow.png" in ended.stdout
    assert_cut(folder / "shadow.png")
    assert broken.returncode == 1
    assert "Can not load image." in broken.stderr


def test_java_writes_a_cutout(rest: RestService, folder: Path) -> None:
    """A source file alone, without a JSON parser."""
    need("java")
    if (
        "jdk.compiler"
        not in subprocess.run(["java", "--list-modules"], capture_output=True, text=True, check=True).stdout
    ):
        pytest.skip("this Java cannot run a source file")
    script = str(EXAMPLES / "Cut.java")

    ended = run(rest, folder, "java", script, "coffee.jpg", "cut.png")
    broken = run(rest, folder, "java", script, "broken.jpg", "none.png")

    assert (ended.returncode, ended.stdout) == (0, "cut.png\n")
    assert_cut(folder / "cut.png")
    assert broken.returncode == 1
    assert "Can not load image." in broken.stderr


@pytest.fixture
def page() -> Iterator[Page]:
    """Open a tab of Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def test_a_page_of_another_origin_cuts_a_photo(rest: RestService, folder: Path, page: Page) -> None:
    """Opened as a file, the page has no origin at all; the cut-out is shown, and a failure is told."""
    page.goto(f"{(EXAMPLES / 'browser.html').as_uri()}?url={rest.url}")

    page.set_input_files("#photo", folder / "coffee.jpg")
    expect(page.locator("#told")).to_have_text("coffee.jpg: 600×400 px")
    expect(page.locator("#cutout")).to_be_visible()
    width = page.locator("#cutout").evaluate("image => image.naturalWidth")
    page.set_input_files("#photo", folder / "broken.jpg")
    expect(page.locator("#told")).to_have_text("Can not load image.")

    assert width == WIDTH
    expect(page.locator("#cutout")).to_be_hidden()


def test_every_example_is_run_here() -> None:
    """A new example without a test would rot."""
    tests = Path(__file__).read_text(encoding="utf-8")

    names = [path.name for path in EXAMPLES.iterdir() if path.is_file()]
    assert names
    assert [name for name in names if name not in tests] == []
