"""A real browser before the demo page; without Chromium on the machine these tests are skipped.

Browser and driver live as long as a module, not the session: while the driver lives it holds this thread's event loop,
which the asynchronous tests of other modules need.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from support.demo_page import CHROMIUM, FakeRest, Witness, browsing, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    with sync_playwright() as playwright, browsing(playwright) as browser:
        yield browser


@pytest.fixture
def rest() -> Iterator[FakeRest]:
    """Make a service that answers as told; whatever it holds back is let go at the end."""
    service = FakeRest()
    yield service
    service.free.set()


@pytest.fixture
def site(rest: FakeRest) -> Iterator[str]:
    """Serve the page before that service; gives the base URL."""
    with serving(rest.app()) as url:
        yield url


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """Open the page; at the end there must have been no error, no breach of its policy and no request elsewhere."""
    with browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce") as context:
        page = context.new_page()
        witness = Witness(page, site)
        page.goto(f"{site}/")
        yield page
        assert witness.complaints == []
