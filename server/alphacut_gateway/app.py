"""The one place of wiring: routes, middleware and error table around a backend, as an ASGI application."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from alphacut.errors import AlphacutError
from alphacut_gateway.backend import Backend
from alphacut_gateway.metrics import Metrics
from alphacut_gateway.middleware import REQUEST_ID_HEADER, LastCatch, ObserveRequests, RefuseWhileDraining
from alphacut_gateway.routes import Handlers, answer_failure, answer_no_route, is_probe
from alphacut_gateway.traffic import Traffic

# Browsers call from any origin; these are the headers that callers of the API are known to send.
CORS_HEADERS = ("X-API-KEY", "X-RapidAPI-Key", "X-RapidAPI-Host", "A4A-CLIENT-APP-ID", "Content-Type")


def create_app(*, backend: Backend, traffic: Traffic, metrics: Metrics, ready_timeout_s: float) -> Starlette:
    """Return the application. ready_timeout_s: how long /readyz waits for the server's word."""
    return Starlette(
        routes=Handlers(backend, traffic, ready_timeout_s).routes(),
        middleware=[
            # Outermost first: whatever the inner ones answer has an id, is counted, and can be read by a browser.
            Middleware(ObserveRequests, traffic=traffic, metrics=metrics),
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "POST", "OPTIONS"],
                allow_headers=[*CORS_HEADERS, REQUEST_ID_HEADER],
                expose_headers=[REQUEST_ID_HEADER, "Retry-After"],
            ),
            Middleware(RefuseWhileDraining, traffic=traffic, is_probe=is_probe),
            Middleware(LastCatch),
        ],
        exception_handlers={AlphacutError: answer_failure, HTTPException: answer_no_route},
    )
