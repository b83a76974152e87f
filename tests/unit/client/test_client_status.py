"""Failures of the server come back as exceptions with everything they said."""

import pickle
import socket

import grpc
import pytest

from alphacut import Client, RetryPolicy, errors
from alphacut.errors import AlphacutError, Reason
from alphacut.status import BY_REASON, from_status
from alphacut.v1 import errors_pb2
from support.fake_service import (
    Context,
    FakeServer,
    FakeService,
    Request,
    Response,
    fail,
    fail_plainly,
    make_status,
)

ONCE = RetryPolicy(max_attempts=1)
CODES = {
    "INVALID_ARGUMENT": "IMAGE_NOT_LOADABLE RESOLUTION_TOO_BIG IMAGE_TOO_LARGE SOURCE_MISSING URL_NOT_FETCHED "
    "INVALID_OPTION UNKNOWN_MODEL BACKGROUND_NOT_LOADABLE",
    "UNIMPLEMENTED": "NOT_IMPLEMENTED",
    "RESOURCE_EXHAUSTED": "OVERLOADED",
    "UNAVAILABLE": "DRAINING MODEL_NOT_READY",
    "DEADLINE_EXCEEDED": "DEADLINE",
    "UNAUTHENTICATED": "UNAUTHENTICATED",
    "INTERNAL": "ENGINE_FAILED MODEL_CORRUPT INTERNAL",
}
REASONS = [(reason, grpc.StatusCode[code]) for code, reasons in CODES.items() for reason in reasons.split()]


def failure_of(server: FakeServer) -> AlphacutError:
    """Return what one call raises."""
    with Client(server.target, retry=ONCE) as client, pytest.raises(AlphacutError) as caught:
        client.remove_background(b"picture")
    return caught.value


def test_reasons_equal_the_protos() -> None:
    """The client knows exactly the reasons of the protocol."""
    prefix = "ERROR_REASON_"
    of_proto = {name.removeprefix(prefix) for name in errors_pb2.ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118 - no dict

    assert {reason.value for reason in Reason} == of_proto
    assert set(BY_REASON) == of_proto
    assert {reason for reason, _ in REASONS} == of_proto


@pytest.mark.parametrize(("reason", "code"), REASONS)
def test_reason_becomes_its_exception(server: FakeServer, reason: str, code: grpc.StatusCode) -> None:
    """Each reason raises its own class, with all that the details say."""
    status = make_status(
        code,
        "Do this instead.",
        reason=reason,
        metadata={"md5": "ab", "request_id": "r-1"},
        retry_after_s=1.5,
    )
    server.service.script.append(fail(status))

    error = failure_of(server)

    assert type(error) is BY_REASON[reason]
    assert error.reason is Reason(reason)
    assert error.code is code
    assert error.message == "Do this instead."
    assert error.metadata["md5"] == "ab"
    assert error.retry_after_s == pytest.approx(1.5)
    assert error.request_id == "r-1"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, errors.Unauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, errors.PermissionDenied),
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.DeadlineExceeded),
        (grpc.StatusCode.UNIMPLEMENTED, errors.NotServed),
        (grpc.StatusCode.INTERNAL, errors.ServerFault),
        (grpc.StatusCode.UNKNOWN, errors.ServerFault),
        (grpc.StatusCode.CANCELLED, errors.Cancelled),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.MessageTooLarge),
        (grpc.StatusCode.ABORTED, AlphacutError),
    ],
)
def test_status_without_details_becomes_an_exception_by_its_code(
    server: FakeServer, code: grpc.StatusCode, expected: type[AlphacutError]
) -> None:
    """What a proxy or gRPC itself says is told apart by the code, and names no reason."""
    server.service.script.append(fail_plainly(code, "a proxy says"))

    error = failure_of(server)

    assert type(error) is expected
    assert error.reason == ""
    assert "a proxy says" in error.message


def test_unknown_reason_of_a_newer_server_keeps_its_word(server: FakeServer) -> None:
    """A reason from the future falls back on the code's class and loses nothing."""
    server.service.script.append(
        fail(make_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota.", reason="QUOTA", retry_after_s=9))
    )

    error = failure_of(server)

    assert type(error) is errors.Overloaded
    assert (error.reason, error.message, error.retry_after_s) == ("QUOTA", "Quota.", 9)


def test_reason_of_a_foreign_domain_is_not_taken_for_ours(server: FakeServer) -> None:
    """An ErrorInfo that a proxy added says nothing about our reasons."""
    status = make_status(grpc.StatusCode.INTERNAL, "no", reason="IMAGE_NOT_LOADABLE", domain="example.org")
    server.service.script.append(fail(status))

    error = failure_of(server)

    assert type(error) is errors.ServerFault
    assert error.reason == ""


def test_bad_request_names_the_field(server: FakeServer) -> None:
    """The fields a BadRequest names are told, and the request id of a RequestInfo."""
    status = make_status(
        grpc.StatusCode.INVALID_ARGUMENT,
        "Too long.",
        reason="INVALID_OPTION",
        field="image.name",
        request_id="r-2",
    )
    server.service.script.append(fail(status))

    error = failure_of(server)

    assert error.violations == (errors.FieldViolation("image.name", "Too long."),)
    assert error.request_id == "r-2"


def test_unreadable_details_are_left_out(server: FakeServer, service: FakeService) -> None:
    """Garbage in the details trailer hides neither the code nor the message."""

    def step(request: Request, context: Context) -> Response:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"), ("x-request-id", "r-3")))
        return fail_plainly(grpc.StatusCode.INTERNAL, "broken")(request, context)

    service.script.append(step)

    error = failure_of(server)

    assert (type(error), error.message, error.request_id) == (errors.ServerFault, "broken", "r-3")


def test_stream_status_becomes_the_same_exception() -> None:
    """A picture's status inside a stream maps as the status of a call does."""
    error = from_status(make_status(grpc.StatusCode.INVALID_ARGUMENT, "Broken.", reason="IMAGE_NOT_LOADABLE"))

    assert type(error) is errors.ImageNotLoadable
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT


def test_no_server_is_unavailable_with_the_cause() -> None:
    """A refused connection says so in words, and names no reason of a server."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        with Client(f"127.0.0.1:{port}", retry=ONCE) as client, pytest.raises(errors.Unavailable) as caught:
            client.version()

    assert caught.value.reason == ""
    assert "cannot be reached" in caught.value.message


def test_errors_survive_pickling() -> None:
    """An error crosses to another process whole."""
    error = errors.Overloaded("Full.", reason=Reason.OVERLOADED, retry_after_s=2.0, metadata={"a": "b"})

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is errors.Overloaded
    assert vars(copy) == vars(error)
    assert str(copy) == "Full."
