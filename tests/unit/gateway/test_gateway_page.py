"""The demo page's files: what is served, how, and what their text must hold to."""

import re
from collections.abc import AsyncIterator, Sequence
from importlib import resources
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from alphacut_gateway.page_routes import MEDIA_TYPES, page_routes, read_files

PREFIXES = ("", "/img-bg-removal")
PAGE = resources.files("alphacut_gateway") / "page"
FILES = read_files(PAGE)
TEXTS = {name: file.content.decode() for name, file in FILES.items() if not name.endswith(".jpg")}
SCRIPTS = sorted(name for name in FILES if name.endswith(".js"))
MAX_WEIGHT_BYTES = 60 * 1024
# Contrast that WCAG 2.2 asks at level AA: 4.5 for text, 3 for the edges of controls.
TEXT, EDGE = 4.5, 3.0
CONTRASTS = [
    ("--ink", "--ground", TEXT),
    ("--ink", "--card", TEXT),
    ("--soft", "--ground", TEXT),
    ("--soft", "--card", TEXT),
    ("--soft", "--bad-tint", TEXT),
    ("--soft", "--line", TEXT),
    ("--accent", "--ground", TEXT),
    ("--on-accent", "--accent", TEXT),
    ("--ink", "--tint", TEXT),
    ("--ink", "--bad-tint", TEXT),
    ("--bad", "--bad-tint", TEXT),
    ("--bad", "--card", TEXT),
    ("--edge", "--card", EDGE),
    ("--edge", "--ground", EDGE),
]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Give an HTTP client of the page alone."""
    transport = httpx.ASGITransport(app=Starlette(routes=page_routes(PREFIXES)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_page_and_its_files_are_served_under_each_prefix(
    client: httpx.AsyncClient, prefix: str
) -> None:
    """Whatever the page's own text refers to is there, relative to where the page is."""
    index = await client.get(f"{prefix}/")
    references = re.findall(r'(?:href|src)="(page/[^"]+)"', index.text)
    answers = [await client.get(f"{prefix}/{reference}") for reference in references]

    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert len(references) >= 7
    assert [answer.status_code for answer in answers] == [200] * len(references)


@pytest.mark.parametrize("name", sorted(set(FILES) - {"index.html"}))
async def test_each_file_has_its_type_and_the_guarding_headers(client: httpx.AsyncClient, name: str) -> None:
    """Browsers run modules only with a script's type, guess nothing, and ask again after an update."""
    answer = await client.get(f"/page/{name}")

    assert answer.content == FILES[name].content
    assert answer.headers["content-type"] == MEDIA_TYPES[Path(name).suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert "etag" not in answer.headers


async def test_policy_allows_this_origin_alone(client: httpx.AsyncClient) -> None:
    """No inline script or style, no other site, no frame around it."""
    answer = await client.get("/")
    directives = dict(
        directive.strip().split(" ", 1) for directive in answer.headers["content-security-policy"].split(";")
    )

    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    allowed = {source for sources in directives.values() for source in sources.split()}
    assert allowed == {"'none'", "'self'", "'script'", "blob:", "data:"}


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page/nothing.js",
        "/page/samples",
        "/page/samples/",
        "/page/index.html",
        "/page/../routes.py",
        "/page/%2e%2e/routes.py",
        "/page/%2Fetc/passwd",
        "/page//style.css",
        "/page/STYLE.css",
    ],
)
async def test_only_the_files_of_the_page_are_served(client: httpx.AsyncClient, path: str) -> None:
    """The set is closed when the routes are made; no path is ever looked up on disk."""
    answer = await client.get(path)

    assert answer.status_code == 404


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405)])
async def test_page_is_there_to_be_read(client: httpx.AsyncClient, method: str, status: int) -> None:
    """Other methods are refused by the router."""
    answer = await client.request(method, "/")

    assert (answer.status_code, answer.content if method == "HEAD" else b"") == (status, b"")


def test_page_weighs_little() -> None:
    """All that a visit loads besides the sample photos."""
    weight = sum(len(file.content) for name, file in FILES.items() if not name.startswith("samples/"))

    assert weight < MAX_WEIGHT_BYTES


def test_nothing_is_loaded_from_elsewhere() -> None:
    """No address of another site stands in any file, but the namespace of SVG and examples for people."""
    found = {address for text in TEXTS.values() for address in re.findall(r"https?://[\w.-]+", text)}

    assert found <= {"http://www.w3.org", "https://example.com"}


def test_markup_holds_no_inline_script_or_style() -> None:
    """The policy would refuse them; better that nobody writes them."""
    markup = TEXTS["index.html"]

    assert not re.findall(r"<style|\sstyle=|\son\w+=|javascript:", markup)
    assert re.findall(r"<script[^>]*>(.*?)</script>", markup, re.DOTALL) == [""]


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_make_no_markup_from_text(name: str) -> None:
    """What callers and the service say reaches the page as text only."""
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", TEXTS[name]
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_module_and_element_named_exists(name: str) -> None:
    """A renamed file or id would otherwise show only when a person gets there."""
    modules = re.findall(r'from "\./([^"]+)"', TEXTS[name])
    ids = re.findall(r'(?:byId|getElementById)\("([^"]+)"\)', TEXTS[name])

    assert set(modules) <= set(SCRIPTS)
    assert set(ids) <= set(re.findall(r'id="([^"]+)"', TEXTS["index.html"]))


def test_every_control_has_a_label() -> None:
    """Each field is named by a label of its own or around it."""
    markup = TEXTS["index.html"]
    fields = re.findall(r'<(?:input|select)[^>]*\bid="([^"]+)"', markup)

    assert fields
    assert set(fields) <= set(re.findall(r'<label[^>]*\bfor="([^"]+)"', markup))


def test_every_sample_has_its_licence_stated() -> None:
    """No photo is shipped without saying why that is allowed, and none is offered that is not shipped."""
    photos = {name.removeprefix("samples/") for name in FILES if name.endswith(".jpg")}
    stated = set(re.findall(r"^(\S+\.jpg)$", TEXTS["samples/LICENSES.txt"], re.MULTILINE))

    assert photos == stated
    assert photos == set(re.findall(r'data-sample="([^"]+)"', TEXTS["index.html"]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_the_contrast_that_people_need(scheme: str) -> None:
    """Each pair that the page lays on one another, in both schemes."""
    light, dark = re.findall(r":root \{(.*?)\}", TEXTS["style.css"], re.DOTALL)
    colours = dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", dark))

    poor = [
        (one, other, round(ratio, 2))
        for one, other, least in CONTRASTS
        if (ratio := contrast(colours[one], colours[other])) < least
    ]
    assert poor == []


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2.2 defines it: 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb, 0 to 1."""
    channels: Sequence[float] = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
