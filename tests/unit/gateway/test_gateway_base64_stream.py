"""Base64 in pieces."""

import base64

import pytest
from starlette.types import Message

from alphacut_gateway import delivery
from alphacut_gateway.base64_stream import PIECE_BYTES, PiecewiseResponse, base64_pieces, encoded_length

# What stands before a picture whose name is long.
PREFIX = b"{" * 1000


@pytest.mark.parametrize(
    "length",
    [0, 1, 2, 3, 4, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 3 * PIECE_BYTES + 2],
)
def test_pieces_are_the_whole_in_base64(length: int) -> None:
    """No padding within, and as long as was said beforehand."""
    content = bytes(range(256)) * (length // 256) + bytes(range(length % 256))

    encoded = b"".join(base64_pieces(b"<", content, b">"))

    assert encoded == b"<" + base64.b64encode(content) + b">"
    assert len(encoded) == 2 + encoded_length(length)


def test_no_piece_is_large() -> None:
    """What is encoded at once bounds how long the event loop is held, and what is in memory twice."""
    longest = max(len(piece) for piece in base64_pieces(PREFIX, bytes(20_000_000), b"}"))

    assert longest <= delivery.PIECE_BYTES


async def test_answer_tells_its_length_and_ends() -> None:
    """The head first, then the pieces as they are made."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    response = PiecewiseResponse(
        iter([b"ab", b"c"]), length=3, media_type="application/json", headers={"X": "1"}
    )
    await response({"type": "http"}, receive, send)

    start, *bodies = sent
    assert start["status"] == 200
    assert dict(start["headers"]) == {
        b"x": b"1",
        b"content-length": b"3",
        b"content-type": b"application/json",
    }
    assert b"".join(body["body"] for body in bodies) == b"abc"
    assert [body.get("more_body", False) for body in bodies] == [True, True, False]
