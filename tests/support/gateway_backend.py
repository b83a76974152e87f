"""A gRPC server as the gateway sees it, without one."""

import asyncio
from collections.abc import Sequence

from alphacut.cutout import ModeInfo
from alphacut.errors import Unavailable
from alphacut.session import Metadata


class FakeBackend:
    """Answers as told, keeps what calls carried, and can hold calls back.

    failure: raised by every call but is_serving, which never raises. hold: makes calls wait until `release` is set.
    """

    def __init__(self, *, serves: bool = True, failure: Exception | None = None, hold: bool = False) -> None:
        self.serves = serves
        self.failure = failure
        self.carried: list[Metadata] = []
        self.asked_timeout_s: list[float] = []
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        if not hold:
            self.release.set()

    async def version(self, *, metadata: Metadata = ()) -> str:
        """Return v1.2.3."""
        await self._answer(metadata)
        return "v1.2.3"

    async def modes(self, *, metadata: Metadata = ()) -> Sequence[ModeInfo]:
        """Return the three modes, unsorted."""
        await self._answer(metadata)
        return [ModeInfo(name, "") for name in ("fg-mask", "fg-image", "fg-image-shadow")]

    async def is_serving(self, *, timeout_s: float) -> bool:
        """Return what was told."""
        self.asked_timeout_s.append(timeout_s)
        return self.serves

    async def _answer(self, metadata: Metadata) -> None:
        self.carried.append(metadata)
        self.entered.set()
        await self.release.wait()
        if self.failure is not None:
            raise self.failure


def unreachable() -> Unavailable:
    """Return what the client raises for a server that is not there, address and all."""
    return Unavailable("The server cannot be reached: failed to connect to ipv4:10.0.0.7:50051")
