"""From a gRPC status to the exception: the one table of this transport, the mirror of the server's.

Reads `grpc-status-details-bin` itself, so that the base install needs no grpcio-status.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from alphacut import errors
from alphacut.errors import AlphacutError, FieldViolation, Reason

# Domain of every ErrorInfo an alphacut server sends; a proxy's own ErrorInfo says nothing about our reasons.
ERROR_DOMAIN = "alphacut"
DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"

BY_REASON: dict[str, type[AlphacutError]] = {
    Reason.IMAGE_NOT_LOADABLE: errors.ImageNotLoadable,
    Reason.RESOLUTION_TOO_BIG: errors.ResolutionTooBig,
    Reason.IMAGE_TOO_LARGE: errors.ImageTooLarge,
    Reason.SOURCE_MISSING: errors.SourceMissing,
    Reason.URL_NOT_FETCHED: errors.UrlNotFetched,
    Reason.INVALID_OPTION: errors.InvalidOption,
    Reason.NOT_IMPLEMENTED: errors.NotServed,
    Reason.UNKNOWN_MODEL: errors.UnknownModel,
    Reason.OVERLOADED: errors.Overloaded,
    Reason.DRAINING: errors.Draining,
    Reason.MODEL_NOT_READY: errors.ModelNotReady,
    Reason.DEADLINE: errors.DeadlineExceeded,
    Reason.ENGINE_FAILED: errors.EngineFailed,
    Reason.MODEL_CORRUPT: errors.ModelCorrupt,
    Reason.INTERNAL: errors.ServerFault,
    Reason.BACKGROUND_NOT_LOADABLE: errors.BackgroundNotLoadable,
    Reason.UNAUTHENTICATED: errors.Unauthenticated,
}


@dataclass(frozen=True, slots=True)
class _Fallback:
    """What a status means when no reason comes with it: its class, and words for what gRPC says tersely."""

    error: type[AlphacutError]
    message: str = "{details}"


# A proxy, an older or newer server, or gRPC itself on either side says no reason, or one unknown here.
_BY_CODE: dict[grpc.StatusCode, _Fallback] = {
    grpc.StatusCode.INVALID_ARGUMENT: _Fallback(errors.InvalidOption),
    grpc.StatusCode.UNIMPLEMENTED: _Fallback(errors.NotServed),
    grpc.StatusCode.UNAUTHENTICATED: _Fallback(errors.Unauthenticated),
    grpc.StatusCode.PERMISSION_DENIED: _Fallback(errors.PermissionDenied),
    grpc.StatusCode.UNAVAILABLE: _Fallback(errors.Unavailable, "The server cannot be reached: {details}"),
    grpc.StatusCode.DEADLINE_EXCEEDED: _Fallback(
        errors.DeadlineExceeded,
        "No answer came in time; allow more time or look at the server's load ({details}).",
    ),
    grpc.StatusCode.CANCELLED: _Fallback(errors.Cancelled, "The call was cancelled ({details})."),
    grpc.StatusCode.INTERNAL: _Fallback(errors.ServerFault),
    grpc.StatusCode.UNKNOWN: _Fallback(errors.ServerFault),
    grpc.StatusCode.DATA_LOSS: _Fallback(errors.ServerFault),
    # Our servers' overload always says its reason; without one it is gRPC's own limit on the size of a message.
    grpc.StatusCode.RESOURCE_EXHAUSTED: _Fallback(
        errors.MessageTooLarge,
        "The picture is larger than a gRPC message may be: send fewer bytes ({details}).",
    ),
}
_BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(slots=True)
class _Details:
    """What the details of a status say."""

    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None
    request_id: str = ""
    violations: tuple[FieldViolation, ...] = ()


def from_rpc_error(error: grpc.RpcError) -> AlphacutError:
    """Return the exception for a failed call, sync or aio; details that cannot be read are left out."""
    assert isinstance(error, grpc.Call | grpc.aio.AioRpcError)
    status = status_pb2.Status()
    request_id = ""
    for key, value in error.trailing_metadata() or ():
        if key == REQUEST_ID_KEY and isinstance(value, str):
            request_id = value
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                status = status_pb2.Status.FromString(value)
            except DecodeError:
                continue
    return _build(error.code(), error.details() or "", _read_details(status.details), request_id)


def from_status(status: status_pb2.Status) -> AlphacutError:
    """Return the exception for a `google.rpc.Status`, as a stream answers one picture's failure."""
    code = _BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
    return _build(code, status.message, _read_details(status.details), "")


def _build(code: grpc.StatusCode, text: str, details: _Details, request_id: str) -> AlphacutError:
    fallback = _BY_CODE.get(code, _Fallback(AlphacutError))
    cls, message = BY_REASON.get(details.reason), text
    if cls is None:
        cls = fallback.error
        said_more = bool(details.reason) or details.retry_after_s is not None
        if said_more and code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            cls = errors.Overloaded
        if not said_more:
            message = fallback.message.format(details=text or code.name)
    return cls(
        message or code.name,
        reason=Reason(details.reason) if details.reason in BY_REASON else details.reason,
        code=code,
        metadata=details.metadata,
        retry_after_s=details.retry_after_s,
        request_id=details.request_id or request_id,
        violations=details.violations,
    )


def _read_details(packed: Iterable[Any]) -> _Details:
    found = _Details()
    for detail in packed:
        try:
            _read_detail(detail, found)
        except DecodeError:
            continue
    return found


def _read_detail(detail: Any, found: _Details) -> None:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    bad, request = error_details_pb2.BadRequest(), error_details_pb2.RequestInfo()
    if detail.Unpack(info):
        if info.domain == ERROR_DOMAIN:
            found.reason = info.reason
            found.metadata = dict(info.metadata)
            found.request_id = info.metadata.get("request_id", found.request_id)
    elif detail.Unpack(retry):
        found.retry_after_s = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    elif detail.Unpack(bad):
        found.violations = tuple(
            FieldViolation(each.field, each.description) for each in bad.field_violations
        )
    elif detail.Unpack(request):
        found.request_id = found.request_id or request.request_id
