"""The one place of wiring: routes, middleware and error table around a backend, as an ASGI application."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from alphacut_gateway.answers import BINARY_HEADERS, TIMING_HEADER
from alphacut_gateway.backend import Backend
from alphacut_gateway.crowd import RefuseCrowd
from alphacut_gateway.failures import EXCEPTION_HANDLERS
from alphacut_gateway.intake import BodyLimits
from alphacut_gateway.metrics import Metrics
from alphacut_gateway.middleware import (
    REQUEST_ID_HEADER,
    LastCatch,
    ObserveRequests,
    RefuseWhileDraining,
    StampHeaders,
)
from alphacut_gateway.paths import is_probe
from alphacut_gateway.results import Results
from alphacut_gateway.room import Room
from alphacut_gateway.routes import Handlers
from alphacut_gateway.traffic import Traffic

# Browsers call from any origin; these are the headers that callers of the API are known to send.
CORS_HEADERS = ("X-API-KEY", "X-RapidAPI-Key", "X-RapidAPI-Host", "A4A-CLIENT-APP-ID", "Content-Type")
# What scripts may read of an answer besides its body.
EXPOSED_HEADERS = (
    REQUEST_ID_HEADER,
    "Retry-After",
    TIMING_HEADER,
    "Content-Disposition",
    *BINARY_HEADERS,
)


def create_app(
    *,
    backend: Backend,
    traffic: Traffic,
    metrics: Metrics,
    room: Room,
    body_limits: BodyLimits,
    ready_timeout_s: float,
) -> Starlette:
    """Return the application. ready_timeout_s: how long /readyz waits for the server's word."""
    results = Results(backend, room, body_limits)
    app = Starlette(
        routes=Handlers(backend, traffic, results, ready_timeout_s).routes(),
        middleware=[
            # Outermost first: whatever the inner ones answer has an id, is counted, and can be read by a browser.
            Middleware(ObserveRequests, traffic=traffic, metrics=metrics),
            Middleware(StampHeaders),
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "POST", "OPTIONS"],
                allow_headers=[*CORS_HEADERS, REQUEST_ID_HEADER],
                expose_headers=EXPOSED_HEADERS,
            ),
            Middleware(RefuseWhileDraining, traffic=traffic, is_probe=is_probe),
            Middleware(RefuseCrowd, is_probe=is_probe),
            Middleware(LastCatch),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    # Its redirects are made from the Host header, and a POST loses its body on the way.
    app.router.redirect_slashes = False
    return app
