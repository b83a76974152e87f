"""Fetchers of tests: settings that let one local server pass, name services that hang, what lies behind a refusal."""

import asyncio
import ssl
from collections.abc import Sequence
from ipaddress import ip_address

from alphacut_server.fetch.address import Address
from alphacut_server.fetch.fetcher import Fetcher
from alphacut_server.fetch.refusal import Cause, Refused
from alphacut_server.fetch.resolver import Resolver
from alphacut_server.settings import FetchSettings
from support.web import Web

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody, and spares a test the 40 ms that the known authorities take to load."""


def allowing(
    *webs: Web, timeout_ms: int = 5000, max_redirects: int = 3, max_concurrent: int = 4
) -> FetchSettings:
    """Return settings with which 127.0.0.1 may be fetched from at the servers' ports."""
    return FetchSettings(
        allow=("127.0.0.1",),
        ports=tuple(web.port for web in webs),
        timeout_ms=timeout_ms,
        max_redirects=max_redirects,
        max_concurrent=max_concurrent,
    )


def fetcher_of(
    settings: FetchSettings, *, max_bytes: int = 1 << 20, resolver: Resolver | None = None
) -> Fetcher:
    """Return a fetcher that answers refusals at once and trusts no certificate."""
    return Fetcher(settings, max_bytes=max_bytes, resolver=resolver, tls=NO_AUTHORITIES, refusal_floor_s=0)


def cause_of(error: BaseException) -> Cause:
    """Return what stands behind the one error that callers see."""
    assert isinstance(error.__cause__, Refused)
    return error.__cause__.cause


class HeldResolver:
    """Knows every name as 127.0.0.1, and keeps whoever asks until `release` is set."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.asked = asyncio.Semaphore(0)
        """Released once a question."""

    async def resolve(self, host: str) -> Sequence[Address]:
        """Return the address when told to."""
        self.asked.release()
        await self.release.wait()
        return [ip_address("127.0.0.1")]
