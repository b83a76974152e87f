"""What the demo page says and offers when something goes wrong, in Chromium."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from support.demo_page import FakeRest, failed, refused
from support.pictures import jpeg_bytes, photo_of_size

pytestmark = pytest.mark.slow

MIB = 1 << 20
COFFEE = jpeg_bytes(photo_of_size(200, 300))
FAILURES = [
    ("Can not load image.", "This file is no picture the service can read", "damaged or not whole"),
    (
        "Resolution is too big: 6000x4000. Max allowed resolution: 4096x4096.",
        "This photo has too many pixels",
        "6000 × 4000; the service takes up to 4096 × 4096",
    ),
    (
        "File size is too big: 17.3Mb. Max allowed size: 16Mb.",
        "This file is too large",
        "17.3 MiB; the service takes less than 16 MiB",
    ),
    (
        "Can not load image from url.",
        "No picture could be fetched from this address",
        "save the picture and choose the file",
    ),
    ("Can not load background image.", "The background picture cannot be used", "At most 4096 × 4096 pixels"),
    ("Processing failed", "The service failed on this photo", "try another photo"),
    ("The moon is full.", "The service refused this photo", "The moon is full."),
]
REFUSALS = [
    (413, "", ("Photo and background together are too large", "32 MiB")),
    (422, "The colour is unknown.", ("The service does not take this request", "The colour is unknown.")),
    (429, "Slow down.", ("Your share of the service is used up for now", "free again")),
    (500, "Quote request id a1.", ("The service failed", "Quote request id a1.")),
    (501, "", ("This service does not offer that", "Choose something else")),
    (503, "Draining.", ("The service is busy or just starting", "Nothing is wrong with your photo")),
    (504, "Too late.", ("The service did not answer in time", "smaller photo")),
    (418, "", ("The service failed", "It answered 418")),
]


def choose(page: Page, content: bytes = COFFEE, name: str = "cup.jpg") -> None:
    """Choose a file for the photo."""
    page.set_input_files("#choose", {"name": name, "mimeType": "image/jpeg", "buffer": content})


def expect_problem(page: Page, title: str, advice: str) -> None:
    """Wait until these words stand in the alert."""
    alert = page.get_by_role("alert").filter(has=page.get_by_role("heading"))
    expect(alert.get_by_role("heading")).to_have_text(title)
    expect(alert).to_contain_text(advice)


@pytest.mark.parametrize(("message", "title", "advice"), FAILURES)
def test_each_failure_of_a_picture_has_its_words(
    page: Page, rest: FakeRest, message: str, title: str, advice: str
) -> None:
    """Every sentence of the documented API is told in words that say what to do; an unknown one is passed on."""
    rest.scripted.append(failed(message))
    choose(page)

    expect_problem(page, title, advice)
    expect(page.get_by_role("link", name="Download")).to_be_hidden()


@pytest.mark.parametrize(("status", "message", "words"), REFUSALS)
def test_each_refusal_has_its_words(
    page: Page, rest: FakeRest, status: int, message: str, words: tuple[str, str]
) -> None:
    """Every status that the gateway answers is told in words, and one that it never answers does not break the page."""
    rest.scripted.append(refused(status, message))
    choose(page)

    expect_problem(page, *words)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"these are words, not a picture", "looks at what is inside, not at the name"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "It is a WebP file"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "It is a HEIC file"),
        (b"", "looks at what is inside, not at the name"),
    ],
)
def test_file_that_is_no_picture_is_explained_by_its_content(
    page: Page, rest: FakeRest, content: bytes, advice: str
) -> None:
    """The service is asked all the same, for it decides; the page only knows better words."""
    rest.free.clear()
    choose(page, content, "notes.jpg")
    expect(page.get_by_text("but the service decides")).to_be_visible()
    rest.free.set()

    expect_problem(page, "This file is no picture the service can read", advice)
    expect(page.get_by_text("but the service decides")).to_be_hidden()
    page.get_by_role("button", name="Choose another photo").click()
    expect(page.get_by_text("Choose a photo")).to_be_visible()
    assert len(rest.posts) == 1


def test_file_of_16_mib_never_leaves(page: Page, rest: FakeRest, tmp_path: Path) -> None:
    """Sixteen MiB are refused before the upload, and what the browser cannot open cannot be made smaller either."""
    huge = tmp_path / "huge.jpg"
    huge.write_bytes(bytes(16 * MIB))
    page.set_input_files("#choose", huge)

    expect_problem(page, "This file is too large", "It has 16.0 MiB; the service takes less than 16 MiB.")
    page.get_by_role("button", name="Make it smaller").click()
    expect_problem(page, "This browser cannot make the file smaller", "It may be no picture")
    assert rest.posts == []


def test_background_of_16_mib_never_leaves(page: Page, rest: FakeRest, tmp_path: Path) -> None:
    """The limit is the same for both pictures, and the photo is not blamed."""
    huge = tmp_path / "huge.jpg"
    huge.write_bytes(bytes(16 * MIB))
    choose(page)
    page.get_by_role("radio", name="Picture").check()
    page.set_input_files("#backdrop", huge)

    expect_problem(page, "The background picture is too large", "16.0 MiB")
    expect(page.get_by_role("button", name="Choose another photo")).to_be_hidden()
    expect(page.get_by_role("button", name="Make it smaller")).to_be_hidden()
    assert all("image-bg" not in post.files for post in rest.posts)


def test_photo_with_too_many_pixels_is_made_smaller_on_request(page: Page, rest: FakeRest) -> None:
    """One press brings it within the limits, with its shape kept."""
    rest.scripted.append(failed("Resolution is too big: 8000x200. Max allowed resolution: 4096x4096."))
    choose(page, jpeg_bytes(photo_of_size(200, 8000)), "wide.jpg")
    page.get_by_role("button", name="Make it smaller and try again").click()

    expect(page.get_by_role("link", name="Download")).to_have_attribute("download", "wide.cutout.png")
    name, content = rest.posts[-1].files["image"]
    assert (name, Image.open(io.BytesIO(content)).size) == ("wide.jpg", (4096, 102))


def test_wait_of_a_busy_service_is_counted_down(page: Page, rest: FakeRest) -> None:
    """As long as Retry-After says, trying again does nothing; then it works."""
    page.clock.install()
    rest.scripted.append(refused(503, "Full.", retry_after_s=7))
    choose(page)
    again = page.get_by_role("button", name="Try again")
    expect(again).to_have_attribute("aria-disabled", "true")
    page.clock.run_for(4_000)
    expect(again).to_have_text(re.compile("^Try again in [234] s$"))
    again.click(force=True)
    assert len(rest.posts) == 1
    page.clock.run_for(4_000)

    expect(again).to_have_text("Try again")
    again.click()
    expect(page.get_by_role("link", name="Download")).to_be_visible()


def test_lost_service_is_told_apart_from_a_device_offline(page: Page) -> None:
    """Both can be tried again; only one is to be mended on this side."""
    page.route("**/v1/results*", lambda route: route.abort())
    choose(page)
    expect_problem(page, "The service cannot be reached", "It may be restarting")
    page.context.set_offline(True)
    page.get_by_role("button", name="Try again").click()

    expect_problem(page, "The service cannot be reached", "This device is offline")


def test_answer_that_is_no_json_does_not_break_the_page(page: Page, rest: FakeRest) -> None:
    """A proxy's page with status 200 is told as what it is: not understood."""
    page.route("**/v1/results*", lambda route: route.fulfill(status=200, body="<h1>Welcome</h1>"))
    choose(page)

    expect_problem(page, "The service failed", "It answered 200 that this page does not understand")


def test_list_of_wrong_parameters_is_told_by_name(page: Page) -> None:
    """A 422 names each parameter; the page passes that on."""
    detail = '{"detail":[{"loc":["query","bg-color"],"msg":"Input should be a colour","type":"color"}]}'
    page.route("**/v1/results*", lambda route: route.fulfill(status=422, body=detail))
    choose(page)

    expect_problem(page, "The service does not take this request", "bg-color: Input should be a colour")


def test_key_is_asked_for_once_and_never_in_an_address(page: Page, rest: FakeRest) -> None:
    """401 opens the field; a wrong key is told; the right one serves the whole tab, reloads included, until forgotten."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    rest.key = "s3cret"
    choose(page)
    expect_problem(page, "This service asks for an API key", "Whoever runs it")
    expect(page.get_by_label("API key", exact=True)).to_be_focused()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect_problem(page, "The service did not accept this API key", "Check it")
    page.get_by_label("API key", exact=True).fill("s3cret")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    page.reload()
    choose(page)
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    page.get_by_role("button", name="Forget the API key").click()
    page.get_by_role("radio", name="Mask").check()

    expect_problem(page, "This service asks for an API key", "Whoever runs it")
    assert not [url for url in urls if "s3cret" in url or "wrong" in url]


def test_problem_replaces_a_result_that_no_longer_fits(page: Page, rest: FakeRest) -> None:
    """After a failed change nothing of the old choice can be saved by mistake; the photo stays in sight."""
    choose(page)
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    rest.scripted.append(refused(503, "Full."))
    page.get_by_role("radio", name="Mask").check()

    expect_problem(page, "The service is busy or just starting", "Nothing is wrong")
    expect(page.get_by_role("link", name="Download")).to_be_hidden()
    expect(page.get_by_role("img", name="The photo as given")).to_be_visible()
    expect(page.get_by_role("slider")).to_be_hidden()


def test_photo_is_in_sight_however_fast_the_problem_came(page: Page, rest: FakeRest) -> None:
    """The browser takes longer to open a large photo than the service to refuse it."""
    rest.scripted.append(refused(401))
    choose(page, jpeg_bytes(photo_of_size(3000, 4000)))

    expect_problem(page, "This service asks for an API key", "Whoever runs it")
    expect(page.get_by_role("img", name="The photo as given")).to_be_visible()


def test_picture_without_a_subject_says_so(page: Page, rest: FakeRest) -> None:
    """An empty result is a result."""
    rest.finds_subject = False
    choose(page)

    expect(page.locator("#facts")).to_contain_text("no subject was found")
    expect(page.locator("#status")).to_contain_text("No subject was found.")
