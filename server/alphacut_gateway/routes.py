"""The paths of the REST API and what each answers; holds no image logic."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from alphacut_gateway import docs_page, openapi, paths
from alphacut_gateway.answers import JsonResponse, to_json
from alphacut_gateway.backend import Backend, NotReady
from alphacut_gateway.calls import metadata
from alphacut_gateway.page_routes import page_routes
from alphacut_gateway.results import Results
from alphacut_gateway.traffic import Phase, Traffic


class Handlers:
    """One method a route; all state comes in through the constructor."""

    def __init__(self, backend: Backend, traffic: Traffic, results: Results, ready_timeout_s: float) -> None:
        self._backend = backend
        self._traffic = traffic
        self._results = results
        self._ready_timeout_s = ready_timeout_s
        description = openapi.document()
        self._description = to_json(description)
        self._docs = docs_page.page(description)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes, each under every prefix."""
        table = {
            paths.LIVE: self.livez,
            paths.READY: self.readyz,
            paths.VERSION: self.version,
            paths.MODES: self.modes,
            paths.DESCRIPTION: self.description,
            paths.DOCS: self.docs,
        }
        get = [
            Route(prefix + path, handler, methods=["GET"], name=handler.__name__)
            for prefix in paths.PREFIXES
            for path, handler in table.items()
        ]
        post = [
            Route(prefix + path, self._results, methods=["POST"], name="results")
            for prefix in paths.PREFIXES
            for path in paths.RESULTS
        ]
        return [*post, *get, *page_routes(paths.PREFIXES)]

    async def livez(self, _request: Request) -> Response:
        """Say that the process answers; what it needs is readyz's matter."""
        return JsonResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """Say whether a cut-out would work now."""
        reason = await self._why_not_ready()
        if reason is None:
            return JsonResponse({"status": "ready"})
        return JsonResponse({"status": "not ready", "reason": reason.value}, 503)

    async def version(self, request: Request) -> Response:
        """Tell the service's version, vX.Y.Z without a newline."""
        return PlainTextResponse(await self._backend.version(metadata=metadata(request)))

    async def modes(self, request: Request) -> Response:
        """List the modes' names, sorted."""
        modes = await self._backend.modes(metadata=metadata(request))
        return JsonResponse(sorted(mode.name for mode in modes))

    async def description(self, _request: Request) -> Response:
        """Describe the API for machines."""
        return Response(self._description, media_type=JsonResponse.media_type)

    async def docs(self, _request: Request) -> Response:
        """Describe the API for people."""
        return HTMLResponse(
            self._docs, headers={"Content-Security-Policy": docs_page.CONTENT_SECURITY_POLICY}
        )

    async def _why_not_ready(self) -> NotReady | None:
        """Ask the server's health now, each time anew: a remembered yes could be stale."""
        if self._traffic.phase is not Phase.SERVING:
            return NotReady.DRAINING
        if await self._backend.is_serving(timeout_s=self._ready_timeout_s):
            return None
        return NotReady.SERVER_NOT_SERVING
