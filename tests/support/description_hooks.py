"""What schemathesis must know of this API beside its description; loaded by its command line (SCHEMATHESIS_HOOKS)."""

from typing import Any

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response

# The one model of a server with the emulated accelerator, and the one profile that it is.
SERVED = {"model": "emulated", "quality": "fast"}

Case = schemathesis.Case[Any]


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Case, _kwargs: dict[str, Any]) -> None:
    """Name what the server under test has, where the description, which knows no server, allows more."""
    if ParameterLocation.QUERY not in wrong_parts(case):
        case.query |= {name: value for name, value in SERVED.items() if name in case.query}


@schemathesis.hook
def filter_failure(
    _context: schemathesis.HookContext, failure: Failure, case: Case, _response: Response
) -> bool:
    """Keep a failure, unless it is that a form's field of the wrong type was taken.

    A form has no types: what is generated as a number or as null travels as text, and any text may be sent as a URL.
    """
    return not isinstance(failure, AcceptedNegativeData) or wrong_parts(case) != {ParameterLocation.BODY}


def wrong_parts(case: Case) -> set[ParameterLocation]:
    """Return which parts of a request are wrong by intention."""
    if case.meta is None:
        return set()
    return {location for location, part in case.meta.components.items() if part.mode.is_negative}
