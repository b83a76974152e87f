"""Browsers call from any origin."""

import pytest

from support.images import KnownPicture
from support.rest import RESULTS, RestService, image_part, request

ORIGIN = "https://shop.example"
HEADERS = ("X-API-KEY", "X-RapidAPI-Key", "X-RapidAPI-Host", "A4A-CLIENT-APP-ID", "Content-Type")


@pytest.mark.parametrize(
    "path", [RESULTS, "/img-bg-removal/v1/results", "/img-bg-removal/v1/general/results"]
)
@pytest.mark.parametrize("header", HEADERS)
def test_a_preflight_allows_what_callers_send(rest: RestService, path: str, header: str) -> None:
    """Each of the headers that callers of the API are known to send."""
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": header.lower(),
    }

    reply = request(rest.address, "OPTIONS", path, headers=asked)

    allowed = {name.strip().lower() for name in reply.headers["access-control-allow-headers"].split(",")}
    assert reply.status in {200, 204}
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert header.lower() in allowed


def test_an_answer_may_be_read_by_any_origin(rest: RestService, picture: KnownPicture) -> None:
    """A result, a failed result, a refusal and a wrong path: a script can read each of them."""
    headers = {"Origin": ORIGIN}
    replies = [
        rest.post(image_part(picture.content), headers=headers),
        rest.post(image_part(b"no picture"), headers=headers),
        rest.post(headers=headers),
        rest.get("/v1/modes", headers),
        rest.get("/nowhere", headers),
    ]

    assert [reply.status for reply in replies] == [200, 200, 422, 200, 404]
    assert {reply.headers["access-control-allow-origin"] for reply in replies} == {"*"}


def test_a_refusal_for_want_of_a_key_may_be_read(keyed_rest: RestService, picture: KnownPicture) -> None:
    """Or a script would see a network error where a key is wrong; the preflight itself brings none."""
    preflight = request(
        keyed_rest.address,
        "OPTIONS",
        RESULTS,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key",
        },
    )
    refused = keyed_rest.post(image_part(picture.content), headers={"Origin": ORIGIN})

    assert preflight.status in {200, 204}
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "*")
