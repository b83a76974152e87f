"""Errors to statuses: every class of the tree, every reason of the proto."""

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from alphacut.v1 import errors_pb2
from alphacut_server import errors
from alphacut_server.errors import AlphacutError, Reason
from alphacut_server.transport.status import DOMAIN, RpcFailure, code_of, to_failure


def instances() -> list[AlphacutError]:
    """Return one error of every class of the tree in errors.py."""
    made: dict[type[AlphacutError], AlphacutError] = {
        errors.ImageTooLarge: errors.ImageTooLarge(20 << 20, 16 << 20),
        errors.ResolutionTooBig: errors.ResolutionTooBig(6000, 4000, 4096),
        errors.InvalidOption: errors.InvalidOption("mode", "mode 9 is unknown."),
        errors.NotImplementedYet: errors.NotImplementedYet("quality"),
        errors.UrlNotFetched: errors.UrlNotFetched(),
        errors.Unauthenticated: errors.Unauthenticated(),
        errors.UnknownModel: errors.UnknownModel("nope", ("u2netp",)),
        errors.Draining: errors.Draining(),
        errors.Cancelled: errors.Cancelled(),
    }
    classes = [
        found
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, AlphacutError)
    ]
    return [made.get(cls) or cls("A sentence.") for cls in classes]


def detail(failure: RpcFailure, kind: type[Message]) -> Message | None:
    """Return the first detail of that kind."""
    for packed in failure.status.details:
        if packed.Is(kind.DESCRIPTOR):
            found = kind()
            packed.Unpack(found)
            return found
    return None


def test_reasons_equal_those_of_the_proto() -> None:
    """A client can rely on the proto's list."""
    prefix = "ERROR_REASON_"
    proto = {name.removeprefix(prefix) for name in errors_pb2.ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118  no dict

    assert proto == {reason.value for reason in Reason}


@pytest.mark.parametrize("error", instances(), ids=lambda error: type(error).__name__)
def test_every_error_has_a_code_and_tells_its_reason_first(error: AlphacutError) -> None:
    """ErrorInfo is the first detail and carries reason and domain."""
    failure = to_failure(error, "request-7")

    info = error_details_pb2.ErrorInfo()
    failure.status.details[0].Unpack(info)
    assert info.reason == error.reason.value
    assert info.domain == DOMAIN
    assert failure.code is not grpc.StatusCode.OK
    assert failure.status.code == failure.code.value[0]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CorruptImage("x"), grpc.StatusCode.INVALID_ARGUMENT),
        (errors.ResolutionTooBig(6000, 4000, 4096), grpc.StatusCode.INVALID_ARGUMENT),
        (errors.NotImplementedYet("quality"), grpc.StatusCode.UNIMPLEMENTED),
        (errors.QueueFull("x"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (errors.Draining(), grpc.StatusCode.UNAVAILABLE),
        (errors.ModelNotReady("x"), grpc.StatusCode.UNAVAILABLE),
        (errors.DeadlineExceeded("x"), grpc.StatusCode.DEADLINE_EXCEEDED),
        (errors.EngineFailed("x"), grpc.StatusCode.INTERNAL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AlphacutError) else "",
)
def test_codes_follow_the_most_specific_class(error: AlphacutError, code: grpc.StatusCode) -> None:
    """A subclass without a row of its own takes its base's."""
    assert code_of(error) is code


def test_overload_says_when_to_try_again() -> None:
    """RetryInfo carries the predicted wait."""
    failure = to_failure(errors.QueueFull("full", retry_after_s=2.5), "id")

    info = detail(failure, error_details_pb2.RetryInfo)

    assert isinstance(info, error_details_pb2.RetryInfo)
    assert info.retry_delay.ToMilliseconds() == 2500


def test_a_bad_option_names_its_field() -> None:
    """BadRequest points at the field."""
    failure = to_failure(errors.InvalidOption("output.crop.margin", "too wide"), "id")

    bad = detail(failure, error_details_pb2.BadRequest)

    assert isinstance(bad, error_details_pb2.BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["output.crop.margin"]


def test_faults_of_ours_carry_the_request_id() -> None:
    """The caller has something to quote, and nothing else is revealed."""
    info = detail(to_failure(errors.InternalFault("It failed."), "request-7"), error_details_pb2.ErrorInfo)

    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert dict(info.metadata) == {"request_id": "request-7"}


def test_resolution_metadata_carries_what_the_rest_text_needs() -> None:
    """Width, height and limit in px, as text."""
    info = detail(to_failure(errors.ResolutionTooBig(6000, 4000, 4096), "id"), error_details_pb2.ErrorInfo)

    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert dict(info.metadata) == {"width": "6000", "height": "4000", "limit": "4096"}
