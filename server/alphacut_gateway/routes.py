"""The paths of the REST API and what each answers; holds no image logic."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from alphacut.errors import AlphacutError
from alphacut.session import Metadata
from alphacut.status import REQUEST_ID_KEY
from alphacut_gateway.backend import Backend, NotReady
from alphacut_gateway.status import answer_to
from alphacut_gateway.traffic import Phase, Traffic
from alphacut_service.logs import request_id

# Legacy callers have every path under this prefix as well.
PREFIXES = ("", "/img-bg-removal")
LIVE, READY = "/livez", "/readyz"
PROBES = frozenset(prefix + path for prefix in PREFIXES for path in (LIVE, READY))

HOME = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>alphacut</title><meta name="viewport" content="width=device-width"></head>
<body>
<h1>alphacut</h1>
<p>Removes the background of photos. This is the HTTP side; the full service speaks gRPC.</p>
<ul>
<li><a href="v1/version">v1/version</a>: the version of the service</li>
<li><a href="v1/modes">v1/modes</a>: what a cut-out can show</li>
<li><a href="readyz">readyz</a>: whether a cut-out would work now</li>
<li><a href="livez">livez</a>: whether this process answers</li>
</ul>
</body>
</html>
"""


class Handlers:
    """One method a route; all state comes in through the constructor."""

    def __init__(self, backend: Backend, traffic: Traffic, ready_timeout_s: float) -> None:
        self._backend = backend
        self._traffic = traffic
        self._ready_timeout_s = ready_timeout_s

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes, each under every prefix."""
        table = {
            "/": self.home,
            LIVE: self.livez,
            READY: self.readyz,
            "/v1/version": self.version,
            "/v1/modes": self.modes,
        }
        return [
            Route(prefix + path, handler, methods=["GET"], name=handler.__name__)
            for prefix in PREFIXES
            for path, handler in table.items()
        ]

    async def home(self, _request: Request) -> Response:
        """Say what this is, for people."""
        return HTMLResponse(HOME)

    async def livez(self, _request: Request) -> Response:
        """Say that the process answers; what it needs is readyz's matter."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """Say whether a cut-out would work now."""
        reason = await self._why_not_ready()
        headers = {"Cache-Control": "no-store"}
        if reason is None:
            return JSONResponse({"status": "ready"}, headers=headers)
        return JSONResponse({"status": "not ready", "reason": reason.value}, 503, headers)

    async def version(self, _request: Request) -> Response:
        """Tell the service's version, vX.Y.Z without a newline."""
        return PlainTextResponse(await self._backend.version(metadata=metadata()))

    async def modes(self, _request: Request) -> Response:
        """List the modes' names, sorted."""
        modes = await self._backend.modes(metadata=metadata())
        return JSONResponse(sorted(mode.name for mode in modes))

    async def _why_not_ready(self) -> NotReady | None:
        """Ask the server's health now, each time anew: a remembered yes could be stale."""
        if self._traffic.phase is not Phase.SERVING:
            return NotReady.DRAINING
        if await self._backend.is_serving(timeout_s=self._ready_timeout_s):
            return None
        return NotReady.SERVER_NOT_SERVING


def is_probe(path: str) -> bool:
    """Tell whether a path is asked by an orchestrator, not by a caller."""
    return path in PROBES


def metadata() -> Metadata:
    """Return what every call to the server carries: the request's id, so that both logs name it alike."""
    return ((REQUEST_ID_KEY, request_id.get()),)


async def answer_failure(_request: Request, error: Exception) -> Response:
    """Answer an error of the client by the table."""
    assert isinstance(error, AlphacutError)
    answer = answer_to(error, request_id.get())
    return JSONResponse({"message": answer.message}, answer.status, dict(answer.headers))


async def answer_no_route(_request: Request, error: Exception) -> Response:
    """Answer an unknown path or a wrong method as JSON."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
