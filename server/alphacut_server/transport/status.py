"""Error → gRPC status, in one table walked along the exception's MRO: the most specific entry wins."""

from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from alphacut_server.errors import (
    AlphacutError,
    Cancelled,
    DeadlineExceeded,
    Draining,
    InternalFault,
    InvalidInput,
    InvalidOption,
    ModelNotReady,
    NotImplementedYet,
    Overloaded,
    Unauthenticated,
    UnknownModel,
)

DOMAIN = "alphacut"
DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata key under which gRPC libraries look for a google.rpc.Status."""

CODES: dict[type[AlphacutError], grpc.StatusCode] = {
    AlphacutError: grpc.StatusCode.INTERNAL,
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    NotImplementedYet: grpc.StatusCode.UNIMPLEMENTED,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    UnknownModel: grpc.StatusCode.INVALID_ARGUMENT,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Draining: grpc.StatusCode.UNAVAILABLE,
    ModelNotReady: grpc.StatusCode.UNAVAILABLE,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    Cancelled: grpc.StatusCode.CANCELLED,
    InternalFault: grpc.StatusCode.INTERNAL,
}


@dataclass(frozen=True, slots=True)
class RpcFailure:
    """A failed call as gRPC sends it."""

    code: grpc.StatusCode
    status: status_pb2.Status


def code_of(error: AlphacutError) -> grpc.StatusCode:
    """Return the status code of an error."""
    return next(CODES[base] for base in type(error).__mro__ if base in CODES)


def to_failure(error: AlphacutError, request_id: str) -> RpcFailure:
    """Return code and google.rpc.Status: ErrorInfo first, then BadRequest or RetryInfo where they fit."""
    code = code_of(error)
    metadata = dict(error.metadata)
    if isinstance(error, InternalFault):
        metadata["request_id"] = request_id
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=metadata)
    ]
    if isinstance(error, InvalidOption):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, Overloaded):
        details.append(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_after_s)))
    status = status_pb2.Status(code=code.value[0], message=error.message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return RpcFailure(code, status)


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(max(1, round(seconds * 1000)))
    return duration
