"""Take a request's form in: room first, then the bytes as they come, within limits of size and time.

    async with open_form(request.headers, receive, limits, files=..., texts=..., room=room) as taken:
        ...taken.form...; call the server; send the answer

The block is the life of the request in memory: leave it when the answer is sent, not before. Callers that close the
connection meanwhile end it with CallerGone.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import Receive

from alphacut_gateway.form_readers import FieldLimits, Wanted, reader_of
from alphacut_gateway.forms import BodyMalformed, BodyTooLarge, CallerGone, Form, SenderTooSlow
from alphacut_gateway.room import Hold, Room

# The REST contract's: a request of more than 32 MiB is answered 413.
MAX_BODY_BYTES = 33_554_432

# How often a body is in memory at the worst moment: what was read, the message made of it, its serialized form, and gRPC's
# own copy of that until it is on the wire. Measured with bench/uploads.py: 57 to 60 MB resident for each upload of 15 MB.
COPIES = 4

# What a request costs besides its picture: buffers of its connection and its call. Bounds how many small ones are in work.
FLOOR_BYTES = 1 << 20

# A Content-Length of more digits is too large without being read as a number.
MAX_LENGTH_DIGITS = 12

TOO_LARGE = "The request is larger than 32 MiB."
TOO_SLOW = "The request's body did not arrive in time; send it faster, or send a smaller picture."


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be and how slowly it may come.

    upload_timeout_s: for the whole body. min_bytes_per_s: the average that a sender must keep once grace_s have passed.
    """

    upload_timeout_s: float
    min_bytes_per_s: float
    grace_s: float
    max_body_bytes: int = MAX_BODY_BYTES
    fields: FieldLimits = field(default_factory=FieldLimits)

    def patience_s(self, received_bytes: int) -> float:
        """Return by when, s after the start, the next bytes must have come if `received_bytes` are here."""
        return min(self.upload_timeout_s, max(self.grace_s, received_bytes / self.min_bytes_per_s))


@dataclass(frozen=True, slots=True)
class TakenForm:
    """A form that was read, and the room it holds; resize that when an answer takes more than the request did."""

    form: Form
    hold: Hold


@asynccontextmanager
async def open_form(
    headers: Headers,
    receive: Receive,
    limits: BodyLimits,
    *,
    files: frozenset[str],
    texts: frozenset[str],
    room: Room,
) -> AsyncIterator[TakenForm]:
    """Wait for room, read the form, and hold its bytes for the block.

    Raises BodyTooLarge, BodyMalformed, SenderTooSlow, NoRoom and CallerGone; a body that is refused by its declared length,
    or for want of room, has not been read, and a caller who waits for `100 Continue` was not told to send it.
    """
    async with room.hold(room_needed(headers, limits)) as hold:
        form = await read_form(headers, receive, limits, files=files, texts=texts)
        kept_bytes = sum(len(part.content) for part in form.files.values())
        hold.resize(FLOOR_BYTES + COPIES * kept_bytes)
        yield TakenForm(form, hold)


async def read_form(
    headers: Headers,
    receive: Receive,
    limits: BodyLimits,
    *,
    files: frozenset[str],
    texts: frozenset[str],
) -> Form:
    """Read a form from the body: the file and text fields named, of multipart/form-data or x-www-form-urlencoded.

    A body of any other type is read, and is an empty form. Raises as open_form does, NoRoom excepted.
    """
    declared_bytes(headers, limits)  # a refusal that needs no reading comes first
    reader = reader_of(headers.get("content-type", ""), Wanted(files, texts), limits.fields)
    began_s = asyncio.get_running_loop().time()
    received_bytes = 0
    try:
        async with asyncio.timeout_at(began_s + limits.patience_s(0)) as patience:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise CallerGone
                chunk = message.get("body", b"")
                received_bytes += len(chunk)
                if received_bytes > limits.max_body_bytes:
                    raise BodyTooLarge(TOO_LARGE)
                if chunk:
                    reader.feed(chunk)
                if not message.get("more_body", False):
                    return reader.finish()
                patience.reschedule(began_s + limits.patience_s(received_bytes))
    except TimeoutError as error:
        raise SenderTooSlow(TOO_SLOW) from error


def room_needed(headers: Headers, limits: BodyLimits) -> int:
    """Return the bytes to set aside for a request, copies included. Raises BodyTooLarge and BodyMalformed.

    A body of undeclared length may be as long as any; half of it set aside would let two such wait for each other's half.
    """
    declared = declared_bytes(headers, limits)
    return FLOOR_BYTES + COPIES * (limits.max_body_bytes if declared is None else declared)


def declared_bytes(headers: Headers, limits: BodyLimits) -> int | None:
    """Return the body's length as the request's head tells it, None for a chunked one. Raises BodyTooLarge, BodyMalformed."""
    if "transfer-encoding" in headers:
        return None
    text = headers.get("content-length", "0")
    if not text.isascii() or not text.isdigit():
        raise BodyMalformed("The Content-Length header is not a number.")
    if len(text) > MAX_LENGTH_DIGITS or int(text) > limits.max_body_bytes:
        raise BodyTooLarge(TOO_LARGE)
    return int(text)
