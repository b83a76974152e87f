"""A fetcher that answers from memory."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from alphacut_server.errors import AlphacutError, UrlNotFetched

Page: TypeAlias = bytes | AlphacutError | asyncio.Event
"""What a URL gives: bytes, an error, or a wait for an event after which it cannot be fetched."""


@dataclass(slots=True)
class FakeFetcher:
    """Knows some pages, and remembers what it was asked; a URL it does not know cannot be fetched."""

    pages: Mapping[str, Page] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    timeouts_s: list[float] = field(default_factory=list)
    asked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Released once a question."""

    async def fetch(self, url: str, *, timeout_s: float) -> bytes:
        """Answer as told."""
        self.begun.append(url)
        self.timeouts_s.append(timeout_s)
        self.asked.release()
        page = self.pages.get(url, UrlNotFetched())
        try:
            if isinstance(page, asyncio.Event):
                await page.wait()
                raise UrlNotFetched
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.append(url)
            raise
        if isinstance(page, AlphacutError):
            raise page
        return page
