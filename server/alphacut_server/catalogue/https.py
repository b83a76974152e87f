"""Download over https into a part file that a later pull resumes by Range."""

import re
from pathlib import Path

import httpx

from alphacut_server.catalogue.faults import SourceFailed
from alphacut_server.catalogue.sources import BoundedWriter, Delivery
from alphacut_server.catalogue.spec import HttpsSource
from alphacut_server.catalogue.store import BLOCK_BYTES

_ATTEMPTS = 4  # a connection that breaks is taken up again where it broke
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


def download(source: HttpsSource, delivery: Delivery) -> None:
    """Bring the target to the announced size, going on from the bytes it already holds.

    A server that does not know Range is asked for the whole file again. Raises SourceFailed, with what arrived kept in
    the target for the next pull, and OSError when the disk refuses.
    """
    part, total_bytes = delivery.target, delivery.file.size_bytes
    if _size(part) > total_bytes:
        part.unlink()
    failure = SourceFailed("nothing arrived")
    with delivery.tools.client() as client:
        for _ in range(_ATTEMPTS):
            before_bytes = _size(part)
            if before_bytes == total_bytes:
                return
            try:
                _fetch_rest(client, source, delivery)
            except httpx.TransportError as error:
                failure = SourceFailed(f"the connection failed ({type(error).__name__}: {error})")
                failure.__cause__ = error
            else:
                failure = SourceFailed(f"the server sent {_size(part)} of {total_bytes} bytes")
            if _size(part) <= before_bytes:  # no headway: another attempt would end alike
                break
    if _size(part) != total_bytes:
        raise failure


def _fetch_rest(client: httpx.Client, source: HttpsSource, delivery: Delivery) -> None:
    """Ask once for what is missing and append it. Raises SourceFailed, httpx.TransportError, OSError."""
    have_bytes = _size(delivery.target)
    # No compression: Range counts the bytes as they travel.
    headers = {"Accept-Encoding": "identity"}
    if have_bytes:
        headers["Range"] = f"bytes={have_bytes}-"
    try:
        with client.stream("GET", source.url, headers=headers) as response:
            start_bytes = _start_of(response, have_bytes)
            if start_bytes is not None:
                _append(response, start_bytes, delivery)
                return
    except (httpx.TooManyRedirects, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise SourceFailed(f"the address does not lead to a file ({error})") from error
    # The part does not fit what the server has. Without it no Range is sent, so this happens once.
    delivery.target.unlink()
    _fetch_rest(client, source, delivery)


def _append(response: httpx.Response, start_bytes: int, delivery: Delivery) -> None:
    """Write the answer's body from `start_bytes` on. Raises SourceFailed when it is too long; the part is dropped then."""
    try:
        with delivery.store.open_for_writing(delivery.target, "ab" if start_bytes else "wb") as out:
            writer = BoundedWriter(out, delivery, done_bytes=start_bytes)
            for block in response.iter_raw(BLOCK_BYTES):
                writer.write(block)
    except SourceFailed:
        delivery.target.unlink(missing_ok=True)
        raise


def _start_of(response: httpx.Response, have_bytes: int) -> int | None:
    """Return at which byte of the file the answer begins; None when the part cannot be gone on with.

    Raises SourceFailed when the answer is no file at all; what is in the part stays good.
    """
    if response.status_code == httpx.codes.OK:
        return 0
    if have_bytes and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        return None
    if have_bytes and response.status_code == httpx.codes.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return have_bytes if match and int(match.group(1)) == have_bytes else None
    raise SourceFailed(f"the server answered {response.status_code} {response.reason_phrase}".rstrip())


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0
