"""GET /v1/version and /v1/modes, and the paths under which everything answers."""

import re

import pytest

from alphacut.version import __version__
from support.images import KnownPicture
from support.rest import RestService, image_part

PREFIXES = ("", "/img-bg-removal")


def test_version_is_vx_y_z_and_nothing_else(rest: RestService) -> None:
    """Plain text without quotes or newline, and X is the API's version, 1."""
    reply = rest.get("/v1/version")

    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert re.fullmatch(r"v1\.\d+\.\d+", reply.text)
    assert reply.text == f"v{__version__}"


def test_modes_are_a_sorted_array(rest: RestService) -> None:
    """The three documented modes, in the documented order, as text."""
    reply = rest.get("/v1/modes")

    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.compact == '["fg-image","fg-image-shadow","fg-mask"]'


@pytest.mark.parametrize("prefix", PREFIXES)
def test_version_and_modes_answer_under_the_prefix(rest: RestService, prefix: str) -> None:
    """What the marketplace's path answers, the vendor's own answers, too."""
    assert rest.get(f"{prefix}/v1/version").text == rest.get("/v1/version").text
    assert rest.get(f"{prefix}/v1/modes").text == rest.get("/v1/modes").text


@pytest.mark.parametrize(
    "path", [prefix + path for prefix in PREFIXES for path in ("/v1/results", "/v1/general/results")]
)
def test_results_answer_under_every_alias(rest: RestService, picture: KnownPicture, path: str) -> None:
    """Four paths, one answer; the query works on each."""
    plain = rest.post(image_part(picture.content), path=path)
    mask = rest.post(image_part(picture.content), path=f"{path}?mode=fg-mask")

    assert plain.result.entity_name == "general-fg-image"
    assert mask.result.entity_name == "general-fg-mask"
    assert plain.text == rest.post(image_part(picture.content)).text
