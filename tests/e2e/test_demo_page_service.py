"""The demo page before the real gateway and the real server, in Chromium."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from support.demo_page import Witness
from support.pictures import jpeg_bytes, photo_of_size, png_bytes
from support.rest import RestService, running_rest

pytestmark = pytest.mark.slow

COFFEE = jpeg_bytes(photo_of_size(200, 300))
BEACH = png_bytes(photo_of_size(64, 64, "rocket.jpg"))
CORNER = (0, 0)


@pytest.fixture(scope="module")
def service() -> Iterator[RestService]:
    """Run gateway and server with the emulated model."""
    with running_rest() as service:
        yield service


@pytest.fixture
def page(browser: Browser, service: RestService) -> Iterator[Page]:
    """Open the page; at the end there must have been no error, no breach of its policy and no request elsewhere."""
    with browser.new_context(reduced_motion="reduce") as context:
        page = context.new_page()
        witness = Witness(page, service.url)
        page.goto(f"{service.url}/")
        yield page
        assert witness.complaints == []


def choose(page: Page, content: bytes = COFFEE, name: str = "cup.jpg") -> None:
    """Choose a file for the photo."""
    page.set_input_files("#choose", {"name": name, "mimeType": "image/jpeg", "buffer": content})


def saved(page: Page, file_name: str) -> Image.Image:
    """Wait for a result under that name, save it as a person would, and open it."""
    link = page.get_by_role("link", name="Download")
    expect(link).to_have_attribute("download", file_name)
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    with page.expect_download() as download:
        link.click()
    return Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))


def test_photo_is_cut_by_the_real_service(page: Page) -> None:
    """From the file chosen to the file saved; the facts come from what the service tells."""
    choose(page)

    picture = saved(page, "cup.cutout.png")
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGBA", (300, 200))
    expect(page.locator("#facts")).to_contain_text("300 × 200 px, PNG")
    expect(page.locator("#stages")).to_contain_text("inference")
    expect(page.get_by_role("slider")).to_be_visible()
    expect(page.locator("#version")).to_contain_text("alphacut v1.")


@pytest.mark.parametrize(
    ("words", "file_name", "channels"),
    [("With shadow", "cup.shadow.png", "RGBA"), ("Mask", "cup.mask.png", "L")],
)
def test_other_modes_come_as_documented(page: Page, words: str, file_name: str, channels: str) -> None:
    """Four channels with a shadow, one for a mask."""
    choose(page)
    saved(page, "cup.cutout.png")
    page.get_by_role("radio", name=words).check()

    assert saved(page, file_name).mode == channels


def test_colour_lies_behind_the_subject(page: Page) -> None:
    """The corner, which no subject of the emulated model reaches, has the colour chosen."""
    choose(page)
    saved(page, "cup.cutout.png")
    with page.expect_response("**bg-color=%23112233"):
        page.get_by_role("radio", name="Colour").check()
        page.locator("#color").fill("#112233")

    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    assert saved(page, "cup.cutout.png").convert("RGBA").getpixel(CORNER) == (0x11, 0x22, 0x33, 255)


def test_picture_lies_behind_the_subject(page: Page) -> None:
    """A background of one's own fills the whole canvas by default on this page."""
    choose(page)
    saved(page, "cup.cutout.png")
    page.get_by_role("radio", name="Picture").check()
    with page.expect_response("**bg-fit=cover"):
        page.set_input_files("#backdrop", {"name": "beach.png", "mimeType": "image/png", "buffer": BEACH})

    alpha = saved(page, "cup.cutout.png").convert("RGBA").getchannel("A")
    assert alpha.getextrema() == (255, 255)


def test_text_renamed_is_explained(page: Page) -> None:
    """The service's own refusal, in the page's words."""
    choose(page, b"these are words, not a picture", "notes.jpg")

    expect(page.get_by_role("heading", name="This file is no picture the service can read")).to_be_visible()


def test_photo_of_too_many_pixels_is_explained_and_made_smaller(page: Page) -> None:
    """The service's figures are told; one press brings the photo within them."""
    choose(page, jpeg_bytes(photo_of_size(100, 5000)), "wide.jpg")
    expect(page.get_by_text("It has 5000 × 100; the service takes up to 4096 × 4096.")).to_be_visible()
    page.get_by_role("button", name="Make it smaller").click()

    assert saved(page, "wide.cutout.png").size == (4096, 81)


def test_background_that_is_no_picture_is_explained(page: Page) -> None:
    """The photo is not blamed for it."""
    choose(page)
    saved(page, "cup.cutout.png")
    page.get_by_role("radio", name="Picture").check()
    page.set_input_files("#backdrop", {"name": "b.png", "mimeType": "image/png", "buffer": b"GIF89a words"})

    expect(page.get_by_role("heading", name="The background picture cannot be used")).to_be_visible()
    expect(page.get_by_text("It is a GIF file")).to_be_visible()


def test_address_within_the_network_is_refused_in_words(page: Page, service: RestService) -> None:
    """The service does not fetch from private addresses, and the page says what is possible instead."""
    page.get_by_label("Or its web address").fill(f"{service.url}/page/samples/coffee.jpg")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="No picture could be fetched from this address")).to_be_visible()
    expect(page.get_by_role("button", name="Choose another photo")).to_be_visible()
