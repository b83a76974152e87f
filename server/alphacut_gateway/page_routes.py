"""The demo page: files of this package, read once, a closed set; knows nothing of pictures or the server behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".txt": "text/plain; charset=utf-8",
}
# Nothing but what this origin serves; blob: and data: are pictures that the page made itself. Trusted types shut the
# ways from a text to markup or script, none of which the page uses.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # After an update the page and its modules must be of one version; the files are small.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is served."""

    content: bytes
    media_type: str

    def response(self) -> Response:
        """Answer with the file."""
        return Response(self.content, media_type=self.media_type, headers=HEADERS)


def page_routes(prefixes: Sequence[str]) -> Sequence[BaseRoute]:
    """Return the routes of the page under each prefix: `/` and `/page/…`. Reads the files, 300 kB, into memory.

    prefixes: `""` or paths that begin with a slash and end without one.
    """
    files = dict(read_files(resources.files("alphacut_gateway") / "page"))
    index = files.pop(INDEX)

    async def home(_request: Request) -> Response:
        return index.response()

    async def page_file(request: Request) -> Response:
        found = files.get(request.path_params["file"])
        if found is None:
            raise HTTPException(404)
        return found.response()

    return [
        route
        for prefix in prefixes
        for route in (
            Route(f"{prefix}/", home, methods=["GET"], name="home"),
            Route(f"{prefix}/page/{{file:path}}", page_file, methods=["GET"], name="page_file"),
        )
    ]


def read_files(folder: Traversable, prefix: str = "") -> Mapping[str, PageFile]:
    """Return path within the folder → file, subfolders included; kinds of file without a media type are left out."""
    files: dict[str, PageFile] = {}
    for entry in folder.iterdir():
        path = prefix + entry.name
        if entry.is_dir():
            files |= read_files(entry, f"{path}/")
        elif (media_type := MEDIA_TYPES.get(entry.name[entry.name.rfind(".") :])) is not None:
            files[path] = PageFile(entry.read_bytes(), media_type)
    return files
