"""Whether the caller is still there while the server works for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from alphacut_gateway.forms import CallerGone

Result = TypeVar("Result")


async def run_unless_disconnected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """Return what `work` gives; cancel it and raise CallerGone when the caller closes the connection first.

    The request's body must have been read: what is received here is dropped. `work` has ended when this returns or raises.
    """
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_until_disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        watching.result()
        raise CallerGone
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.wait({working, watching})


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
