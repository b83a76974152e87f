"""What a form is once it is read, and why one could not be read. Knows no HTTP status: `status.py`'s tables do.

BodyRefused               the request's body is not, or not yet, in memory
    BodyTooLarge          over the limit, declared or sent: a repetition never helps
    BodyMalformed         not the form it says it is
    SenderTooSlow         the caller took too long to send it
    NoRoom                too many bytes are in work; retry_after_s tells when to come again
CallerGone                the connection is closed: nobody reads an answer
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of a form that is a file.

    filename: as sent, for callers look for it in the answer; "" where there was none. Of the full path that old browsers
    on Windows send, the last part. content: the bytes received, possibly none.
    """

    filename: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """The fields that were asked for; the first of each name counts.

    files: by field. Absent are parts with neither a name for the file nor bytes, as browsers send them when no file was
    chosen. texts: by field; a text may be empty.
    """

    files: Mapping[str, FilePart]
    texts: Mapping[str, str]


class BodyRefused(Exception):
    """A body could not be read; `message` is a sentence for the caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BodyTooLarge(BodyRefused):
    """The body is larger than the limit, by what was declared or by what came."""


class BodyMalformed(BodyRefused):
    """The body is not what its Content-Type says, or holds more than a form may."""


class SenderTooSlow(BodyRefused):
    """The body did not come in time, or too few bytes a second came."""


class NoRoom(BodyRefused):
    """The bytes in work leave no room for this request, and the wait for it was in vain.

    retry_after_s: when it may be worth another try, s.
    """

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CallerGone(Exception):
    """The caller closed the connection; there is nobody to answer."""
