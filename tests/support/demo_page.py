"""The demo page before a service that answers as told, and a browser that notes everything which should not happen."""

import base64
import hashlib
import io
import re
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP

import uvicorn
from anyio import to_thread
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from alphacut_gateway.page_routes import page_routes

CHROMIUM = shutil.which("chromium")
HANG_S = 30.0
"""How long anything may take before it counts as a hang; never reached when all is well."""
MODES = ("fg-image", "fg-image-shadow", "fg-mask")
SERVER_TIMING = "decode;dur=4.2, queue;dur=0.6, inference;dur=183.9, matte;dur=21.5, encode;dur=38.4"
# Chromium writes this line for each answer that is an HTTP error; it is no fault of the page.
_HTTP_ERROR = re.compile(r"Failed to load resource: (the server responded with a status of \d|net::ERR_)")


@dataclass(frozen=True, slots=True)
class Post:
    """One POST v1/results as it arrived: path, query, headers (lower case), form; files by field as name and bytes."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    texts: Mapping[str, str]
    files: Mapping[str, tuple[str, bytes]]


@dataclass
class FakeRest:
    """Serves the page and the documented paths.

    Each POST takes the first of `scripted`; without one it is answered with an ellipse cut out of the picture, which counts
    as its subject unless `finds_subject` is false. key: what X-API-KEY must be, when given. free: cleared, it holds every
    POST back until it is set.
    """

    modes: tuple[str, ...] = MODES
    key: str = ""
    finds_subject: bool = True
    scripted: list[Response] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.free.set()

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route(f"{prefix}/v1/{path}", handler, methods=[method])
            for prefix in ("", "/img-bg-removal")
            for path, handler, method in (
                ("version", self._version, "GET"),
                ("modes", self._modes, "GET"),
                ("results", self._results, "POST"),
            )
        ]
        return Starlette(routes=[*page_routes(("", "/img-bg-removal")), *routes])

    def _refusal(self, request: HttpRequest) -> Response | None:
        if self.key and request.headers.get("x-api-key") != self.key:
            return JSONResponse({"message": "A valid API key is needed: send it as X-API-KEY."}, 401)
        return None

    async def _version(self, request: HttpRequest) -> Response:
        return self._refusal(request) or PlainTextResponse("v1.2.3")

    async def _modes(self, request: HttpRequest) -> Response:
        return self._refusal(request) or JSONResponse(sorted(self.modes))

    async def _results(self, request: HttpRequest) -> Response:
        post = read_post(request, await request.body())
        self.posts.append(post)
        await to_thread.run_sync(self.free.wait, HANG_S, abandon_on_cancel=True)
        if self.scripted:
            return self.scripted.pop(0)
        return self._refusal(request) or cut(post, finds_subject=self.finds_subject)


def read_post(request: HttpRequest, body: bytes) -> Post:
    """Take a multipart request apart."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    texts: dict[str, str] = {}
    files: dict[str, tuple[str, bytes]] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        filename = part.get_filename()
        if filename is None:
            texts[name] = content.decode()
        else:
            files[name] = (filename, content)
    return Post(request.url.path, dict(request.query_params), dict(request.headers), texts, files)


def cut(post: Post, *, finds_subject: bool) -> Response:
    """Answer as documented; what the service cannot load is told by the bytes, as there."""
    name, content = post.files.get("image", ("", b""))
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    try:
        # An address is not fetched here: some picture stands for it.
        is_file = "image" in post.files
        picture = (
            Image.open(io.BytesIO(content)).convert("RGBA")
            if is_file
            else Image.new("RGBA", (90, 60), "teal")
        )
    except OSError:
        return failed("Can not load image.", name, md5)
    mask = Image.new("L", picture.size)
    width, height = picture.size
    ImageDraw.Draw(mask).ellipse((width * 0.2, height * 0.1, width * 0.8, height * 0.9), fill=255)
    picture.putalpha(mask)
    if "bg-color" in post.query:
        below = Image.new("RGBA", picture.size, post.query["bg-color"])
        picture = Image.alpha_composite(below, picture)
    mode = post.query.get("mode", "fg-image")
    encoded = io.BytesIO()
    wanted = post.query.get("format", "png").upper()
    shown = mask if mode == "fg-mask" else picture
    if post.query.get("crop") == "true":
        shown = shown.crop(mask.getbbox())
    (shown.convert("RGB") if wanted == "JPEG" else shown).save(encoded, wanted)
    image = {
        "kind": "image",
        "name": f"general-{mode}",
        "image": base64.b64encode(encoded.getvalue()).decode(),
        "format": wanted,
        "representation": "base64",
    }
    classes = {"kind": "classes", "name": "classes", "classes": {"opaque-content": 1.0}}
    found = {"box": [0.2, 0.1, 0.6, 0.8], "entities": [classes]}
    result = {
        "status": {"code": "ok", "message": "Success"},
        "name": name,
        "md5": md5,
        "width": width,
        "height": height,
        "entities": [
            image,
            {"kind": "objects", "name": "objects", "objects": [found] if finds_subject else []},
        ],
    }
    return JSONResponse({"results": [result]}, headers={"Server-Timing": SERVER_TIMING})


def failed(message: str, name: str = "photo.jpg", md5: str = "0" * 32) -> Response:
    """Answer a picture that could not be cut."""
    status = {"code": "failure", "message": message}
    return JSONResponse({"results": [{"status": status, "name": name, "md5": md5, "entities": []}]})


def refused(status: int, message: str = "", retry_after_s: int | None = None) -> Response:
    """Answer an HTTP error, as JSON with a message; 413 is a page."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    if status == 413:
        return HTMLResponse("<h1>Error: Request Entity Too Large</h1>", status, headers)
    return JSONResponse({"message": message}, status, headers)


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve an application from a thread of its own; gives the base URL without a slash at its end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(HANG_S)


@contextmanager
def browsing(playwright: Playwright) -> Iterator[Browser]:
    """Run the system's Chromium until the block ends; its own sandbox does not work for root or in containers."""
    assert CHROMIUM is not None
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    try:
        yield browser
    finally:
        browser.close()


class Witness:
    """Notes what a page does that it never should: errors, requests to other origins, violations of its policy."""

    def __init__(self, page: Page, origin: str) -> None:
        self._origin = origin
        self.complaints: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        # A breach of the policy is reported as an error, too.
        if message.type in {"error", "warning"} and not _HTTP_ERROR.match(message.text):
            self.complaints.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._origin}/", "blob:", "data:")):
            self.complaints.append(f"request elsewhere: {request.url}")
