"""From what a handler raises to the answer: one function a kind of error, and the table of them."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from alphacut.errors import AlphacutError
from alphacut_gateway import answers
from alphacut_gateway.answers import JsonResponse
from alphacut_gateway.forms import BodyRefused, BodyTooLarge, CallerGone, NoRoom, SenderTooSlow
from alphacut_gateway.parameters import ParametersInvalid
from alphacut_gateway.status import answer_to, retry_after
from alphacut_gateway.wire import PictureMissing
from alphacut_service.logs import request_id

# nginx's number for a caller that left; only the counters ever see it.
CALLER_GONE = 499


async def answer_failure(_request: Request, error: Exception) -> Response:
    """Answer an error of the client by the table."""
    assert isinstance(error, AlphacutError)
    answer = answer_to(error, request_id.get())
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return answers.too_large()
    if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return answers.refused_form(answer.message)
    return answers.call_failed(answer.status, answer.message, answer.headers)


async def answer_parameters(_request: Request, error: Exception) -> Response:
    """Answer wrong parameters, each by its name."""
    assert isinstance(error, ParametersInvalid)
    return answers.refused_fields(error.violations)


async def answer_missing(_request: Request, _error: Exception) -> Response:
    """Answer a form without a picture."""
    return answers.refused_form(answers.MISSING)


async def answer_body(_request: Request, error: Exception) -> Response:
    """Answer a body that was refused."""
    assert isinstance(error, BodyRefused)
    match error:
        case BodyTooLarge():
            return answers.too_large()
        case NoRoom():
            return answers.call_failed(503, error.message, {"Retry-After": retry_after(error.retry_after_s)})
        case SenderTooSlow():
            return answers.call_failed(408, error.message, {"Connection": "close"})
        case _:
            return answers.refused_form(error.message)


async def answer_nobody(_request: Request, _error: Exception) -> Response:
    """Tell the counters that the caller went away; nobody reads it."""
    return Response(status_code=CALLER_GONE)


async def answer_no_route(_request: Request, error: Exception) -> Response:
    """Answer an unknown path or a wrong method as JSON."""
    assert isinstance(error, HTTPException)
    return JsonResponse({"detail": error.detail}, error.status_code, error.headers)


ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]
EXCEPTION_HANDLERS: Mapping[type[Exception], ExceptionHandler] = {
    AlphacutError: answer_failure,
    ParametersInvalid: answer_parameters,
    PictureMissing: answer_missing,
    BodyRefused: answer_body,
    CallerGone: answer_nobody,
    HTTPException: answer_no_route,
}
