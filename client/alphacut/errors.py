"""Everything a call can raise, as one tree; knows nothing of how the wire says it (`status` does).

AlphacutError
├── InvalidImage             the picture is at fault; a retry never helps
│   ├── SourceMissing        no picture was sent
│   ├── ImageNotLoadable     no whole JPEG or PNG
│   ├── ResolutionTooBig     too many pixels in one direction
│   ├── ImageTooLarge        too many bytes
│   │   └── MessageTooLarge  more than gRPC itself lets through, here or there
│   ├── UrlNotFetched        the server could not fetch the picture
│   └── BackgroundNotLoadable
├── InvalidOption            an option is at fault; a retry never helps
│   ├── UnknownModel         no model of that name is served
│   └── NotServed            a field or method this server does not serve
├── Unauthenticated          no key, or a wrong one
├── PermissionDenied         the key does not allow this
├── Overloaded               no room now; `retry_after_s` says when to try again
├── Unavailable              the server cannot be reached
│   ├── Draining             it is shutting down; another replica answers
│   └── ModelNotReady        its model is still being loaded
├── DeadlineExceeded         no answer in time
├── Cancelled                the call was cancelled, or the client closed under it
├── ServerFault              a fault of the server; quote `request_id`
│   ├── EngineFailed
│   └── ModelCorrupt
└── MissingDependency        an optional package is needed on this side (also an ImportError)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc


class Reason(StrEnum):
    """Stable reasons to switch on; equal to the proto's ErrorReason without its prefix (a test keeps them so)."""

    IMAGE_NOT_LOADABLE = "IMAGE_NOT_LOADABLE"
    RESOLUTION_TOO_BIG = "RESOLUTION_TOO_BIG"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    SOURCE_MISSING = "SOURCE_MISSING"
    URL_NOT_FETCHED = "URL_NOT_FETCHED"
    INVALID_OPTION = "INVALID_OPTION"
    NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
    UNKNOWN_MODEL = "UNKNOWN_MODEL"
    OVERLOADED = "OVERLOADED"
    DRAINING = "DRAINING"
    MODEL_NOT_READY = "MODEL_NOT_READY"
    DEADLINE = "DEADLINE"
    ENGINE_FAILED = "ENGINE_FAILED"
    MODEL_CORRUPT = "MODEL_CORRUPT"
    INTERNAL = "INTERNAL"
    BACKGROUND_NOT_LOADABLE = "BACKGROUND_NOT_LOADABLE"
    UNAUTHENTICATED = "UNAUTHENTICATED"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of the request and what is wrong with it."""

    field: str
    description: str


class AlphacutError(Exception):
    """Base of all.

    `reason` is a `Reason`, a newer server's word unknown here, or empty when no server said one; `code` the gRPC
    status; `retry_after_s` what the server advises, s; `attempts` how many times the call was sent.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        code: "grpc.StatusCode | None" = None,
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
        request_id: str = "",
        violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.code = code
        self.metadata: dict[str, str] = dict(metadata or {})
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.violations = violations
        self.attempts = 1


class InvalidImage(AlphacutError):
    """The picture is at fault."""


class SourceMissing(InvalidImage):
    """No picture was sent."""


class ImageNotLoadable(InvalidImage):
    """The bytes are no whole JPEG or PNG."""


class ResolutionTooBig(InvalidImage):
    """The picture is wider or higher than the server allows; `metadata` holds width, height and limit, px."""


class ImageTooLarge(InvalidImage):
    """The file has too many bytes; `metadata` holds size and limit, bytes."""


class MessageTooLarge(ImageTooLarge):
    """The message is larger than gRPC's own limits let through, on this side or the server's."""


class UrlNotFetched(InvalidImage):
    """The server could not fetch the picture from its URL."""


class BackgroundNotLoadable(InvalidImage):
    """The background picture cannot be loaded."""


class InvalidOption(AlphacutError):
    """An option has a value outside its range; `violations` names the field."""


class UnknownModel(InvalidOption):
    """No model of that name is served; `models()` lists them."""


class NotServed(InvalidOption):
    """A field or a method that this server does not serve; `metadata` may name the field."""


class Unauthenticated(AlphacutError):
    """The server wants a key, and got none or a wrong one."""


class PermissionDenied(AlphacutError):
    """The key does not allow this."""


class Overloaded(AlphacutError):
    """The server has no room now."""


class Unavailable(AlphacutError):
    """The server cannot be reached, or takes no calls."""


class Draining(Unavailable):
    """The server finishes what it has and takes no more."""


class ModelNotReady(Unavailable):
    """The model is still being loaded."""


class DeadlineExceeded(AlphacutError):
    """The answer did not come in time."""


class Cancelled(AlphacutError):
    """The call was cancelled, or the client was closed while it ran."""


class ServerFault(AlphacutError):
    """A fault of the server."""


class EngineFailed(ServerFault):
    """The engine failed on this batch."""


class ModelCorrupt(ServerFault):
    """A stored model is not what its checksum says."""


class MissingDependency(AlphacutError, ImportError):
    """An optional package is not installed here; the message says which to install."""
