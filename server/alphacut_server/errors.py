"""Everything that can go wrong with a call, as one tree; no status codes here (each transport maps them in one table).

AlphacutError
├── InvalidInput            the caller's picture or options; a retry never helps
│   ├── SourceMissing       no picture in the request
│   ├── CorruptImage        no whole JPEG or PNG (unsupported types included)
│   ├── ImageTooLarge       too many bytes
│   ├── ResolutionTooBig    too many pixels in one direction
│   ├── UrlNotFetched       the picture's URL gave no picture; the cause is not told
│   ├── BackgroundNotLoadable  the background is no picture of an allowed size, or its URL gave none
│   ├── InvalidOption       a field outside its range; `field` names it
│   └── NotImplementedYet   a field this server does not serve; `field` names it
├── Unauthenticated         keys are configured, and the call brought none or a wrong one
├── UnknownModel            no such model served
│   └── NotInCatalogue      (catalogue) no entry of that name
├── Overloaded              try again; `retry_after_s` says when
│   ├── QueueFull           count, bytes or predicted wait beyond the limit
│   ├── Draining            shutting down, another replica answers
│   └── ModelNotReady       still loading
├── DeadlineExceeded        the call's own deadline
├── Cancelled               the caller went away; nobody reads the answer
└── InternalFault           ours
    ├── EngineFailed        the device call raised
    ├── ModelCorrupt        a stored file is not what its checksum says
    └── CatalogueInvalid, NotPulled, PullFailed, StoreUnusable (catalogue), GraphUnsupported (engine): at start only
"""

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar

MD5_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"


class Reason(Enum):
    """Stable reasons a caller can switch on; equal to the proto's ErrorReason (a test keeps them so)."""

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


class AlphacutError(Exception):
    """Base of all. `message` is a sentence for the caller, `metadata` what ErrorInfo carries (no paths, no addresses)."""

    reason: ClassVar[Reason] = Reason.INTERNAL

    def __init__(self, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})

    def with_metadata(self, **entries: str) -> "AlphacutError":
        """Add what an outer stage knows (md5, name) without hiding what an inner one said; returns self."""
        self.metadata = {**entries, **self.metadata}
        return self


class InvalidInput(AlphacutError):
    """The caller's picture or options are at fault."""

    reason = Reason.INVALID_OPTION


class SourceMissing(InvalidInput):
    """The request holds no picture."""

    reason = Reason.SOURCE_MISSING


class CorruptImage(InvalidInput):
    """The bytes are no whole JPEG or PNG."""

    reason = Reason.IMAGE_NOT_LOADABLE


class ImageTooLarge(InvalidInput):
    """The file has `size` bytes, `limit` is the first size refused."""

    reason = Reason.IMAGE_TOO_LARGE

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        mib = 1 << 20
        super().__init__(
            f"The file has {size_bytes / mib:.1f} MiB; it must have less than {limit_bytes / mib:g} MiB.",
            {"size": str(size_bytes), "limit": str(limit_bytes)},
        )


class ResolutionTooBig(InvalidInput):
    """The header says `width` x `height` px, more than `limit_px` in one direction."""

    reason = Reason.RESOLUTION_TOO_BIG

    def __init__(self, width_px: int, height_px: int, limit_px: int) -> None:
        super().__init__(
            f"Resolution is too big: {width_px}x{height_px}. Max allowed resolution: {limit_px}x{limit_px}.",
            {"width": str(width_px), "height": str(height_px), "limit": str(limit_px)},
        )


class UrlNotFetched(InvalidInput):
    """The picture's URL gave no picture. One sentence for every cause, so that it tells nothing of the network behind.

    `received_md5` is the MD5 of what had arrived by then, hexadecimal.
    """

    reason = Reason.URL_NOT_FETCHED

    def __init__(self, received_md5: str = MD5_OF_NOTHING) -> None:
        super().__init__("The picture could not be fetched from its URL.", {"md5": received_md5})


class BackgroundNotLoadable(InvalidInput):
    """The background picture cannot be fetched, decoded or is too large; the message says which, but nothing of networks."""

    reason = Reason.BACKGROUND_NOT_LOADABLE


class InvalidOption(InvalidInput):
    """A field has a value outside its range."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, {"field": field})
        self.field = field


class NotImplementedYet(InvalidInput):
    """A field is set that this server does not serve: said, never silently ignored."""

    reason = Reason.NOT_IMPLEMENTED

    def __init__(self, field: str) -> None:
        super().__init__(f"This server does not serve `{field}` yet; leave it unset.", {"field": field})
        self.field = field


class Unauthenticated(AlphacutError):
    """The call brought no API key, or one that is not configured; which of the two is not told."""

    reason = Reason.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("A valid API key is needed; send it as x-api-key.")


class UnknownModel(AlphacutError):
    """No model of that name is served."""

    reason = Reason.UNKNOWN_MODEL

    def __init__(self, model: str, served: tuple[str, ...]) -> None:
        super().__init__(
            f"No model {model[:64]!r} is served here; ListModels names them.", {"model": model[:64]}
        )
        self.served = served


class Overloaded(AlphacutError):
    """No room now; `retry_after_s` is when a retry is likely to find some."""

    reason = Reason.OVERLOADED

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueFull(Overloaded):
    """Count, bytes or predicted wait of the queue are beyond the limit."""


class Draining(Overloaded):
    """The server finishes what it has and takes no more."""

    reason = Reason.DRAINING

    def __init__(self) -> None:
        super().__init__("The server is shutting down; try again, another replica will answer.", 1.0)


class ModelNotReady(Overloaded):
    """The model is still being loaded."""

    reason = Reason.MODEL_NOT_READY


class DeadlineExceeded(AlphacutError):
    """The call's deadline passed, or cannot be met any more."""

    reason = Reason.DEADLINE


class Cancelled(AlphacutError):
    """The caller went away; whoever sees this drops the work."""

    def __init__(self) -> None:
        super().__init__("The caller went away.")


class InternalFault(AlphacutError):
    """A fault of ours."""


class EngineFailed(InternalFault):
    """The device call raised."""

    reason = Reason.ENGINE_FAILED


class ModelCorrupt(InternalFault):
    """A stored model is not what its checksum says."""

    reason = Reason.MODEL_CORRUPT
