"""The one place where pictures given as URLs are fetched: redirects, time, and the one error that callers see."""

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Sequence
from io import BytesIO
from ipaddress import IPv6Address

import httpcore

from alphacut_server.errors import Draining, UrlNotFetched
from alphacut_server.fetch.address import Address
from alphacut_server.fetch.connect import CheckedBackend, Traffic
from alphacut_server.fetch.exchange import MAX_HEAD_BYTES, Exchange, Redirect, trusted_authorities
from alphacut_server.fetch.gate import Gate
from alphacut_server.fetch.policy import Policy
from alphacut_server.fetch.refusal import Cause, Refused
from alphacut_server.fetch.resolver import Resolver, SystemResolver
from alphacut_server.fetch.target import Target, follow, parse_url
from alphacut_server.settings import FetchSettings

USER_AGENT = "alphacut"
"""Some content networks refuse callers that do not name themselves; the version is nobody's business."""

WAITING_PER_PLACE = 8
"""With the default of 32 places 256 may wait, as many as there are places in the server's queue."""

LOOKUPS_PER_PLACE = 2
"""A lookup may hang beyond the end of its fetch: so many more may before newcomers are turned away."""

REFUSAL_FLOOR_S = 0.1
"""Earliest answer about a host that is refused. A name server near by answers for names of the inside in a few milliseconds, and
for those that do not exist in a few others; both then look like a host that was refused without a lookup."""

_HIDDEN = frozenset({Cause.HOST_DENIED, Cause.ADDRESS_DENIED, Cause.NOT_RESOLVED})

_HASH_STEP_BYTES = 1 << 20
"""A millisecond and a half of MD5; then the loop's others have their turn."""

logger = logging.getLogger(__name__)


class Fetcher:
    """Fetches pictures from public addresses, and from others that the operator allows. For one event loop.

    max_bytes: the first size that is refused. resolver, tls and refusal_floor_s are what tests replace; left out they are
    the system's name service, the known certificate authorities with settings.ca_file, and REFUSAL_FLOOR_S.
    Takes at most settings.max_concurrent times max_bytes of memory. Raises AuthoritiesUnusable.
    """

    def __init__(
        self,
        settings: FetchSettings,
        *,
        max_bytes: int,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        refusal_floor_s: float = REFUSAL_FLOOR_S,
    ) -> None:
        self._settings = settings
        self._policy = Policy.of(settings)
        self._resolver = resolver or SystemResolver(LOOKUPS_PER_PLACE * settings.max_concurrent)
        self._gate = Gate(settings.max_concurrent, WAITING_PER_PLACE * settings.max_concurrent)
        self._exchange = Exchange(
            tls=tls or trusted_authorities(settings.ca_file),
            proxy=httpcore.Proxy(settings.proxy) if settings.proxy else None,
            user_agent=USER_AGENT,
            max_bytes=max_bytes,
        )
        self._refusal_floor_s = refusal_floor_s
        self._is_closed = False
        self._under_way: set[asyncio.Timeout] = set()
        self._all_ended = asyncio.Event()

    async def fetch(self, url: str, *, timeout_s: float) -> bytes:
        """Return what the URL holds: fewer than max_bytes bytes, whatever they are.

        timeout_s: what the caller has left; settings.timeout_ms holds as well. Raises UrlNotFetched for every cause, with
        the MD5 of what was received; QueueFull when too many are being fetched; Draining once closed. A fetch that is
        cancelled closes its connection before it ends.
        """
        body = BytesIO()
        host = ""
        try:
            target = self._read(url)
            host = target.host
            await self._fetch_in_turn(target, body, timeout_s)
        except Refused as refused:
            # The host is the most that may be written down: paths and queries hold names and signatures of callers.
            logger.debug("fetch_refused", extra={"host": host, "cause": refused.cause.name.lower()})
            raise UrlNotFetched(await _md5_of(body)) from refused
        return body.getvalue()

    async def close(self) -> None:
        """Refuse newcomers, end what is under way (Draining) and wait until its connections are closed; idempotent."""
        self._is_closed = True
        now_s = asyncio.get_running_loop().time()
        for limit in self._under_way:
            if not limit.expired():
                limit.reschedule(now_s)
        if self._under_way:
            self._all_ended.clear()
            await self._all_ended.wait()

    def _read(self, url: str) -> Target:
        if not self._settings.enabled:
            raise Refused(Cause.DISABLED)
        return parse_url(url)

    async def _fetch_in_turn(self, target: Target, body: BytesIO, timeout_s: float) -> None:
        """Wait for a place, then fetch; each may take the settings' time, both together the caller's."""
        loop = asyncio.get_running_loop()
        own_s = self._settings.timeout_ms / 1000
        ends_s = loop.time() + timeout_s
        async with self._gate.place(min(own_s, timeout_s)):
            if self._is_closed:
                raise Draining
            limit = asyncio.timeout_at(min(loop.time() + own_s, ends_s))
            self._under_way.add(limit)
            try:
                async with limit:
                    await self._fetch_redirected(target, body)
            except TimeoutError:
                if self._is_closed:
                    raise Draining from None
                raise Refused(Cause.TIMEOUT) from None
            finally:
                self._under_way.discard(limit)
                if not self._under_way:
                    self._all_ended.set()

    async def _fetch_redirected(self, target: Target, body: BytesIO) -> None:
        for _ in range(self._settings.max_redirects + 1):
            redirect = await self._fetch_once(target, body)
            if redirect is None:
                return
            following = follow(target, redirect.location)
            if target.scheme == "https" and following.scheme == "http":
                # Whoever gave an https link was promised that nobody on the way reads or exchanges the picture.
                raise Refused(Cause.REDIRECT)
            target = following
        raise Refused(Cause.REDIRECTS)

    async def _fetch_once(self, target: Target, body: BytesIO) -> Redirect | None:
        """Ask one server. Each time over a new connection, for one that is kept was checked for another picture's name."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        traffic = Traffic(MAX_HEAD_BYTES)
        try:
            self._policy.check_target(target)
            if self._exchange.proxy is None:
                check = self._policy.check_addresses
            elif isinstance(target.address, IPv6Address):
                raise Refused(Cause.HOST_DENIED)  # httpcore names it to the proxy without brackets
            else:
                check = _is_proxy
            backend = CheckedBackend(self._resolver, check, traffic)
            return await self._exchange.run(target, backend, traffic, body)
        except Refused as refused:
            if refused.cause in _HIDDEN:
                await asyncio.sleep(started_s + self._refusal_floor_s - loop.time())
            raise


def _is_proxy(host: str, addresses: Sequence[Address]) -> None:
    """Let the proxy's own addresses pass: the operator chose it, and it alone is connected to."""


async def _md5_of(body: BytesIO) -> str:
    """Return the MD5, hexadecimal, without holding the loop up for long."""
    digest = hashlib.md5(usedforsecurity=False)
    with body.getbuffer() as view:
        for start in range(0, len(view), _HASH_STEP_BYTES):
            digest.update(view[start : start + _HASH_STEP_BYTES])
            await asyncio.sleep(0)
    return digest.hexdigest()
