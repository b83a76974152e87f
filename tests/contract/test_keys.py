"""API keys: three ways to bring one, and what happens without."""

import json

import pytest

from support.api_keys import SHOP_KEY
from support.images import KnownPicture
from support.rest import RESULTS, Reply, RestService, image_part


def assert_refused(reply: Reply) -> None:
    """Check the answer to a call without a valid key."""
    assert reply.status == 401
    assert reply.headers["content-type"] == "application/json"
    answer = json.loads(reply.body)
    assert list(answer) == ["message"]
    assert isinstance(answer["message"], str)
    assert answer["message"]


@pytest.mark.parametrize("header", ["X-API-KEY", "X-RapidAPI-Key", "x-api-key", "x-rapidapi-key"])
def test_a_key_may_come_in_either_header(keyed_rest: RestService, picture: KnownPicture, header: str) -> None:
    """The vendor's own name and the marketplace's, in any case."""
    assert keyed_rest.post(image_part(picture.content), headers={header: SHOP_KEY}).result.code == "ok"


def test_a_key_may_come_in_the_query(keyed_rest: RestService, picture: KnownPicture) -> None:
    """As `api_key`, beside other parameters."""
    path = f"{RESULTS}?mode=fg-mask&api_key={SHOP_KEY}"

    assert keyed_rest.post(image_part(picture.content), path=path).result.entity_name == "general-fg-mask"


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-KEY": ""}, {"X-API-KEY": "wrong"}, {"X-RapidAPI-Key": SHOP_KEY + "x"}]
)
def test_without_a_valid_key_it_is_401(
    keyed_rest: RestService, picture: KnownPicture, headers: dict[str, str]
) -> None:
    """Missing, empty and wrong are answered alike."""
    assert_refused(keyed_rest.post(image_part(picture.content), headers=headers))


def test_a_wrong_key_in_the_query_is_401(keyed_rest: RestService, picture: KnownPicture) -> None:
    """The answer does not repeat it."""
    reply = keyed_rest.post(image_part(picture.content), path=f"{RESULTS}?api_key=guessed")

    assert_refused(reply)
    assert "guessed" not in reply.text


@pytest.mark.parametrize("path", ["/v1/version", "/v1/modes"])
def test_version_and_modes_want_the_key_too(keyed_rest: RestService, path: str) -> None:
    """Their documented calls carry one."""
    assert_refused(keyed_rest.get(path))
    assert keyed_rest.get(path, {"X-RapidAPI-Key": SHOP_KEY}).status == 200
