"""What the API says of itself, to programs and to people."""

import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
from starlette.routing import Route

from alphacut import errors
from alphacut_gateway import paths
from alphacut_gateway.answers import BINARY_HEADERS
from alphacut_gateway.docs_page import STYLE, page
from alphacut_gateway.openapi import HEADER_WORDS, document
from alphacut_gateway.parameters import Options
from alphacut_gateway.status import RULES
from support.gateway_backend import FakeBackend, calling, cut_picture, gateway_app

PREFIXES = ("", "/img-bg-removal")
DOCUMENT: Any = document()


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_document_is_openapi_3_1(prefix: str) -> None:
    """By the specification's own schema, as it is served."""
    async with calling(gateway_app(FakeBackend())) as client:
        response = await client.get(f"{prefix}/openapi.json")

    assert response.headers["content-type"] == "application/json"
    assert response.json()["openapi"] == "3.1.0"
    OPENAPI_31_VALIDATOR.validate(response.json())


async def test_every_described_path_is_served() -> None:
    """And nothing of the API is left out."""
    app = gateway_app(FakeBackend())
    served = {
        (route.path, method.lower())
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
        if not route.path.startswith("/img-bg-removal")
    }
    described = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}

    assert described <= served
    assert {path for path, _ in served - described} == {"/", "/page/{file:path}", "/docs", "/openapi.json"}


def test_every_parameter_is_described() -> None:
    """By its name in a query, with its range."""
    parameters = {each["name"]: each for each in DOCUMENT["paths"]["/v1/results"]["post"]["parameters"]}

    assert set(parameters) == {name.replace("_", "-") for name in Options.model_fields}
    assert all(each["description"] for each in parameters.values())
    assert "null" not in json.dumps([each["schema"] for each in parameters.values()])
    assert "$ref" not in json.dumps(parameters)
    for name, wrong in (
        ("mode", "fg"),
        ("crop-margin", 1.5),
        ("bg-color", "no-colour"),
        ("shadow-color", "00000080"),
        ("shadow-direction", 360),
        ("shadow-elevation", 0),
        ("representation", "url"),
    ):
        assert not jsonschema_rs.is_valid(parameters[name]["schema"], wrong)
    for name, right in (("mode", "fg-mask"), ("crop-margin", 0.5), ("bg-color", "fff"), ("bg-color", "navy")):
        assert jsonschema_rs.is_valid(parameters[name]["schema"], right)


def test_every_status_is_described() -> None:
    """Whatever the tables can answer to a picture."""
    described = {int(code) for code in DOCUMENT["paths"]["/v1/results"]["post"]["responses"]}

    assert {rule.status for rule in RULES.values()} | {200, 408, 413, 422, 429} == described


def test_every_header_is_described() -> None:
    """Those that come with a picture's bytes."""
    assert set(HEADER_WORDS) == set(BINARY_HEADERS)


@pytest.mark.parametrize(
    ("backend", "path", "code"),
    [
        (FakeBackend(), "/v1/results", "200"),
        (FakeBackend(response=cut_picture(box=None)), "/v1/general/results?mode=fg-mask&format=webp", "200"),
        (FakeBackend(failure=errors.ImageNotLoadable("w")), "/v1/results", "200"),
        (FakeBackend(), "/v1/results?mode=fg", "422"),
        (FakeBackend(failure=errors.InvalidOption("words")), "/v1/results", "422"),
        (FakeBackend(failure=errors.Unauthenticated("words")), "/v1/results", "401"),
        (FakeBackend(failure=errors.Overloaded("words")), "/v1/results", "503"),
        (FakeBackend(failure=errors.MessageTooLarge("words")), "/v1/results", "413"),
    ],
)
async def test_answers_are_as_described(backend: FakeBackend, path: str, code: str) -> None:
    """Status, content type and shape."""
    async with calling(gateway_app(backend)) as client:
        response = await client.post(path, files={"image": ("img.jpg", b"x")})

    described = DOCUMENT["paths"][path.partition("?")[0]]["post"]["responses"][code]
    media_type = response.headers["content-type"].partition(";")[0]
    assert str(response.status_code) == code
    body = response.json() if media_type == "application/json" else response.text
    jsonschema_rs.validate(resolved(described["content"][media_type]["schema"]), body)


def test_examples_are_as_described() -> None:
    """An example that is wrong is worse than none."""
    seen = 0
    for schema, example in examples(DOCUMENT):
        jsonschema_rs.validate(resolved(schema), example)
        seen += 1

    assert seen > 8


class Reader(HTMLParser):
    """Collects what a page loads and links, and checks that what is opened is closed."""

    VOID = frozenset({"meta", "link", "img", "br", "!doctype"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag."""
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "style", "onclick"}]

    def handle_endtag(self, tag: str) -> None:
        """Take a closing tag."""
        assert self.open.pop() == tag


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_page_for_people_needs_no_script_and_no_third_party(prefix: str) -> None:
    """Its policy allows one style sheet, by its digest, and nothing else."""
    async with calling(gateway_app(FakeBackend())) as client:
        response = await client.get(f"{prefix}/docs")

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert re.fullmatch(
        r"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        r"style-src 'sha256-[A-Za-z0-9+/]{43}='",
        response.headers["content-security-policy"],
    )
    reader = Reader()
    reader.feed(response.text)
    assert reader.open == []
    assert "script" not in reader.tags
    assert reader.links == ["openapi.json", "./"]
    assert f"<style>{STYLE}</style>" in response.text


def test_page_tells_all_that_the_document_tells() -> None:
    """Each path, parameter, field and status."""
    text = page(DOCUMENT)

    operation = DOCUMENT["paths"]["/v1/results"]["post"]
    told = [
        *DOCUMENT["paths"],
        *(each["name"] for each in operation["parameters"]),
        *operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"],
        *operation["responses"],
        *(each["name"] for each in DOCUMENT["components"]["securitySchemes"].values()),
    ]
    assert [each for each in told if f"<code>{each}</code>" not in text] == []
    assert "curl -F image=@photo.jpg" in text


def test_page_escapes_what_it_is_given() -> None:
    """The document is ours, but it holds < and & like any text."""
    strange = {**DOCUMENT, "info": {"title": "<b>&", "version": "1", "description": "a `<i>` b"}}

    text = page(strange)

    assert "<b>&" not in text
    assert "<code>&lt;i&gt;</code>" in text


def test_only_probes_are_probes() -> None:
    """They alone are answered to the end of a drain."""
    assert {prefix + path for prefix in PREFIXES for path in ("/livez", "/readyz")} == paths.PROBES
    assert not paths.is_probe("/v1/version")


def resolved(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema together with the components it may refer to."""
    return {**schema, "components": DOCUMENT["components"]}


def examples(part: Any) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Give every schema of the document that has an example beside it, with the example."""
    if isinstance(part, list | tuple):
        for each in part:
            yield from examples(each)
    if not isinstance(part, Mapping):
        return
    if "schema" in part and "example" in part:
        yield part["schema"], part["example"]
    for named in part["examples"].values() if "schema" in part and "examples" in part else ():
        yield part["schema"], named["value"]
    for each in part.values():
        yield from examples(each)
