"""The services that the contract is proven against: real gateways in front of real servers."""

import os
from collections.abc import Iterator

import pytest

from alphacut_server.catalogue.loader import load_catalogue
from alphacut_server.catalogue.store import Store, default_store
from support.api_keys import SHOP_KEY, line_of, write_keys
from support.images import KnownPicture, known_picture
from support.rest import PictureSite, RestService, running_rest, running_site
from support.server import EMULATED


@pytest.fixture(scope="session")
def site() -> Iterator[PictureSite]:
    """Run a web site that the server may fetch pictures from."""
    with running_site() as running:
        yield running


@pytest.fixture(scope="session")
def rest(site: PictureSite) -> Iterator[RestService]:
    """Run the service as it is by default, but for a quick emulated device and leave to fetch from the site."""
    quick = {"ALPHACUT_EMULATED_BASE_MS": "1", "ALPHACUT_EMULATED_ITEM_MS": "0"}
    with running_rest(EMULATED | quick | site.settings) as service:
        yield service


@pytest.fixture(scope="session")
def cut_rest() -> Iterator[RestService]:
    """Run the service with u2netp, which cuts real photos; skip where it is not pulled."""
    if Store(default_store(os.environ)).find_weights(load_catalogue().get("u2netp")) is None:
        pytest.skip("u2netp is not pulled; run: alphacut models pull u2netp")
    with running_rest({"ALPHACUT_MODEL": "u2netp", "ALPHACUT_DEVICE": "cpu"}) as service:
        yield service


@pytest.fixture(scope="session")
def keyed_rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestService]:
    """Run the service with one API key, SHOP_KEY."""
    keys = write_keys(tmp_path_factory.mktemp("keys") / "keys", line_of("shop", SHOP_KEY))
    with running_rest(EMULATED | {"ALPHACUT_SERVER_API_KEYS_FILE": str(keys)}) as service:
        yield service


@pytest.fixture(scope="session")
def picture() -> KnownPicture:
    """Return a small JPEG with the alpha that the emulated device gives it."""
    return known_picture(7, 96, 128, is_jpeg=True)
