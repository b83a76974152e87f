"""What transport is given and what it reports to, as fakes: a pipeline that answers as told, an observer that remembers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from alphacut_server.deadline import Deadline
from alphacut_server.errors import AlphacutError
from alphacut_server.imaging.box import PixelBox
from alphacut_server.imaging.encode import OutputFormat
from alphacut_server.pipeline.sources import Files
from alphacut_server.pipeline.types import CutoutRequest, CutoutResult, OutputImage, Url


def result_of(request: CutoutRequest, box: PixelBox | None = None) -> CutoutResult:
    """Return an answer of 20 x 10 px whose bytes are the request's own, or its URL."""
    content = request.source.address.encode() if isinstance(request.source, Url) else request.source
    return CutoutResult(
        image=OutputImage(content, OutputFormat.PNG, height_px=10, width_px=20),
        mode=request.mode,
        height_px=10,
        width_px=20,
        box=box,
        md5="0" * 32,
        name=request.name,
        model=request.model or "fake",
        batch_size=1,
        timings=(),
    )


@dataclass(slots=True)
class FakePipeline:
    """Keeps what it was asked; `behave` answers or raises, at once."""

    behave: Callable[[CutoutRequest], CutoutResult] = result_of
    asked: list[tuple[CutoutRequest, Deadline]] = field(default_factory=list)
    fetched: list[CutoutRequest] = field(default_factory=list)

    async def fetch(self, request: CutoutRequest, deadline: Deadline) -> Files:
        """Remember; the bytes are of no interest here."""
        self.fetched.append(request)
        return Files(b"", request.name)

    async def cut(
        self, request: CutoutRequest, deadline: Deadline, files: Files | None = None
    ) -> CutoutResult:
        """Answer as told."""
        self.asked.append((request, deadline))
        return self.behave(request)


@dataclass(slots=True)
class FakeObserver:
    """Remembers every call and every failed item; `ended` is set with the first end."""

    started: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(method, mode, code, reason)"""
    items: list[tuple[str, str]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def call_started(self, method: str) -> None:
        """Remember."""
        self.started.append(method)

    def call_ended(self, method: str, mode: str, code: str, reason: str, seconds: float) -> None:
        """Remember."""
        assert seconds >= 0
        self.calls.append((method, mode, code, reason))
        self.ended.set()

    def item_failed(self, code: str, reason: str) -> None:
        """Remember."""
        self.items.append((code, reason))


def raising(error: AlphacutError | Exception) -> Callable[[CutoutRequest], Any]:
    """Return a behaviour that raises."""

    def behave(request: CutoutRequest) -> CutoutResult:
        raise error

    return behave
