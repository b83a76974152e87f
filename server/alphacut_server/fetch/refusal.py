"""Why a fetch failed: for our own logs, never for the caller, who is told one sentence for all of it."""

from enum import Enum


class Cause(Enum):
    """A closed set, fit for a log field or a metric's label."""

    DISABLED = "fetching is switched off"
    URL_MALFORMED = "the URL is not http or https, or can be read in two ways"
    PORT = "the port is not among those allowed"
    HOST_DENIED = "the host is denied, or of a kind that is never public"
    ADDRESS_DENIED = "an address of the host is not public, or is denied"
    NOT_RESOLVED = "the name has no address"
    NOT_CONNECTED = "no connection could be made, or TLS failed"
    TIMEOUT = "it took too long"
    REDIRECT = "a redirect leads nowhere, or back to http"
    REDIRECTS = "too many redirects"
    STATUS = "the status was not 200"
    ENCODED = "the answer was compressed although that was not asked for"
    TOO_LARGE = "the answer is too large"
    TOO_WORDY = "headers or chunk framing were out of all proportion"
    BROKEN = "the answer was no HTTP, or ended early"


class Refused(Exception):
    """The fetch ends without a picture."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause
