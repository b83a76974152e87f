"""From an error to an HTTP answer: the tables of this transport, looked up along the error's MRO.

A picture that fails is no failed call to callers of the REST API: they get 200 and a result that says so (`FAILURES`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from alphacut import errors
from alphacut.errors import AlphacutError

# What Retry-After says when the server said nothing; seconds.
DEFAULT_RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of error is answered.

    message: the sentence for the caller; None passes the server's own on. Errors that arise on this side of the wire
    have a sentence here, for their own may name addresses.
    """

    status: int
    message: str | None = None
    may_retry: bool = False


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP status, the sentence of its JSON body, extra headers."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


BUSY = "The service has no room for this request now; try again."
UNREACHABLE = "The service is starting, restarting or unreachable; try again."
TOO_LATE = "The service did not answer in time; try again later or with a smaller picture."
FAULT = "The service failed; quote request id {request_id} when you report it."

RULES: Mapping[type[AlphacutError], Rule] = {
    errors.AlphacutError: Rule(500, FAULT),
    errors.InvalidImage: Rule(422),
    errors.MessageTooLarge: Rule(413, "The request is larger than the service takes."),
    errors.InvalidOption: Rule(422),
    errors.NotServed: Rule(501),
    errors.Unauthenticated: Rule(401, "A valid API key is needed: send it as X-API-KEY."),
    errors.PermissionDenied: Rule(403, "The API key does not allow this."),
    errors.Overloaded: Rule(503, BUSY, may_retry=True),
    errors.Unavailable: Rule(503, UNREACHABLE, may_retry=True),
    errors.DeadlineExceeded: Rule(504, TOO_LATE),
    # The caller is still there, or nobody would read this; so it is our own client that was closed.
    errors.Cancelled: Rule(503, UNREACHABLE, may_retry=True),
}

# What callers of the API know a failed picture by, word for word; the server's metadata fills in the figures.
FAILURES: Mapping[type[AlphacutError], str] = {
    errors.AlphacutError: "Processing failed",
    errors.InvalidImage: "Can not load image.",
    errors.ResolutionTooBig: "Resolution is too big: {width}x{height}. Max allowed resolution: {limit}x{limit}.",
    errors.ImageTooLarge: "File size is too big: {size_mib:.1f}Mb. Max allowed size: {limit_mib:g}Mb.",
    errors.UrlNotFetched: "Can not load image from url.",
    errors.BackgroundNotLoadable: "Can not load background image.",
}
MIB = 1 << 20


def failure_of(error: AlphacutError) -> str | None:
    """Return the sentence of a picture's failure; None when the call failed, which `answer_to` knows."""
    kind = next(kind for kind in type(error).__mro__ if kind in FAILURES or kind in RULES)
    if kind not in FAILURES:
        return None
    figures: dict[str, object] = dict(error.metadata)
    try:
        for size in figures.keys() & {"size", "limit"}:
            figures[f"{size}_mib"] = int(error.metadata[size]) / MIB
        return FAILURES[kind].format(**figures)
    except (KeyError, ValueError):
        # Another version of the server, which tells no figures, or others.
        return FAILURES[errors.InvalidImage]


def answer_to(error: AlphacutError, request_id: str) -> HttpAnswer:
    """Return the HTTP answer to an error; `request_id` is the gateway's, told when the fault is ours."""
    rule = next(RULES[kind] for kind in type(error).__mro__ if kind in RULES)
    message = error.message if rule.message is None else rule.message.format(request_id=request_id)
    headers = {"Retry-After": retry_after(error.retry_after_s)} if rule.may_retry else {}
    return HttpAnswer(rule.status, message, headers)


def retry_after(delay_s: float | None) -> str:
    """Return the header's whole seconds, at least 1: rounding 0.2 s down would invite a storm."""
    return str(max(1, math.ceil(DEFAULT_RETRY_AFTER_S if delay_s is None else delay_s)))
