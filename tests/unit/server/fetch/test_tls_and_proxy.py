"""Fetches over TLS and through a proxy."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from alphacut_server.errors import UrlNotFetched
from alphacut_server.fetch.fetcher import Fetcher
from alphacut_server.fetch.refusal import Cause
from alphacut_server.settings import FetchSettings
from support.certificates import Authority
from support.local_fetches import cause_of
from support.names import TableResolver
from support.sockets import watch_sockets
from support.web import Caller, Web

PICTURE = b"a picture"
NAMES = {"localhost": [["127.0.0.1"]], "other.example.net": [["127.0.0.1"]]}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority that nobody but these tests knows."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def web(authority: Authority) -> Iterator[Web]:
    """Return an https server, certified for localhost and 127.0.0.1."""
    with Web(authority.issue("server")) as web:
        web.serve("/cat.png", PICTURE)
        yield web


@pytest.fixture
def plain() -> Iterator[Web]:
    """Return an http server."""
    with Web() as web:
        web.serve("/cat.png", PICTURE)
        yield web


def fetcher_trusting(ca_file: Path | None, *ports: int, proxy: str | None = None) -> Fetcher:
    """Return a fetcher that trusts the authority and may fetch from both names and from 127.0.0.1."""
    settings = FetchSettings(
        allow=("localhost", "other.example.net", "127.0.0.1"), ports=ports, ca_file=ca_file, proxy=proxy
    )
    return Fetcher(settings, max_bytes=1000, resolver=TableResolver(NAMES), refusal_floor_s=0)


async def refusal(fetcher: Fetcher, url: str) -> Cause:
    """Return why the URL is refused."""
    with pytest.raises(UrlNotFetched) as caught:
        await fetcher.fetch(url, timeout_s=5)
    return cause_of(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_certificate_of_a_configured_authority_is_good(
    web: Web, authority: Authority, host: str
) -> None:
    """For the name in the URL, although the connection goes to an address, and for an address in the URL."""
    fetcher = fetcher_trusting(authority.certificate, web.port)

    assert await fetcher.fetch(f"https://{host}:{web.port}/cat.png", timeout_s=5) == PICTURE


async def test_an_unknown_authority_is_refused(web: Web) -> None:
    """Without a request being sent."""
    fetcher = fetcher_trusting(None, web.port)

    assert await refusal(fetcher, f"https://localhost:{web.port}/cat.png") is Cause.NOT_CONNECTED
    assert web.seen == []


async def test_a_certificate_of_another_host_is_refused(web: Web, authority: Authority) -> None:
    """The name in the URL counts, not where it leads."""
    fetcher = fetcher_trusting(authority.certificate, web.port)

    assert await refusal(fetcher, f"https://other.example.net:{web.port}/cat.png") is Cause.NOT_CONNECTED
    assert web.seen == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_server_that_speaks_the_other_scheme_is_refused(
    web: Web, plain: Web, authority: Authority, scheme: str
) -> None:
    """TLS without an answer in TLS, and the other way round."""
    fetcher = fetcher_trusting(authority.certificate, web.port, plain.port)
    port = web.port if scheme == "http" else plain.port

    assert await refusal(fetcher, f"{scheme}://localhost:{port}/cat.png") in {
        Cause.NOT_CONNECTED,
        Cause.BROKEN,
    }


async def test_redirects_go_up_to_https_but_not_down_from_it(
    web: Web, plain: Web, authority: Authority
) -> None:
    """An https link promises that nobody on the way sees or exchanges the picture."""
    fetcher = fetcher_trusting(authority.certificate, web.port, plain.port)
    up = plain.redirect("/up", f"https://localhost:{web.port}/cat.png")
    web.redirect("/down", f"http://localhost:{plain.port}/cat.png")

    assert await fetcher.fetch(up, timeout_s=5) == PICTURE
    assert await refusal(fetcher, f"https://localhost:{web.port}/down") is Cause.REDIRECT
    assert plain.paths == ["/up"]


async def test_cancelling_ends_a_tls_connection(web: Web, authority: Authority) -> None:
    """As any other, without waiting for the other end's goodbye."""
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def hold(caller: Caller) -> None:
        loop.call_soon_threadsafe(reached.set)
        await caller.until_gone()

    web.behave("/held", hold)
    fetcher = fetcher_trusting(authority.certificate, web.port)
    fetching = asyncio.create_task(fetcher.fetch(f"https://localhost:{web.port}/held", timeout_s=60))
    await reached.wait()

    fetching.cancel()
    await asyncio.wait([fetching])

    assert fetching.cancelled()
    assert web.wait_until_left()


async def test_a_configured_proxy_gets_the_request(plain: Web) -> None:
    """With the whole URL; the name is the proxy's to resolve, and nothing else is connected to."""
    plain.serve("http://pictures.example.com/cat.png", PICTURE)
    fetcher = fetcher_trusting(None, 80, proxy=f"http://127.0.0.1:{plain.port}")

    with watch_sockets() as log:
        content = await fetcher.fetch("http://pictures.example.com/cat.png", timeout_s=5)

    assert content == PICTURE
    assert log.connects == [("127.0.0.1", plain.port)]
    assert plain.seen[0].headers["host"] == "pictures.example.com"
    assert "proxy-authorization" not in plain.seen[0].headers


async def test_https_goes_through_a_tunnel_of_the_proxy(web: Web, plain: Web, authority: Authority) -> None:
    """TLS is between us and the server, whose certificate is checked as ever."""

    async def tunnel(caller: Caller) -> None:
        await caller.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        await caller.connect_through("127.0.0.1", web.port)

    plain.behave(f"localhost:{web.port}", tunnel)
    plain.behave(f"other.example.net:{web.port}", tunnel)
    fetcher = fetcher_trusting(authority.certificate, web.port, proxy=f"http://localhost:{plain.port}")

    assert await fetcher.fetch(f"https://localhost:{web.port}/cat.png", timeout_s=5) == PICTURE
    assert await refusal(fetcher, f"https://other.example.net:{web.port}/cat.png") is Cause.NOT_CONNECTED
    assert [request.method for request in plain.seen] == ["CONNECT", "CONNECT"]


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://intranet/",
        "http://a.internal/",
        "http://[2606:4700::1111]/",
        "http://2130706433/",
    ],
)
async def test_a_proxy_is_not_asked_for_what_is_plainly_inside(plain: Web, url: str) -> None:
    """Addresses and names that can be judged without a lookup are; IPv6 in figures cannot be passed on."""
    fetcher = fetcher_trusting(None, 80, proxy=f"http://127.0.0.1:{plain.port}")

    assert await refusal(fetcher, url) in {Cause.ADDRESS_DENIED, Cause.HOST_DENIED, Cause.URL_MALFORMED}
    assert plain.connections == 0


async def test_a_proxy_that_refuses_is_one_failure_more(plain: Web) -> None:
    """For a tunnel and for a plain request."""
    fetcher = fetcher_trusting(None, 80, 443, proxy=f"http://127.0.0.1:{plain.port}")

    assert await refusal(fetcher, "https://pictures.example.com/") is Cause.NOT_CONNECTED
    assert await refusal(fetcher, "http://pictures.example.com/") is Cause.STATUS
