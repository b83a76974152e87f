"""A fetch from beginning to end: what is sent, where redirects lead, who waits, how it ends early."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from alphacut_server.errors import Draining, QueueFull, UrlNotFetched
from alphacut_server.fetch.fetcher import WAITING_PER_PLACE, Fetcher
from alphacut_server.fetch.refusal import Cause
from alphacut_server.settings import FetchSettings
from support.local_fetches import NO_AUTHORITIES, HeldResolver, allowing, cause_of, fetcher_of
from support.names import TableResolver
from support.sockets import watch_sockets
from support.web import Caller, Web, answer

PICTURE = b"a picture"


@pytest.fixture
def web() -> Iterator[Web]:
    """Return a server that may be fetched from, with a picture at /cat.png."""
    with Web() as web:
        web.serve("/cat.png", PICTURE)
        yield web


async def refusal(fetcher: Fetcher, url: str, timeout_s: float = 10) -> Cause:
    """Return why the URL is refused."""
    with pytest.raises(UrlNotFetched) as caught:
        await fetcher.fetch(url, timeout_s=timeout_s)
    return cause_of(caught.value)


class Held:
    """A path of a server that keeps whoever asks; `reached` is set on the test's own loop."""

    def __init__(self, web: Web, path: str = "/held") -> None:
        self.reached = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.url = web.behave(path, self._hold)

    async def _hold(self, caller: Caller) -> None:
        await caller.send(answer(b"some", declare=100))
        self._loop.call_soon_threadsafe(self.reached.set)
        await caller.until_gone()


async def test_a_request_says_no_more_than_it_must(web: Web) -> None:
    """No cookies, no credentials, no referrer; the query goes to the server it was meant for."""
    content = await fetcher_of(allowing(web)).fetch(f"{web.base}/cat.png?token=s3cret#part", timeout_s=5)

    (request,) = web.seen
    assert content == PICTURE
    assert (request.method, request.target) == ("GET", "/cat.png?token=s3cret")
    assert request.headers == {
        "host": f"127.0.0.1:{web.port}",
        "user-agent": "alphacut",
        "accept": "image/jpeg, image/png, image/*;q=0.5, */*;q=0.1",
        "accept-encoding": "identity",
        "connection": "close",
    }


async def test_every_fetch_has_a_connection_of_its_own(web: Web) -> None:
    """And leaves none behind."""
    fetcher = fetcher_of(allowing(web))

    for _ in range(3):
        await fetcher.fetch(f"{web.base}/cat.png", timeout_s=5)

    assert web.connections == 3
    assert web.wait_until_left()


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
async def test_redirects_are_followed(web: Web, status: str) -> None:
    """Whatever the kind; what the first server set or was told is not passed on."""
    start = web.say("/a/b", answer(status=status, headers=["Location: ../cat.png?x", "Set-Cookie: a=b"]))

    assert await fetcher_of(allowing(web)).fetch(f"{start}?secret", timeout_s=5) == PICTURE
    assert web.paths == ["/a/b?secret", "/cat.png?x"]
    assert not {"cookie", "referer"} & set(web.seen[1].headers)


async def test_redirects_are_counted(web: Web) -> None:
    """As many as configured are followed, the next one is not."""
    web.redirect("/1", "/2")
    web.redirect("/2", "/cat.png")

    assert await fetcher_of(allowing(web, max_redirects=2)).fetch(f"{web.base}/1", timeout_s=5) == PICTURE
    assert await refusal(fetcher_of(allowing(web, max_redirects=1)), f"{web.base}/1") is Cause.REDIRECTS
    assert await refusal(fetcher_of(allowing(web, max_redirects=0)), f"{web.base}/1") is Cause.REDIRECTS
    assert web.paths == ["/1", "/2", "/cat.png", "/1", "/2", "/1"]


async def test_a_circle_of_redirects_ends(web: Web) -> None:
    """By the count."""
    web.redirect("/1", "/2")
    web.redirect("/2", "/1")

    assert await refusal(fetcher_of(allowing(web)), f"{web.base}/1") is Cause.REDIRECTS
    assert web.paths == ["/1", "/2", "/1", "/2"]


@pytest.mark.parametrize(
    "headers",
    [[], ["Location: /cat.png", "Location: /cat.png"], ["Location: /\xff"]],
    ids=["none", "two", "no UTF-8"],
)
async def test_a_redirect_to_nowhere_is_refused(web: Web, headers: list[str]) -> None:
    """One place must be named, and readably."""
    start = web.say("/1", answer(status="302 Found", headers=headers))

    assert await refusal(fetcher_of(allowing(web)), start) is Cause.REDIRECT


async def test_a_name_is_resolved_and_named_to_the_server(web: Web) -> None:
    """The Host header has the name, the connection goes to its address."""
    resolver = TableResolver({"store.example.net": [["127.0.0.1"]]})
    settings = FetchSettings(allow=("store.example.net",), ports=(web.port,))

    url = f"http://STORE.example.net:{web.port}/cat.png"
    assert await fetcher_of(settings, resolver=resolver).fetch(url, timeout_s=5) == PICTURE
    assert web.seen[0].headers["host"] == f"store.example.net:{web.port}"


async def test_a_server_that_is_not_there_is_one_failure_more(web: Web) -> None:
    """The same error as for all the rest."""
    settings = FetchSettings(allow=("127.0.0.0/8",), ports=(web.port,))

    assert await refusal(fetcher_of(settings), f"http://127.0.0.9:{web.port}/") is Cause.NOT_CONNECTED


async def test_switched_off_nothing_is_fetched(web: Web) -> None:
    """Not even looked at."""
    settings = allowing(web).model_copy(update={"enabled": False})

    assert await refusal(fetcher_of(settings), f"{web.base}/cat.png") is Cause.DISABLED
    assert web.connections == 0


async def test_the_callers_time_holds_when_it_is_shorter(web: Web) -> None:
    """Than the configured one; a lookup that hangs counts as any other wait."""
    fetcher = fetcher_of(allowing(web), resolver=HeldResolver())

    assert await refusal(fetcher, Held(web).url, timeout_s=0.1) is Cause.TIMEOUT
    assert await refusal(fetcher, f"http://slow.example.net:{web.port}/", timeout_s=0.1) is Cause.TIMEOUT
    assert await refusal(fetcher, f"{web.base}/cat.png", timeout_s=-1) is Cause.TIMEOUT


async def test_a_cancelled_fetch_closes_its_connection(web: Web) -> None:
    """At once, and the caller sees the cancellation itself."""
    held = Held(web)
    fetching = asyncio.create_task(fetcher_of(allowing(web)).fetch(held.url, timeout_s=60))
    await held.reached.wait()

    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching

    assert web.wait_until_left()


async def test_a_lookup_can_be_cancelled() -> None:
    """And gives its place back."""
    resolver = HeldResolver()
    fetcher = fetcher_of(FetchSettings(max_concurrent=1), resolver=resolver)
    fetching = asyncio.create_task(fetcher.fetch("http://example.com/", timeout_s=60))
    await resolver.asked.acquire()

    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    resolver.release.set()

    assert await refusal(fetcher, "http://example.com/") is Cause.ADDRESS_DENIED


async def test_beyond_the_places_callers_wait_and_beyond_that_are_turned_away() -> None:
    """Overload is no fault of the URL: another error, which a retry may cure."""
    resolver = HeldResolver()
    fetcher = fetcher_of(FetchSettings(max_concurrent=1), resolver=resolver)
    fetches = [
        asyncio.create_task(refusal(fetcher, f"http://{place}.example.com/"))
        for place in range(1 + WAITING_PER_PLACE)
    ]
    await resolver.asked.acquire()

    with pytest.raises(QueueFull):
        await fetcher.fetch("http://example.com/", timeout_s=60)
    assert resolver.asked.locked()  # nobody else has come as far as a lookup
    resolver.release.set()

    assert await asyncio.gather(*fetches) == [Cause.ADDRESS_DENIED] * len(fetches)


async def test_malformed_urls_need_no_place() -> None:
    """They are answered while all places are taken."""
    resolver = HeldResolver()
    fetcher = fetcher_of(FetchSettings(max_concurrent=1), resolver=resolver)
    fetching = asyncio.create_task(refusal(fetcher, "http://example.com/"))
    await resolver.asked.acquire()

    assert await refusal(fetcher, "file:///etc/passwd") is Cause.URL_MALFORMED
    resolver.release.set()
    await fetching


async def test_closing_ends_what_is_under_way(web: Web) -> None:
    """Those callers, those who wait for a place and newcomers are told to go elsewhere; no connection is left."""
    held = Held(web)
    fetcher = fetcher_of(allowing(web, max_concurrent=1))
    fetches = [asyncio.create_task(fetcher.fetch(held.url, timeout_s=60)) for _ in range(3)]
    await held.reached.wait()

    await fetcher.close()
    outcomes = await asyncio.gather(*fetches, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Draining] * 3
    assert web.wait_until_left()
    assert web.connections == 1
    await fetcher.close()
    with pytest.raises(Draining):
        await fetcher.fetch(held.url, timeout_s=60)


async def test_closing_waits_for_later_fetches_too(web: Web) -> None:
    """Not only for the first that ever ended."""
    fetcher = fetcher_of(allowing(web))
    await fetcher.fetch(f"{web.base}/cat.png", timeout_s=5)
    held = Held(web)
    fetching = asyncio.create_task(fetcher.fetch(held.url, timeout_s=60))
    await held.reached.wait()

    await fetcher.close()

    assert web.wait_until_left()
    with pytest.raises(Draining):
        await fetching


@pytest.mark.parametrize(
    "url",
    ["http://unknown.example.net/", "http://private.example.net/", "http://x.internal/", "http://10.0.0.1/"],
)
async def test_refused_hosts_all_take_the_same_time(url: str) -> None:
    """Whether a name of the inside exists cannot be told by the clock; malformed URLs tell nothing anyway."""
    resolver = TableResolver({"private.example.net": [["10.0.0.1"]]})
    floor_s = 0.08
    fetcher = Fetcher(
        FetchSettings(), max_bytes=1, resolver=resolver, tls=NO_AUTHORITIES, refusal_floor_s=floor_s
    )
    started_s = asyncio.get_running_loop().time()

    await refusal(fetcher, url)

    assert floor_s * 0.99 <= asyncio.get_running_loop().time() - started_s < 5


async def test_what_is_logged_names_the_host_and_nothing_more(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """Paths and queries hold names and signatures of callers."""
    caplog.set_level(logging.DEBUG, "alphacut_server")

    await refusal(fetcher_of(allowing(web)), f"{web.base}/private-name.png?signature=s3cret")
    await refusal(fetcher_of(allowing(web)), f"http://someone:s3cret@127.0.0.1:{web.port}/private-name.png")

    known, malformed = caplog.records
    assert (known.getMessage(), vars(known)["host"], vars(known)["cause"]) == (
        "fetch_refused",
        "127.0.0.1",
        "status",
    )
    assert (vars(malformed)["host"], vars(malformed)["cause"]) == ("", "url_malformed")
    for record in caplog.records:
        assert record.levelno == logging.DEBUG
        assert "s3cret" not in str(vars(record))
        assert "private-name" not in str(vars(record))


async def test_proxies_of_the_environment_are_not_used(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor anything else that other clients take from there."""
    with Web() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.base)
        with watch_sockets() as log:
            await fetcher_of(allowing(web)).fetch(f"{web.base}/cat.png", timeout_s=5)

    assert log.connects == [("127.0.0.1", web.port)]
    assert log.lookups == []
