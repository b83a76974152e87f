"""No trick of the attack list opens a connection to an address that is not public: watched where Python calls the system."""

import ssl
from collections.abc import Iterator, Sequence

import pytest

from alphacut_server.errors import MD5_OF_NOTHING, UrlNotFetched
from alphacut_server.fetch.fetcher import Fetcher
from alphacut_server.fetch.target import parse_url
from alphacut_server.settings import FetchSettings
from support.names import TableResolver
from support.sockets import watch_sockets
from support.url_attacks import DIRECT, NAMES, REDIRECTED, Attack
from support.web import Web

ENTRANCE = "entrance.example.net"
PUBLIC = "93.184.216.34"
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
BY_NAME = {"names of which one address leads inside", "names that lead inside"}
PICTURE = b"what nobody outside may see"


@pytest.fixture(scope="module")
def entrance() -> Iterator[Web]:
    """Return a server that may be fetched from, by its name."""
    with Web() as web:
        yield web


@pytest.fixture(scope="module")
def canary() -> Iterator[Web]:
    """Return the listener that nobody may connect to, although its port is allowed."""
    with Web() as web:
        web.serve("/", PICTURE)
        yield web


@pytest.fixture
def resolver() -> TableResolver:
    """Return the attackers' name server."""
    return TableResolver(NAMES)


def make_fetcher(
    resolver: TableResolver, ports: Sequence[int], allow: Sequence[str] = (ENTRANCE,)
) -> Fetcher:
    """Return a fetcher for which nothing but public addresses, and the entrance, stands in the way."""
    settings = FetchSettings(allow=tuple(allow), ports=(80, 443, *ports))
    return Fetcher(settings, max_bytes=1 << 20, resolver=resolver, tls=NO_AUTHORITIES, refusal_floor_s=0)


def filled(text: str, entrance: Web, canary: Web) -> str:
    """Put the ports into an attack's URL."""
    return text.replace("{canary}", str(canary.port)).replace("{entrance}", str(entrance.port))


def test_every_name_of_the_list_is_known() -> None:
    """An attack by name is refused for its addresses, not because the test's name server has never heard of it."""
    names = {
        parse_url(attack.url.replace("{canary}", "80")).host for attack in DIRECT if attack.trick in BY_NAME
    }

    assert {name for name in names if name.endswith(".example.net")} <= set(NAMES)


def test_the_list_is_long_enough() -> None:
    """At least 60 tricks, none of them twice."""
    urls = [attack.url for attack in DIRECT]

    assert len(set(urls)) == len(urls) >= 60


@pytest.mark.parametrize("attack", DIRECT, ids=lambda attack: ascii(attack.url))
async def test_an_attack_opens_no_connection(
    attack: Attack, entrance: Web, canary: Web, resolver: TableResolver
) -> None:
    """Not to the canary, not to anything else, and the caller learns the same as from any failure."""
    fetcher = make_fetcher(resolver, [canary.port])
    before = canary.connections

    with watch_sockets() as log, pytest.raises(UrlNotFetched) as caught:
        await fetcher.fetch(filled(attack.url, entrance, canary), timeout_s=5)

    assert log.connects == []
    assert log.lookups == []
    assert canary.connections == before
    assert caught.value.message == "The picture could not be fetched from its URL."
    assert caught.value.metadata == {"md5": MD5_OF_NOTHING}


@pytest.mark.parametrize("hops", [1, 3])
@pytest.mark.parametrize("attack", REDIRECTED, ids=lambda attack: ascii(attack.url))
async def test_a_redirect_leads_nowhere_inside(
    attack: Attack, hops: int, entrance: Web, canary: Web, resolver: TableResolver
) -> None:
    """Directly or after others, relative ones among them: only the allowed server is connected to."""
    entrance.redirect("/a/1", "../a/2" if hops > 1 else filled(attack.url, entrance, canary))
    entrance.redirect("/a/2", f"//{ENTRANCE}:{entrance.port}/a/3?x=1")
    entrance.redirect("/a/3", filled(attack.url, entrance, canary))
    fetcher = make_fetcher(resolver, [entrance.port, canary.port])
    before = canary.connections

    with watch_sockets() as log, pytest.raises(UrlNotFetched):
        await fetcher.fetch(f"http://{ENTRANCE}:{entrance.port}/a/1", timeout_s=5)

    assert set(log.connects) == {("127.0.0.1", entrance.port)}
    assert len(log.connects) >= hops
    assert canary.connections == before


async def test_a_name_is_looked_up_once_for_a_connection(canary: Web, resolver: TableResolver) -> None:
    """A name server that says something public first and 127.0.0.1 afterwards is not asked a second time."""
    fetcher = make_fetcher(resolver, [canary.port])
    before = canary.connections

    with watch_sockets() as log, pytest.raises(UrlNotFetched):
        await fetcher.fetch(f"http://rebinding.example.net:{canary.port}/", timeout_s=5)

    assert log.connects == [(PUBLIC, canary.port)]
    assert log.lookups == []
    assert resolver.asked["rebinding.example.net"] == 1
    assert canary.connections == before


async def test_a_name_is_checked_again_for_every_redirect(entrance: Web, canary: Web) -> None:
    """A server that sends us to its own name, which by then leads elsewhere, is refused there."""
    resolver = TableResolver({"turning.example.net": [["127.0.0.1"], ["127.0.0.2"]]})
    entrance.redirect("/turn", f"http://turning.example.net:{canary.port}/")
    fetcher = make_fetcher(resolver, [entrance.port, canary.port], allow=["127.0.0.1/32"])

    with watch_sockets() as log, pytest.raises(UrlNotFetched):
        await fetcher.fetch(f"http://turning.example.net:{entrance.port}/turn", timeout_s=5)

    assert log.connects == [("127.0.0.1", entrance.port)]
    assert resolver.asked["turning.example.net"] == 2


async def test_the_watch_sees_a_connection(canary: Web, resolver: TableResolver) -> None:
    """What the tests above count is there to be counted: allowed, the canary is reached and both notice."""
    fetcher = make_fetcher(resolver, [canary.port], allow=["loopback.example.net"])
    before = canary.connections

    with watch_sockets() as log:
        content = await fetcher.fetch(f"http://loopback.example.net:{canary.port}/", timeout_s=5)

    assert content == PICTURE
    assert log.connects == [("127.0.0.1", canary.port)]
    assert canary.connections == before + 1


async def test_a_public_name_is_connected_to_at_the_address_that_was_checked(resolver: TableResolver) -> None:
    """The refusals above are not for want of trying: the same settings do connect to a public address."""
    fetcher = make_fetcher(resolver, [])

    with watch_sockets() as log, pytest.raises(UrlNotFetched):
        await fetcher.fetch("http://public.example.net/", timeout_s=5)

    assert log.connects == [(PUBLIC, 80)]
