"""A service that cannot answer now: 503 with Retry-After, 504, and never a broken connection."""

import http.client
import json
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.images import KnownPicture
from support.rest import (
    MULTIPART,
    RESULTS,
    Reply,
    RestService,
    image_part,
    multipart,
    raw_exchange,
    read_reply,
    request,
    running_gateway,
    running_rest,
)
from support.server import EMULATED, HANG_S, free_port, starting_server

pytestmark = pytest.mark.slow


def assert_try_again(reply: Reply) -> None:
    """Check a 503."""
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) >= 1
    assert list(json.loads(reply.body)) == ["message"]


def test_an_unreachable_server_is_503(picture: KnownPicture) -> None:
    """Nobody listens behind the gateway: every call of the API says when to try again, and no address."""
    target = f"127.0.0.1:{free_port()}"
    with running_gateway(target, {"ALPHACUT_GATEWAY_CALL_TIMEOUT_MS": "2000"}) as gateway:
        body = multipart(image_part(picture.content))
        replies = [
            request(gateway.address, "POST", RESULTS, body, MULTIPART),
            request(gateway.address, "GET", "/v1/version"),
            request(gateway.address, "GET", "/v1/modes"),
        ]

    for reply in replies:
        assert_try_again(reply)
        assert target not in reply.text


def test_an_overloaded_server_is_503(picture: KnownPicture) -> None:
    """A device that serves three pictures a second, and twelve that want to be served within one: most hear it is busy."""
    slow = {"ALPHACUT_EMULATED_BASE_MS": "300", "ALPHACUT_BATCHING_MAX_BATCH_SIZE": "1"}
    body = multipart(image_part(picture.content))
    with (
        running_rest(EMULATED | slow, {"ALPHACUT_GATEWAY_CALL_TIMEOUT_MS": "1000"}) as service,
        ThreadPoolExecutor(12) as pool,
    ):
        calls = [pool.submit(request, service.address, "POST", RESULTS, body, MULTIPART) for _ in range(12)]
        replies = [call.result(HANG_S) for call in calls]

    busy = [reply for reply in replies if reply.status == 503]
    assert {reply.status for reply in replies} <= {200, 503, 504}
    assert busy
    for reply in busy:
        assert_try_again(reply)


def test_a_passed_deadline_is_504(picture: KnownPicture) -> None:
    """A server that hangs is waited for as long as the gateway's deadline says."""
    with (
        starting_server(EMULATED) as server,
        running_gateway(server.target, {"ALPHACUT_GATEWAY_CALL_TIMEOUT_MS": "500"}) as gateway,
    ):
        server.await_serving()
        body = multipart(image_part(picture.content))
        assert request(gateway.address, "POST", RESULTS, body, MULTIPART).status == 200
        server.send(signal.SIGSTOP)

        reply = request(gateway.address, "POST", RESULTS, body, MULTIPART)
        server.send(signal.SIGCONT)

    assert reply.status == 504
    assert list(json.loads(reply.body)) == ["message"]


def test_a_draining_gateway_finishes_and_refuses(picture: KnownPicture) -> None:
    """After SIGTERM a request in work is answered; one that comes later on an open connection gets 503."""
    body = multipart(image_part(picture.content))
    with (
        running_rest(
            EMULATED | {"ALPHACUT_EMULATED_BASE_MS": "250", "ALPHACUT_BATCHING_MAX_BATCH_SIZE": "1"}
        ) as service,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = http.client.HTTPConnection(service.address, timeout=HANG_S)
        waiting.request("GET", "/livez")
        assert read_reply(waiting.getresponse()).status == 200
        in_work = pool.submit(request, service.address, "POST", RESULTS, body, MULTIPART)
        service.server.await_metrics(
            lambda now: now.get("alphacut_calls_open{method=RemoveBackground}", 0) > 0
        )
        service.gateway.send(signal.SIGTERM)
        service.gateway.log.await_event("drain_started")

        waiting.request("POST", RESULTS, body, MULTIPART)
        late = read_reply(waiting.getresponse())
        waiting.close()

        assert in_work.result(HANG_S).result.code == "ok"
        assert_try_again(late)


def test_readiness_tells_whether_a_cut_out_would_work(rest: RestService) -> None:
    """With a server that serves, yes; alone, the gateway lives and is not ready."""
    with running_gateway(f"127.0.0.1:{free_port()}") as gateway:
        lonely = [request(gateway.address, "GET", path).status for path in ("/livez", "/readyz")]

    assert lonely == [200, 503]
    assert [rest.get(path).status for path in ("/livez", "/readyz")] == [200, 200]


def test_a_body_that_stops_coming_is_408() -> None:
    """Half a body and then silence: the gateway waits as long as it is told to, and says so."""
    body = multipart(image_part(bytes(2000)))
    head = f"POST {RESULTS} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {MULTIPART['Content-Type']}\r\n\r\n"
    settings = {"ALPHACUT_GATEWAY_UPLOAD_TIMEOUT_MS": "1000"}
    with running_gateway(f"127.0.0.1:{free_port()}", settings) as gateway:
        reply = raw_exchange(gateway.address, head.encode(), body[:1000])

    assert reply.status == 408
    assert list(json.loads(reply.body)) == ["message"]
