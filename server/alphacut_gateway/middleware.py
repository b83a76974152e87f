"""What happens around every request: its id, its count, its log line, the refusal while draining, and the last catch."""

import logging
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alphacut_gateway.metrics import Metrics
from alphacut_gateway.status import FAULT, UNREACHABLE, retry_after
from alphacut_gateway.traffic import Phase, Traffic
from alphacut_service.logs import adopt_request_id, request_id

log = logging.getLogger(__name__)

REQUEST_ID_HEADER = "X-Request-Id"
EVERY_ANSWER = {
    # A picture's bytes are never taken for a page or a script.
    "X-Content-Type-Options": "nosniff",
    # Results are made of a caller's own picture, and the rest is as of now.
    "Cache-Control": "no-store",
    # Scripts of any origin may see the stages of Server-Timing.
    "Timing-Allow-Origin": "*",
}
NOTHING_ALLOWED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# What the client's connection gets when nothing was ever answered.
NO_ANSWER = 500


class ObserveRequests:
    """Give each request its id, in and out, and count and time it."""

    def __init__(self, app: ASGIApp, *, traffic: Traffic, metrics: Metrics) -> None:
        self._app = app
        self._traffic = traffic
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own_id = adopt_request_id(Headers(scope=scope).get(REQUEST_ID_HEADER))
        token = request_id.set(own_id)
        code = NO_ANSWER

        async def send_with_id(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = own_id
            await send(message)

        self._traffic.enter()
        self._metrics.began()
        began_s = time.monotonic()
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            duration_s = time.monotonic() - began_s
            route = route_name(scope)
            self._traffic.leave()
            self._metrics.ended(route=route, method=scope["method"], code=code, duration_s=duration_s)
            log.debug(
                "request_answered", extra={"route": route, "code": code, "duration_s": round(duration_s, 6)}
            )
            request_id.reset(token)


class StampHeaders:
    """Add what every answer carries unless it says otherwise itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def stamp(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in EVERY_ANSWER.items():
                    headers.setdefault(name, value)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.setdefault("Content-Security-Policy", NOTHING_ALLOWED)
                    headers.setdefault("Referrer-Policy", "no-referrer")
            await send(message)

        await self._app(scope, receive, stamp)


class RefuseWhileDraining:
    """Answer 503 to what comes after the drain began; probes are answered to the end."""

    def __init__(self, app: ASGIApp, *, traffic: Traffic, is_probe: Callable[[str], bool]) -> None:
        self._app = app
        self._traffic = traffic
        self._is_probe = is_probe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        refuses = scope["type"] == "http" and self._traffic.phase is Phase.DRAINING
        if refuses and not self._is_probe(scope["path"]):
            headers = {"Retry-After": retry_after(None), "Connection": "close"}
            await JSONResponse({"message": UNREACHABLE}, 503, headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class LastCatch:
    """Answer 500 with the request id, and nothing else, to what nobody expected."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        has_begun = False

        async def watch(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            log.exception("request_failed", extra={"route": route_name(scope)})
            if has_begun:
                # The status is out already: only breaking the connection tells the caller.
                raise
            message = FAULT.format(request_id=request_id.get())
            await JSONResponse({"message": message}, 500)(scope, receive, send)


def route_name(scope: Scope) -> str:
    """Return the name of the route that matched, `none` when none did: a closed set, for labels."""
    name = getattr(scope.get("route"), "name", None)
    return name if isinstance(name, str) else "none"
