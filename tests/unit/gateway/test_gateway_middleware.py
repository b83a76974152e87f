"""What happens around every request."""

import json
import logging

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

from alphacut.errors import MessageTooLarge, Overloaded
from alphacut_gateway.http_protocol import CROWDED
from alphacut_gateway.metrics import Metrics
from alphacut_gateway.middleware import LastCatch, ObserveRequests
from alphacut_gateway.traffic import Traffic
from alphacut_service.logs import request_id
from support.gateway_backend import FakeBackend, gateway_app


def client_of(backend: FakeBackend, registry: CollectorRegistry | None = None) -> httpx.AsyncClient:
    """Return an HTTP client of a gateway before the backend."""
    app = gateway_app(backend, registry=registry)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway")


async def test_dangerous_request_id_is_replaced() -> None:
    """What a caller sends cannot forge a log line; the answer has the id that counts."""
    async with client_of(FakeBackend()) as client:
        response = await client.get("/livez", headers={"X-Request-Id": "a b=c"})

    assert response.headers["x-request-id"] not in {"", "a b=c"}
    assert request_id.get() == ""


async def test_unexpected_error_is_500_with_the_request_id_only(caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets something to quote, the log the cause, once; browsers may read it."""
    backend = FakeBackend(failure=RuntimeError("secret path /srv/x"))
    async with client_of(backend) as client:
        response = await client.get("/v1/version", headers={"X-Request-Id": "id1", "Origin": "http://shop"})

    assert response.status_code == 500
    assert response.json() == {"message": "The service failed; quote request id id1 when you report it."}
    assert response.headers["access-control-allow-origin"] == "*"
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "request_failed"
    ]


async def test_error_after_the_head_breaks_the_connection() -> None:
    """Once the status is out only a broken connection tells the caller that the body is not whole."""

    async def half_an_answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("broken")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    with pytest.raises(RuntimeError, match="broken"):
        await LastCatch(half_an_answer)({"type": "http", "path": "/"}, receive, send)

    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_other_protocols_pass_untouched() -> None:
    """Only HTTP requests are counted."""
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        return {}

    async def drop(_message: Message) -> None:
        return None

    registry = CollectorRegistry()
    await ObserveRequests(app, traffic=Traffic(), metrics=Metrics(registry))(
        {"type": "lifespan"}, nothing, drop
    )

    assert seen == ["lifespan"]
    assert registry.get_sample_value("alphacut_gateway_inflight_requests") == 0


async def test_requests_are_counted_by_route_method_and_code() -> None:
    """Labels come from closed sets, whatever callers invent."""
    registry = CollectorRegistry()
    async with client_of(FakeBackend(), registry) as client:
        await client.get("/v1/version")
        await client.get("/img-bg-removal/v1/version")
        await client.get("/no/such/path")
        await client.request("BREW", "/v1/version")

    def count(route: str, method: str, code: str) -> float | None:
        labels = {"route": route, "method": method, "code": code}
        return registry.get_sample_value("alphacut_gateway_requests_total", labels)

    assert count("version", "GET", "200") == 2
    assert count("none", "GET", "404") == 1
    assert count("version", "other", "405") == 1
    assert (
        registry.get_sample_value("alphacut_gateway_request_duration_seconds_count", {"route": "version"})
        == 3
    )
    assert registry.get_sample_value("alphacut_gateway_inflight_requests") == 0


async def test_debug_line_tells_route_and_code(caplog: pytest.LogCaptureFixture) -> None:
    """One line a request, at debug, without anything the caller wrote."""
    caplog.set_level(logging.DEBUG, logger="alphacut_gateway")
    async with client_of(FakeBackend()) as client:
        await client.get("/livez?secret=1")

    (record,) = [record for record in caplog.records if record.message == "request_answered"]
    fields = {name: getattr(record, name) for name in ("route", "code")}
    assert fields == {"route": "livez", "code": 200}
    assert "secret" not in json.dumps(vars(record), default=str)


@pytest.mark.parametrize(
    "header", ["X-API-KEY", "X-RapidAPI-Key", "X-RapidAPI-Host", "A4A-CLIENT-APP-ID", "Content-Type"]
)
async def test_browsers_may_send_the_known_headers_from_anywhere(header: str) -> None:
    """The preflight of each header that callers are known to send is answered with yes."""
    async with client_of(FakeBackend()) as client:
        response = await client.options(
            "/v1/modes",
            headers={
                "Origin": "https://shop.example",
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": header,
            },
        )

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert header.lower() in response.headers["access-control-allow-headers"].lower()


async def test_browsers_may_read_the_request_id() -> None:
    """Scripts see only the headers that are exposed to them."""
    async with client_of(FakeBackend()) as client:
        response = await client.get("/v1/modes", headers={"Origin": "https://shop.example"})

    assert "X-Request-Id" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("method", "path", "failure", "status"),
    [
        ("GET", "/v1/modes", None, 200),
        ("GET", "/no/such/path", None, 404),
        ("PUT", "/v1/results", None, 405),
        ("POST", "/v1/results", None, 422),
        ("GET", "/v1/modes", Overloaded("full"), 503),
        ("GET", "/v1/modes", MessageTooLarge("too large"), 413),
        ("GET", "/v1/modes", RuntimeError("bug"), 500),
    ],
)
async def test_every_answer_can_be_read_by_a_page_and_taken_for_nothing_else(
    method: str, path: str, failure: Exception | None, status: int
) -> None:
    """Or a page would see a network error where it should see what to do; nothing is guessed, nothing is stored."""
    async with client_of(FakeBackend(failure=failure)) as client:
        response = await client.request(method, path, headers={"Origin": "https://shop.example"})

    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["timing-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/", "/v1/results", "/img-bg-removal/v1/general/results", "/no/such/path"])
async def test_preflight_is_answered_for_any_path(path: str) -> None:
    """A browser asks before it knows whether there is anything."""
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-rapidapi-key, x-request-id",
    }
    async with client_of(FakeBackend()) as client:
        response = await client.options(path, headers=asked)

    assert response.status_code == 200
    assert "POST" in response.headers["access-control-allow-methods"]
    assert response.headers["x-request-id"]


async def test_connection_beyond_the_limit_is_refused_but_for_probes() -> None:
    """As 503 with when to return; a probe that fails would have the process restarted for being busy."""
    app = gateway_app(FakeBackend())

    async def crowded(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {CROWDED: True}}, receive, send)

    transport = httpx.ASGITransport(app=crowded)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        refused, probe = await client.get("/v1/version"), await client.get("/livez")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.headers["connection"] == "close"
    assert probe.status_code == 200
