"""The REST gateway as its callers meet it: two real processes, raw HTTP, forms byte by byte, and a site to fetch pictures from.

Requests are written by the standard library or by hand, never by the client under test, so that headers and bodies are what the
test says they are.
"""

import base64
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from support.server import EMULATED, HANG_S, ProcessLog, ServerProcess, own_environ, running_server
from support.web import Caller, Web, answer

BOUNDARY = "4d1bff21c6c84a0f"
RESULTS = "/v1/results"

_SPACE_OR_STRING = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as UTF-8."""
        return self.body.decode()

    @property
    def compact(self) -> str:
        """Return JSON text without the white space between its tokens; numbers and strings stay as they were sent."""
        return compact_json(self.text)

    @property
    def result(self) -> "Result":
        """Return the one result of a 200; fails for anything else."""
        assert self.status == 200, f"{self.status}: {self.body[:500]!r}"
        assert self.headers["content-type"] == "application/json"
        return read_result(self.body)


@dataclass(frozen=True, slots=True)
class Result:
    """`results[0]` of an answer. None where the key is absent; `image` is decoded, empty when there is none."""

    keys: tuple[str, ...]
    code: str
    message: str
    name: str
    md5: str
    width: int | None
    height: int | None
    entity_name: str
    image: bytes
    boxes: tuple[tuple[float, ...], ...]


def read_result(body: bytes) -> Result:
    """Take an answer apart; a missing key that every answer has raises KeyError."""
    answer = json.loads(body)
    assert list(answer) == ["results"]
    (result,) = answer["results"]
    entities = result["entities"]
    is_ok = result["status"]["code"] == "ok"
    return Result(
        keys=tuple(result),
        code=result["status"]["code"],
        message=result["status"]["message"],
        name=result["name"],
        md5=result["md5"],
        width=result.get("width"),
        height=result.get("height"),
        entity_name=entities[0]["name"] if is_ok else "",
        image=base64.b64decode(entities[0]["image"], validate=True) if is_ok else b"",
        boxes=tuple(tuple(found["box"]) for found in entities[1]["objects"]) if is_ok else (),
    )


def compact_json(text: str) -> str:
    """Drop white space outside strings, and change nothing else."""
    return _SPACE_OR_STRING.sub(lambda match: match[1] or "", text)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body; a file when it has a filename."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None

    def encode(self) -> bytes:
        """Return head and content, without boundary."""
        head = f'Content-Disposition: form-data; name="{self.name}"'
        if self.filename is not None:
            head += f'; filename="{self.filename}"'
        if self.content_type is not None:
            head += f"\r\nContent-Type: {self.content_type}"
        return head.encode() + b"\r\n\r\n" + self.content


def image_part(content: bytes, filename: str = "img.jpg", content_type: str | None = "image/jpeg") -> Part:
    """Make the part that most requests have."""
    return Part("image", content, filename, content_type)


def text_part(name: str, text: str) -> Part:
    """Make a text field."""
    return Part(name, text.encode())


def multipart(*parts: Part, end: str = "\r\n") -> bytes:
    """Make a body of parts; `end` follows the closing boundary."""
    mark = f"--{BOUNDARY}".encode()
    return b"".join(mark + b"\r\n" + part.encode() + b"\r\n" for part in parts) + mark + b"--" + end.encode()


MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def request(
    address: str, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Reply:
    """Send one request on a connection of its own. A body is declared by its length."""
    connection = http.client.HTTPConnection(address, timeout=HANG_S)
    try:
        connection.request(method, path, body or None, dict(headers or {}))
        return read_reply(connection.getresponse())
    finally:
        connection.close()


def read_reply(response: http.client.HTTPResponse) -> Reply:
    """Read a response to its end."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read())


def raw_exchange(address: str, *pieces: bytes) -> Reply:
    """Write pieces to a socket as they are, all of them, and only then read the answer."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), HANG_S) as wire:
        for piece in pieces:
            wire.sendall(piece)
        response = http.client.HTTPResponse(wire)
        response.begin()
        return read_reply(response)


class GatewayProcess:
    """`python -m alphacut_gateway` with its log and its port."""

    def __init__(self, target: str, settings: Mapping[str, str]) -> None:
        own = {
            "ALPHACUT_GATEWAY_TARGET": target,
            "ALPHACUT_HTTP_PORT": "0",
            "ALPHACUT_GATEWAY_METRICS_PORT": "0",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "alphacut_gateway"],
            env=own_environ(own | dict(settings)),
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log = ProcessLog(self._process.stderr)

    @property
    def address(self) -> str:
        """Return HOST:PORT once the port is open."""
        return f"127.0.0.1:{self.log.await_event('gateway_started')['http_port']}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """Send SIGTERM, unless it has ended, and return the exit code."""
        if self._process.poll() is None:
            self.send(signal.SIGTERM)
        code = self._process.wait(HANG_S)
        self.log.join()
        return code

    def kill(self) -> None:
        """End it whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(HANG_S)
        self.log.join()


@contextmanager
def running_gateway(target: str, settings: Mapping[str, str] | None = None) -> Iterator[GatewayProcess]:
    """Run a gateway in front of a server; at the end it must stop with exit code 0."""
    gateway = GatewayProcess(target, settings or {})
    try:
        assert gateway.address
        yield gateway
        code = gateway.stop()
        assert code == 0, f"exit code {code}; the log was:\n{gateway.log.text}"
    finally:
        gateway.kill()


@dataclass(frozen=True, slots=True)
class RestService:
    """A gateway and the server behind it, and how to ask them."""

    server: ServerProcess
    gateway: GatewayProcess
    address: str

    @property
    def url(self) -> str:
        """Return the base URL, without a slash at its end."""
        return f"http://{self.address}"

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """GET a path."""
        return request(self.address, "GET", path, headers=headers)

    def post(self, *parts: Part, path: str = RESULTS, headers: Mapping[str, str] | None = None) -> Reply:
        """POST a multipart form."""
        return request(self.address, "POST", path, multipart(*parts), MULTIPART | dict(headers or {}))

    def post_urlencoded(self, path: str = RESULTS, **fields: str) -> Reply:
        """POST an urlencoded form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return request(self.address, "POST", path, urlencode(fields).encode(), kind)


@contextmanager
def running_rest(
    server_settings: Mapping[str, str] = EMULATED, gateway_settings: Mapping[str, str] | None = None
) -> Iterator[RestService]:
    """Run a server and a gateway in front of it; both serve when the block begins."""
    with (
        running_server(server_settings) as server,
        running_gateway(server.target, gateway_settings) as gateway,
    ):
        yield RestService(server, gateway, gateway.address)


async def _dawdle(caller: Caller) -> None:
    """Never answer."""
    await caller.until_gone()


async def _babble(caller: Caller) -> None:
    """Send more than any picture may have, without saying so beforehand."""
    await caller.send(answer(declare=None))
    for _ in range(40):
        await caller.send(bytes(1 << 20))


@dataclass(frozen=True, slots=True)
class PictureSite:
    """A web site on the loopback that a server may fetch from, and the ways in which one can fail.

    `cut-short` promises more than it sends; `silent` never answers; `endless` sends more than any picture may have; `loop`
    redirects to itself; whatever nobody put there is 404.
    """

    web: Web
    cut_short: bytes = b"\xff\xd8\xff the beginning of something"

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a server that may fetch from here, and gives up after a second."""
        return {
            "ALPHACUT_FETCH_ALLOW": "127.0.0.1/32",
            "ALPHACUT_FETCH_PORTS": str(self.web.port),
            "ALPHACUT_FETCH_TIMEOUT_MS": "1000",
        }

    def url(self, path: str) -> str:
        """Return the URL of a path without its first slash."""
        return f"{self.web.base}/{path}"

    def hold(self, path: str, content: bytes) -> str:
        """Put a file on the site and return its URL. Its type is told as object stores often do: not at all."""
        return self.web.serve(f"/{path}", content, ["Content-Type: application/octet-stream"])

    def was_asked_for(self, path: str) -> bool:
        """Tell whether anybody asked for a path."""
        return f"/{path}" in self.web.paths


@contextmanager
def running_site() -> Iterator[PictureSite]:
    """Run a site until the block ends."""
    with Web() as web:
        site = PictureSite(web)
        web.say("/cut-short", answer(site.cut_short, declare=len(site.cut_short) + 1))
        web.behave("/silent", _dawdle)
        web.behave("/endless", _babble)
        web.redirect("/loop", "/loop")
        yield site
