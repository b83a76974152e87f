"""What each path answers."""

from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from alphacut.errors import Overloaded
from alphacut_gateway.traffic import Phase, Traffic
from support.gateway_backend import FakeBackend, calling, gateway_app, unreachable

PREFIXES = ("", "/img-bg-removal")


def gateway(
    backend: FakeBackend, traffic: Traffic | None = None
) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """Give an HTTP client of a gateway before the backend."""
    return calling(gateway_app(backend, traffic=traffic))


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_version_is_plain_text_without_newline(prefix: str) -> None:
    """vX.Y.Z and nothing else, under both prefixes."""
    async with gateway(FakeBackend()) as client:
        response = await client.get(f"{prefix}/v1/version")

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.content == b"v1.2.3"


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_modes_are_a_sorted_array(prefix: str) -> None:
    """The names of the REST API, whatever order the server has."""
    async with gateway(FakeBackend()) as client:
        response = await client.get(f"{prefix}/v1/modes")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == ["fg-image", "fg-image-shadow", "fg-mask"]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_live_gateway_says_so_without_a_server(prefix: str) -> None:
    """Restarting the gateway cannot help a server that is down."""
    async with gateway(FakeBackend(serves=False, failure=unreachable())) as client:
        response = await client.get(f"{prefix}/livez")

    assert response.status_code == 200


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_ready_means_that_the_server_serves(prefix: str) -> None:
    """The yes is the server's own, asked for now, within the time set."""
    backend = FakeBackend()
    async with gateway(backend) as client:
        response = await client.get(f"{prefix}/readyz")

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert backend.asked_timeout_s == [0.5]


async def test_yes_is_not_remembered() -> None:
    """A server that stops serving makes the very next answer a no."""
    backend = FakeBackend()
    async with gateway(backend) as client:
        before = await client.get("/readyz")
        backend.serves = False
        after = await client.get("/readyz")

    assert before.status_code == 200
    assert after.status_code == 503
    assert after.json() == {
        "status": "not ready",
        "reason": "the server is starting, shutting down or unreachable",
    }


@pytest.mark.parametrize("phase", [Phase.LEAVING, Phase.DRAINING])
async def test_leaving_gateway_is_alive_but_not_ready(phase: Phase) -> None:
    """Balancers take it out while orchestrators leave it running."""
    traffic = Traffic()
    traffic.phase = phase
    async with gateway(FakeBackend(), traffic) as client:
        ready, live = await client.get("/readyz"), await client.get("/livez")

    assert ready.status_code == 503
    assert ready.json()["reason"] == "this gateway is shutting down"
    assert live.status_code == 200


async def test_leaving_gateway_still_serves() -> None:
    """Balancers need a moment to notice; what they send until then is answered."""
    traffic = Traffic()
    traffic.phase = Phase.LEAVING
    async with gateway(FakeBackend(), traffic) as client:
        response = await client.get("/v1/version")

    assert response.status_code == 200


async def test_draining_gateway_takes_no_more() -> None:
    """New requests get 503, when to return, and a connection that closes."""
    traffic = Traffic()
    traffic.phase = Phase.DRAINING
    backend = FakeBackend()
    async with gateway(backend, traffic) as client:
        response = await client.get("/v1/version")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.headers["connection"] == "close"
    assert "message" in response.json()
    assert backend.carried == []


async def test_unreachable_server_is_503_without_its_address() -> None:
    """The caller learns when to try again, and nothing of the network behind."""
    async with gateway(FakeBackend(failure=unreachable())) as client:
        response = await client.get("/v1/modes")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json() == {"message": "The service is starting, restarting or unreachable; try again."}


async def test_servers_advice_is_passed_on_in_whole_seconds() -> None:
    """RetryInfo becomes Retry-After, rounded up."""
    async with gateway(FakeBackend(failure=Overloaded("full", retry_after_s=2.1))) as client:
        response = await client.get("/v1/modes")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "3"


async def test_unknown_path_is_404_json() -> None:
    """Also under the prefix."""
    async with gateway(FakeBackend()) as client:
        responses = [await client.get(f"{prefix}/v1/nothing") for prefix in PREFIXES]

    assert [response.status_code for response in responses] == [404, 404]
    assert responses[0].json() == {"detail": "Not Found"}


async def test_wrong_method_is_405_json_with_what_is_allowed() -> None:
    """The answer names the right method."""
    async with gateway(FakeBackend()) as client:
        response = await client.post("/v1/modes")

    assert response.status_code == 405
    assert response.json() == {"detail": "Method Not Allowed"}
    assert "GET" in response.headers["allow"]


async def test_request_id_reaches_the_server_and_comes_back() -> None:
    """One id joins the caller's, the gateway's and the server's logs."""
    backend = FakeBackend()
    async with gateway(backend) as client:
        response = await client.get("/v1/version", headers={"X-Request-Id": "order-17"})

    assert response.headers["x-request-id"] == "order-17"
    assert backend.carried == [[("x-request-id", "order-17")]]


@pytest.mark.parametrize("path", ["/", "/v1/version", "/v1/modes", "/livez", "/docs", "/openapi.json"])
async def test_head_is_get_without_the_body(path: str) -> None:
    """Monitors ask that way."""
    async with gateway(FakeBackend()) as client:
        get, head = await client.get(path), await client.head(path)

    assert head.status_code == 200
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_slash_at_the_end_is_another_path() -> None:
    """No redirect: it would be made of the Host header, and a form would be lost on the way."""
    async with gateway(FakeBackend()) as client:
        response = await client.get("/v1/version/")

    assert response.status_code == 404


@pytest.mark.parametrize("path", ["/v1/version?api_key=k1", "/img-bg-removal/v1/modes?api_key=k1"])
async def test_key_goes_with_every_call(path: str) -> None:
    """The server decides what needs one."""
    backend = FakeBackend()
    async with gateway(backend) as client:
        await client.get(path)

    ((_, key),) = backend.carried
    assert key == ("x-api-key", "k1")
