"""The demo page at the widths of a phone and of a desktop, light and dark, with and without motion."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from support.demo_page import FakeRest, Witness, refused
from support.pictures import jpeg_bytes, photo_of_size

pytestmark = pytest.mark.slow

COFFEE = jpeg_bytes(photo_of_size(200, 300))
OVERFLOW_PX = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Sizes in px of everything a finger is to hit.
SMALL_TARGETS = """[...document.querySelectorAll("button, a.button, label.button, select, .segments label, input[type=color]")]
  .filter((element) => element.checkVisibility())
  .map((element) => [element.textContent.trim(), element.getBoundingClientRect().height])
  .filter(([, height]) => height < 36)"""

RECORD_SLIDER = """() => {
  const handle = document.getElementById("handle");
  window.seen = [];
  new MutationObserver(() => window.seen.push(handle.getAttribute("aria-valuenow")))
    .observe(handle, { attributeFilter: ["aria-valuenow"] });
}"""


@pytest.fixture(params=[(360, 740), (1280, 800)], ids=["phone", "desktop"])
def sized(browser: Browser, site: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open the page on a phone, in the dark, or on a desktop."""
    width, height = request.param
    is_phone = width < 600
    with browser.new_context(
        viewport={"width": width, "height": height},
        is_mobile=is_phone,
        has_touch=is_phone,
        color_scheme="dark" if is_phone else "light",
        reduced_motion="reduce",
    ) as context:
        page = context.new_page()
        witness = Witness(page, site)
        page.goto(f"{site}/")
        yield page
        assert witness.complaints == []


def choose(page: Page, name: str = "cup.jpg") -> None:
    """Choose a file for the photo."""
    page.set_input_files("#choose", {"name": name, "mimeType": "image/jpeg", "buffer": COFFEE})


def test_no_state_needs_sideways_scrolling(sized: Page, rest: FakeRest) -> None:
    """Waiting, cutting, showing, failing, asking for a key: all within the width, long names included."""
    overflows = {"waiting": sized.evaluate(OVERFLOW_PX)}
    rest.free.clear()
    choose(sized, "a-very-long-file-name-without-a-single-blank-" * 4 + ".jpg")
    expect(sized.get_by_text("Cutting…")).to_be_visible()
    overflows["cutting"] = sized.evaluate(OVERFLOW_PX)
    rest.free.set()
    expect(sized.get_by_role("link", name="Download")).to_be_visible()
    sized.get_by_text("More", exact=True).click()
    # Its answer is waited for, or that request would take the refusal scripted for the next one.
    with sized.expect_response("**/v1/results*"):
        sized.get_by_role("radio", name="Picture").check()
    overflows["showing"] = sized.evaluate(OVERFLOW_PX)
    rest.scripted.append(refused(401))
    sized.get_by_role("radio", name="Colour").check()
    expect(sized.get_by_label("API key", exact=True)).to_be_visible()
    overflows["asking"] = sized.evaluate(OVERFLOW_PX)

    assert overflows == {"waiting": 0, "cutting": 0, "showing": 0, "asking": 0}


def test_targets_are_large_enough_for_fingers(sized: Page) -> None:
    """Nothing to press is less than 36 px high."""
    small = sized.evaluate(SMALL_TARGETS)
    choose(sized)
    expect(sized.get_by_role("link", name="Download")).to_be_visible()
    sized.get_by_role("radio", name="Colour").check()

    assert small + sized.evaluate(SMALL_TARGETS) == []


def test_camera_is_offered_to_fingers_only(sized: Page, request: pytest.FixtureRequest) -> None:
    """A phone can take a photo; a desktop would only open the same dialogue twice."""
    is_phone = "phone" in request.node.name
    camera = sized.get_by_text("Take a photo")

    expect(camera).to_be_visible(visible=is_phone)
    expect(sized.locator("#camera")).to_have_attribute("capture", "environment")
    expect(sized.get_by_text("paste one")).to_be_visible(visible=not is_phone)


def test_slider_comes_by_itself_where_motion_is_welcome(browser: Browser, site: str) -> None:
    """The edge sweeps in from the right, which shows that it moves, and ends in the middle."""
    with browser.new_context(reduced_motion="no-preference") as context:
        page = context.new_page()
        page.goto(f"{site}/")
        page.evaluate(RECORD_SLIDER)
        choose(page)

        expect(page.get_by_role("slider")).to_have_attribute("aria-valuenow", "50")
        seen = page.evaluate("window.seen")
        assert seen[0] == "100"
        assert seen == sorted(seen, key=int, reverse=True)
