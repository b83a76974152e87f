"""Requests as callers send them, and what a failed call tells, read as any gRPC library would."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2

BIG_MESSAGES = [("grpc.max_receive_message_length", 128 << 20), ("grpc.max_send_message_length", 128 << 20)]
"""Channel options for replies of every size that the service gives, and for requests beyond what it takes."""

DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call or stream item; empty where it said nothing."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None
    fields: tuple[str, ...] = ()
    """Fields that BadRequest names."""
    request_id: str = ""
    kinds: tuple[str, ...] = ()
    """Names of the details' messages, in order."""


def request_for(
    content: bytes,
    *,
    mode: options_pb2.Mode.ValueType = options_pb2.MODE_FG_MASK,
    name: str = "",
    model: str = "",
) -> service_pb2.RemoveBackgroundRequest:
    """Return a request for one picture, a mask unless told."""
    return service_pb2.RemoveBackgroundRequest(
        image=image_pb2.ImageSource(content=content, name=name), mode=mode, model=model
    )


def stream_item(key: str, content: bytes) -> service_pb2.RemoveBackgroundStreamRequest:
    """Return one picture of a stream, a mask wanted."""
    return service_pb2.RemoveBackgroundStreamRequest(id=key, request=request_for(content))


def failure_of(error: BaseException) -> Failure:
    """Return what a failed call told, sync or aio."""
    assert isinstance(error, grpc.RpcError)
    # Pairs from both libraries; the stubs know only the sync one's named pairs.
    trailing = dict(cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ()))
    status = status_pb2.Status()
    details = trailing.get(DETAILS_KEY)
    if isinstance(details, bytes):
        status.ParseFromString(details)
    request_id = trailing.get(REQUEST_ID_KEY, "")
    return _read(status, error.code(), error.details() or "", str(request_id))


def failure_of_item(response: service_pb2.RemoveBackgroundStreamResponse) -> Failure:
    """Return why one picture of a stream failed."""
    assert response.WhichOneof("outcome") == "error"
    code = next(code for code in grpc.StatusCode if code.value[0] == response.error.code)
    return _read(response.error, code, response.error.message, "")


def _read(status: status_pb2.Status, code: grpc.StatusCode, message: str, request_id: str) -> Failure:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    bad = error_details_pb2.BadRequest()
    found: dict[str, Message] = {"ErrorInfo": info, "RetryInfo": retry, "BadRequest": bad}
    kinds = tuple(packed.TypeName().removeprefix("google.rpc.") for packed in status.details)
    for kind, packed in zip(kinds, status.details, strict=True):
        packed.Unpack(found[kind])
    return Failure(
        code=code,
        message=message,
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        retry_after_s=retry.retry_delay.ToMilliseconds() / 1000 if "RetryInfo" in kinds else None,
        fields=tuple(violation.field for violation in bad.field_violations),
        request_id=request_id,
        kinds=kinds,
    )
