"""The demo page as a person uses it, in Chromium, before a service that answers as told."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from support.demo_page import FakeRest
from support.pictures import jpeg_bytes, noise, photo_of_size, png_bytes

pytestmark = pytest.mark.slow

COFFEE = jpeg_bytes(photo_of_size(200, 300))
BEACH = png_bytes(photo_of_size(64, 64, "rocket.jpg"))
# Makes the event that a browser sends when a person drops or pastes: files by name, or one text by its type.
GIVE = """([event, type, content]) => {
  const data = new DataTransfer();
  if (type === "Files") data.items.add(new File([Uint8Array.from(content)], "given.jpg", { type: "image/jpeg" }));
  else data.setData(type, content);
  const detail = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
  const Made = event === "drop" ? DragEvent : ClipboardEvent;
  document.querySelector("main").dispatchEvent(new Made(event, detail));
}"""


def choose(page: Page, content: bytes = COFFEE, name: str = "cup.jpg", mime_type: str = "image/jpeg") -> None:
    """Choose a file for the photo."""
    page.set_input_files("#choose", {"name": name, "mimeType": mime_type, "buffer": content})


def expect_result(page: Page, file_name: str) -> None:
    """Wait until a result is there to be saved under that name and nothing is under way."""
    expect(page.get_by_role("link", name="Download")).to_have_attribute("download", file_name)
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def test_photo_is_cut_and_can_be_saved(page: Page, rest: FakeRest) -> None:
    """A photo chosen goes out as it is, by the documented form, and the picture that comes back is the one saved."""
    choose(page)
    expect_result(page, "cup.cutout.png")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()

    (post,) = rest.posts
    assert post.query == {"mode": "fg-image"}
    assert post.files == {"image": ("cup.jpg", COFFEE)}
    assert download.value.suggested_filename == "cup.cutout.png"
    saved = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert (saved.format, saved.mode, saved.size) == ("PNG", "RGBA", (300, 200))


def test_facts_tell_time_stages_size_and_box(page: Page) -> None:
    """Figures of the answer and of its Server-Timing header are there to read."""
    choose(page)

    facts = page.locator("#facts")
    expect(facts).to_contain_text(re.compile(r"\d m?s \(service 249 ms\)"))
    expect(facts).to_contain_text("300 × 200 px, PNG")
    expect(facts).to_contain_text("180 × 160 px at 60, 20")
    expect(facts.get_by_role("listitem")).to_have_count(5)
    expect(facts).to_contain_text("inference184 ms")


@pytest.mark.parametrize(
    ("mode", "words", "suffix"),
    [
        ("fg-image", "Cut-out", "cutout"),
        ("fg-image-shadow", "With shadow", "shadow"),
        ("fg-mask", "Mask", "mask"),
    ],
)
def test_each_mode_is_asked_for(page: Page, rest: FakeRest, mode: str, words: str, suffix: str) -> None:
    """Choosing a mode asks again by itself, and names the file after it."""
    choose(page)
    expect_result(page, "cup.cutout.png")
    page.get_by_role("radio", name="Mask" if mode != "fg-mask" else "Cut-out").check()
    page.get_by_role("radio", name=words).check()

    expect_result(page, f"cup.{suffix}.png")
    assert rest.posts[-1].query == {"mode": mode}


def test_modes_are_those_of_the_service(page: Page, rest: FakeRest) -> None:
    """What the service does not list is not offered, and a mode the page knows no words for keeps its name."""
    rest.modes = ("fg-mask", "fg-image", "fg-sketch")
    page.reload()

    labels = page.locator("#modes label")
    expect(labels).to_have_text(["Cut-out", "Mask", "fg-sketch"])


def test_background_colour_is_asked_once_after_it_settles(page: Page, rest: FakeRest) -> None:
    """Dragging through a palette sends many changes; the service hears of the last."""
    choose(page)
    expect_result(page, "cup.cutout.png")
    # The result of before bears the same name, so the answer itself is waited for.
    with page.expect_response("**/v1/results*"):
        page.get_by_role("radio", name="Colour").check()
    expect_result(page, "cup.cutout.png")
    before = len(rest.posts)
    with page.expect_response("**/v1/results*"):
        for colour in ("#112233", "#445566", "#aabbcc"):
            page.locator("#color").fill(colour)

    assert [post.query["bg-color"] for post in rest.posts[before:]] == ["#aabbcc"]


def test_background_picture_is_sent_with_its_fit(page: Page, rest: FakeRest) -> None:
    """A picture of one's own goes along; until there is one, the subject is cut out over nothing."""
    choose(page)
    expect_result(page, "cup.cutout.png")
    with page.expect_response("**/v1/results*"):
        page.get_by_role("radio", name="Picture").check()
    with page.expect_response("**/v1/results*"):
        page.set_input_files("#backdrop", {"name": "beach.png", "mimeType": "image/png", "buffer": BEACH})
    with page.expect_response("**/v1/results*"):
        page.get_by_label("Fit").select_option("contain")

    assert [post.query.get("bg-fit") for post in rest.posts] == [None, None, "cover", "contain"]
    assert rest.posts[-1].files["image-bg"] == ("beach.png", BEACH)
    expect(page.get_by_text("beach.png")).to_be_visible()


def test_mask_has_no_background(page: Page, rest: FakeRest) -> None:
    """The choice is shut for a mask, is not sent, and comes back with the cut-out."""
    choose(page)
    page.get_by_role("radio", name="Colour").check()
    page.get_by_role("radio", name="Mask").check()
    expect_result(page, "cup.mask.png")

    assert "bg-color" not in rest.posts[-1].query
    expect(page.get_by_role("radio", name="None")).to_be_disabled()
    page.get_by_role("radio", name="Cut-out").check()
    expect_result(page, "cup.cutout.png")
    assert "bg-color" in rest.posts[-1].query


def test_format_and_crop_are_asked_for(page: Page, rest: FakeRest) -> None:
    """A cropped picture does not lie over the photo, so it is shown alone."""
    choose(page)
    page.get_by_text("More", exact=True).click()
    page.get_by_label("File format").select_option("jpeg")
    expect_result(page, "cup.cutout.jpg")
    expect(page.get_by_role("slider")).to_be_visible()
    page.get_by_label("Crop to the subject").check()

    expect(page.locator("#facts")).to_contain_text("× 161 px, JPEG")
    expect(page.get_by_role("slider")).to_be_hidden()
    assert rest.posts[-1].query == {"mode": "fg-image", "format": "jpeg", "crop": "true"}


def test_box_is_outlined_on_request(page: Page) -> None:
    """The outline lies where the answer says, in shares of the picture."""
    choose(page)
    expect_result(page, "cup.cutout.png")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Outline the box").check()

    outline, frame = page.locator("#box").bounding_box(), page.locator("#frame").bounding_box()
    assert outline is not None
    assert frame is not None
    assert (outline["x"] - frame["x"]) / frame["width"] == pytest.approx(0.2, abs=0.01)
    assert outline["height"] / frame["height"] == pytest.approx(0.8, abs=0.01)


def test_change_drops_the_request_under_way(page: Page, rest: FakeRest) -> None:
    """The answer to an old choice never replaces that to a newer one."""
    rest.free.clear()
    with page.expect_event("requestfailed") as dropped:
        choose(page)
        expect(page.get_by_text("Cutting…")).to_be_visible()
        page.get_by_role("radio", name="Mask").check()
    rest.free.set()

    expect_result(page, "cup.mask.png")
    assert "mode=fg-image" in dropped.value.url


def test_cancel_stops_and_may_be_taken_back(page: Page, rest: FakeRest) -> None:
    """A person who cancels sees that nothing is under way, and can go on."""
    rest.free.clear()
    choose(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Cancelled")).to_be_visible()
    rest.free.set()
    page.get_by_role("button", name="Try again").click()

    expect_result(page, "cup.cutout.png")


@pytest.mark.parametrize(
    ("keys", "share"),
    [
        ("Home", 0),
        ("End", 100),
        ("ArrowRight", 52),
        ("ArrowLeft ArrowLeft", 46),
        ("PageUp", 60),
        ("PageDown", 40),
    ],
)
def test_slider_moves_by_keyboard(page: Page, keys: str, share: int) -> None:
    """The slider is one to assistive technology: a role, a value, words, and the usual keys."""
    choose(page)
    slider = page.get_by_role("slider", name="Compare before and after")
    slider.focus()
    for key in keys.split():
        page.keyboard.press(key)

    expect(slider).to_have_attribute("aria-valuenow", str(share))
    expect(slider).to_have_attribute("aria-valuetext", f"{share} % before, {100 - share} % after")


def test_slider_follows_the_pointer(page: Page) -> None:
    """Pressing anywhere on the picture brings the edge there, and dragging takes it along."""
    choose(page)
    slider = page.get_by_role("slider")
    expect(slider).to_be_visible()
    frame = page.locator("#frame").bounding_box()
    assert frame is not None
    middle = frame["y"] + frame["height"] / 2
    page.mouse.move(frame["x"] + frame["width"] * 0.25, middle)
    page.mouse.down()
    expect(slider).to_have_attribute("aria-valuenow", "25")
    page.mouse.move(frame["x"] + frame["width"] * 2, middle)

    expect(slider).to_have_attribute("aria-valuenow", "100")


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_picture_dropped_or_pasted_is_cut(page: Page, rest: FakeRest, event: str) -> None:
    """Both ways take the picture itself."""
    page.evaluate(GIVE, [event, "Files", list(COFFEE)])

    expect_result(page, "given.cutout.png")
    assert rest.posts[0].files["image"] == ("given.jpg", COFFEE)


@pytest.mark.parametrize(("event", "kind"), [("drop", "text/uri-list"), ("paste", "text/plain")])
def test_address_dropped_or_pasted_is_fetched_by_the_service(
    page: Page, rest: FakeRest, event: str, kind: str
) -> None:
    """A link is as good as a file, and the browser itself fetches nothing."""
    page.evaluate(GIVE, [event, kind, "https://shop.example/a/mug.png"])

    expect_result(page, "mug.cutout.png")
    assert rest.posts[0].texts == {"url": "https://shop.example/a/mug.png"}


def test_address_typed_is_fetched_by_the_service(page: Page, rest: FakeRest) -> None:
    """The page has no photo of its own to compare with then, so the result stands alone."""
    page.get_by_label("Or its web address").fill("https://shop.example/a/mug.png")
    page.keyboard.press("Enter")

    expect_result(page, "mug.cutout.png")
    expect(page.get_by_role("slider")).to_be_hidden()
    assert rest.posts[0].texts == {"url": "https://shop.example/a/mug.png"}


@pytest.mark.parametrize("text", ["mug.png", "ftp://shop.example/mug.png", ""])
def test_what_is_no_address_is_told_at_once(page: Page, rest: FakeRest, text: str) -> None:
    """Nothing is sent for it."""
    page.get_by_label("Or its web address").fill(text)
    page.get_by_role("button", name="Fetch").click()

    expect(page.get_by_role("alert").first).to_contain_text("Enter a whole address")
    assert rest.posts == []


def test_sample_is_cut_by_keyboard_alone(page: Page, rest: FakeRest) -> None:
    """From the top of the page Tab leads past every control to a sample, and Enter takes it."""
    reached = []
    for _ in range(7):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
    page.keyboard.press("Enter")

    assert reached == ["alphacut", "API", "choose", "url", "Fetch", "Coffee cup", "Astronaut"]
    expect_result(page, "astronaut.cutout.png")
    assert rest.posts[0].files["image"][1].startswith(b"\xff\xd8\xff")


def test_progress_is_told_to_assistive_technology(page: Page, rest: FakeRest) -> None:
    """The status line says what happens, and the end."""
    rest.free.clear()
    choose(page)
    expect(page.locator("#status")).to_have_text("Uploading.")
    expect(page.get_by_role("progressbar", name="Cutting…")).to_be_visible()
    rest.free.set()

    expect(page.locator("#status")).to_have_text(re.compile(r"^Done in .*\.$"))


def test_upload_over_a_slow_line_tells_how_far_it_is(page: Page) -> None:
    """The bar moves with the bytes, and only what follows them is called cutting."""
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    line.send("Network.emulateNetworkConditions", slow)
    choose(page, jpeg_bytes(noise(400, 500)))

    expect(page.locator("#busy-text")).to_have_text(re.compile(r"^Uploading [1-9]\d? %$"))
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]\d?$"))
    expect_result(page, "cup.cutout.png")


def test_keyboard_focus_is_never_lost(page: Page, rest: FakeRest) -> None:
    """Where a control goes away under the keyboard, the next sensible one has the focus."""
    rest.free.clear()
    choose(page)
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    rest.free.set()

    expect(page.get_by_role("link", name="Download")).to_be_focused()


def test_second_file_of_a_drop_is_left_out_in_words(page: Page) -> None:
    """One photo at a time; the person is told rather than left to wonder."""
    cups: list[FilePayload] = [
        {"name": f"cup{n}.jpg", "mimeType": "image/jpeg", "buffer": COFFEE} for n in (1, 2)
    ]
    page.locator("#choose").evaluate("input => { input.multiple = true; }")
    page.set_input_files("#choose", cups)

    expect_result(page, "cup1.cutout.png")
    expect(page.get_by_text("Only the first of 2 files is used.")).to_be_visible()


def test_new_photo_starts_over(page: Page, rest: FakeRest) -> None:
    """The first photo and its result are gone, the options stay."""
    choose(page)
    page.get_by_role("radio", name="Mask").check()
    expect_result(page, "cup.mask.png")
    page.get_by_role("button", name="New photo").click()
    choose(page, name="plate.jpg")

    expect_result(page, "plate.mask.png")
    expect(page.get_by_role("heading", name="plate.jpg")).to_be_focused()
    assert rest.posts[-1].files["image"][0] == "plate.jpg"


def test_page_works_under_the_prefix(page: Page, rest: FakeRest, site: str) -> None:
    """Every address in the page is relative, so a gateway behind a path serves it as well."""
    page.goto(f"{site}/img-bg-removal/")
    page.get_by_role("button", name="Cat").click()

    expect_result(page, "cat.cutout.png")
    assert rest.posts[0].path == "/img-bg-removal/v1/results"
