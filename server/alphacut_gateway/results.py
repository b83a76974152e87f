"""POST a picture, get it cut: from the form to the server and back. Holds no image logic."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from alphacut.errors import (
    AlphacutError,
    BackgroundNotLoadable,
    InvalidOption,
    UnknownModel,
    UrlNotFetched,
)
from alphacut_gateway import answers, parameters, wire
from alphacut_gateway.backend import Backend
from alphacut_gateway.calls import metadata
from alphacut_gateway.forms import Form
from alphacut_gateway.intake import FLOOR_BYTES, BodyLimits, open_form
from alphacut_gateway.negotiation import negotiate
from alphacut_gateway.parameters import Options, ParametersInvalid, Violation
from alphacut_gateway.presence import run_unless_disconnected
from alphacut_gateway.room import Hold, Room
from alphacut_gateway.status import failure_of
from alphacut_gateway.wire import Submission

FILES = frozenset({wire.IMAGE, wire.BACKGROUND})
TEXTS = frozenset({wire.URL, wire.BACKGROUND_URL})
# The message that came and the bytes taken out of it; what is made of those is as small as a piece.
ANSWER_COPIES = 2

# Which parameter a field of the request came from; the server names the field when it refuses a value.
PARAMETER_OF_FIELD = {
    "mode": "mode",
    "quality": "quality",
    "model": "model",
    "background.color": "bg-color",
    "background.fit": "bg-fit",
    "output.format": "format",
    "shadow.type": "shadow-type",
    "shadow.direction_deg": "shadow-direction",
    "shadow.elevation_deg": "shadow-elevation",
    "shadow.softness": "shadow-softness",
    "shadow.opacity": "shadow-opacity",
    "shadow.color": "shadow-color",
    "output.crop": "crop",
    "output.crop.margin": "crop-margin",
}

# A URL that the server does not even try has failed for its callers like one that it tried.
FAILURE_OF_FIELD: Mapping[str, type[AlphacutError]] = {
    "image.url": UrlNotFetched,
    "background.image.url": BackgroundNotLoadable,
}


class Results:
    """The route of results, as an ASGI application: its form is in memory until the answer is sent."""

    def __init__(self, backend: Backend, room: Room, limits: BodyLimits) -> None:
        self._backend = backend
        self._room = room
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ParametersInvalid, PictureMissing, BodyRefused, CallerGone and AlphacutError."""
        request = Request(scope)
        options = parameters.parse(request.query_params)
        async with open_form(
            request.headers, receive, self._limits, files=FILES, texts=TEXTS, room=self._room
        ) as taken:
            response = await self._answer(request, options, taken.form, taken.hold, receive)
            await response(scope, receive, send)

    async def _answer(
        self, request: Request, options: Options, form: Form, hold: Hold, receive: Receive
    ) -> Response:
        delivery = negotiate(options, request.headers.get("accept"))
        submission = wire.to_submission(form, options, delivery.format)
        call = self._backend.send(submission.request, metadata=metadata(request))
        try:
            response = await run_unless_disconnected(receive, call)
        except AlphacutError as error:
            return await _answer_failed(submission, error)
        # A small file may well be a large picture.
        hold.resize(max(hold.n_bytes, FLOOR_BYTES + ANSWER_COPIES * response.ByteSize()))
        build = answers.success_binary if delivery.is_binary else answers.success
        return build(response, submission.name(response.name), options.mode)


async def _answer_failed(submission: Submission, error: AlphacutError) -> Response:
    """Answer a picture that failed; raises what the call failed with, or ParametersInvalid, where it is no picture's fault."""
    if isinstance(error, InvalidOption):
        error = _as_picture_failure(error) or error
    if isinstance(error, InvalidOption):
        raise _as_parameters(error) or error
    sentence = failure_of(error)
    if sentence is None:
        raise error
    md5 = error.metadata.get("md5", "")
    if not md5:
        # A fault tells nothing of the picture.
        md5 = await asyncio.to_thread(submission.digest)
    return answers.failure(sentence, submission.name(error.metadata.get("name", "")), md5)


def _as_picture_failure(error: InvalidOption) -> AlphacutError | None:
    """Return what a refused URL is to callers of this API; None when something else was refused."""
    kinds = [FAILURE_OF_FIELD[each.field] for each in error.violations if each.field in FAILURE_OF_FIELD]
    return kinds[0](error.message) if kinds else None


def _as_parameters(error: InvalidOption) -> ParametersInvalid | None:
    """Return which parameters the server refused; None when it named none that callers of this API know."""
    if isinstance(error, UnknownModel):
        return ParametersInvalid(Violation("model", "No model of that name is served.", "unknown_model"))
    violations = [
        Violation(PARAMETER_OF_FIELD[each.field], each.description, "value_error")
        for each in error.violations
        if each.field in PARAMETER_OF_FIELD
    ]
    return ParametersInvalid(*violations) if violations else None
