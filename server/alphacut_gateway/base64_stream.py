"""A picture in base64, written piece by piece, so that a large one neither holds the event loop nor is in memory twice."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

import pybase64
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

# A multiple of 3, so that no padding falls between pieces. Encoding one takes 10 µs, where binascii takes 0.25 ms, and what
# comes of it, with what stands around the picture, is sent in one go (`delivery.PIECE_BYTES`).
PIECE_BYTES = 3 * 63 * 1024


class PiecewiseResponse(Response):
    """A 200 whose body comes in pieces; `length` is that of all of them, bytes."""

    def __init__(
        self, pieces: Iterable[bytes], *, length: int, media_type: str, headers: Mapping[str, str]
    ) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        self._pieces = pieces
        self.init_headers({**headers, "Content-Length": str(length)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; whoever else has something to do on the loop gets a turn after each piece."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            # Sending alone gives nobody a turn while the socket takes all.
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})


def base64_pieces(prefix: bytes, content: bytes, suffix: bytes) -> Iterator[bytes]:
    """Give `prefix`, the content in standard base64 without line breaks, `suffix`."""
    whole = memoryview(content)
    last = max(0, len(whole) - 1) // PIECE_BYTES
    for i in range(last + 1):
        piece = _encode(whole[i * PIECE_BYTES : (i + 1) * PIECE_BYTES])
        yield b"".join((prefix if i == 0 else b"", piece, suffix if i == last else b""))


def encoded_length(length: int) -> int:
    """Return how long so many bytes are in base64, padding included."""
    return (length + 2) // 3 * 4


def _encode(piece: memoryview) -> bytes:
    return pybase64.b64encode(piece)
