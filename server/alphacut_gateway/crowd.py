"""The refusal of requests on connections beyond the limit; probes are answered, for a crowd is no reason to be restarted."""

from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from alphacut_gateway.http_protocol import CROWDED
from alphacut_gateway.status import BUSY, retry_after


class RefuseCrowd:
    """Answer 503, and have the connection closed, where the connection says that it is one too many."""

    def __init__(self, app: ASGIApp, *, is_probe: Callable[[str], bool]) -> None:
        self._app = app
        self._is_probe = is_probe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        is_crowded = scope["type"] == "http" and scope.get("state", {}).get(CROWDED, False)
        if is_crowded and not self._is_probe(scope["path"]):
            headers = {"Retry-After": retry_after(None), "Connection": "close"}
            await JSONResponse({"message": BUSY}, 503, headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)
