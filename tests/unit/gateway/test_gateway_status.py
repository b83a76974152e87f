"""From the client's errors to HTTP, all of them."""

from collections.abc import Iterator

import pytest

from alphacut import errors
from alphacut.errors import AlphacutError
from alphacut_gateway.status import answer_to, failure_of, retry_after


def every_error() -> Iterator[type[AlphacutError]]:
    """Walk the tree."""
    waiting = [AlphacutError]
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting.extend(kind.__subclasses__())


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.ImageNotLoadable, 422),
        (errors.ResolutionTooBig, 422),
        (errors.MessageTooLarge, 413),
        (errors.UnknownModel, 422),
        (errors.NotServed, 501),
        (errors.Unauthenticated, 401),
        (errors.PermissionDenied, 403),
        (errors.Overloaded, 503),
        (errors.Unavailable, 503),
        (errors.Draining, 503),
        (errors.ModelNotReady, 503),
        (errors.DeadlineExceeded, 504),
        (errors.Cancelled, 503),
        (errors.EngineFailed, 500),
        (errors.MissingDependency, 500),
    ],
)
def test_nearest_ancestor_in_the_table_decides(kind: type[AlphacutError], status: int) -> None:
    """Each kind has the status of its own rule or the next one up."""
    assert answer_to(kind("words"), "id1").status == status


@pytest.mark.parametrize("kind", list(every_error()))
def test_every_error_has_an_answer(kind: type[AlphacutError]) -> None:
    """No error of the client is without status and sentence; only 503 invites a retry."""
    answer = answer_to(kind("The server's own words."), "id1")

    assert 400 <= answer.status <= 599
    assert answer.message
    assert ("Retry-After" in answer.headers) == (answer.status == 503)


@pytest.mark.parametrize("kind", [errors.Unavailable, errors.DeadlineExceeded, errors.ServerFault])
def test_words_from_this_side_of_the_wire_stay_here(kind: type[AlphacutError]) -> None:
    """gRPC's texts name addresses; callers see none."""
    answer = answer_to(kind("failed to connect to ipv4:10.0.0.7:50051"), "id1")

    assert "10.0.0.7" not in answer.message


def test_fault_names_the_request_id() -> None:
    """The caller has something to quote."""
    assert "id1" in answer_to(errors.EngineFailed("boom"), "id1").message


def test_servers_words_about_the_request_reach_the_caller() -> None:
    """What is wrong with a picture or an option the server says best."""
    assert (
        answer_to(errors.ResolutionTooBig("6000x4000 is too big."), "id1").message == "6000x4000 is too big."
    )


@pytest.mark.parametrize(
    ("delay_s", "header"), [(None, "1"), (0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2")]
)
def test_retry_after_is_rounded_up_to_whole_seconds(delay_s: float | None, header: str) -> None:
    """Never 0, which would invite a storm."""
    assert retry_after(delay_s) == header


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.ImageNotLoadable("words"), "Can not load image."),
        (errors.InvalidImage("a reason of a newer server"), "Can not load image."),
        (
            errors.ResolutionTooBig("w", metadata={"width": "6000", "height": "4000", "limit": "4096"}),
            "Resolution is too big: 6000x4000. Max allowed resolution: 4096x4096.",
        ),
        (
            errors.ImageTooLarge("w", metadata={"size": "18140365", "limit": "16777216"}),
            "File size is too big: 17.3Mb. Max allowed size: 16Mb.",
        ),
        (
            errors.ImageTooLarge("w", metadata={"size": "16777216", "limit": "16777216"}),
            "File size is too big: 16.0Mb. Max allowed size: 16Mb.",
        ),
        (errors.UrlNotFetched("words"), "Can not load image from url."),
        (errors.BackgroundNotLoadable("words"), "Can not load background image."),
        (errors.ServerFault("stack of secrets"), "Processing failed"),
        (errors.EngineFailed("boom"), "Processing failed"),
        (AlphacutError("a status nobody thought of"), "Processing failed"),
    ],
)
def test_picture_fails_in_the_documented_words(error: AlphacutError, sentence: str) -> None:
    """Callers compare them; the figures are the server's."""
    assert failure_of(error) == sentence


@pytest.mark.parametrize(
    "kind",
    [
        errors.MessageTooLarge,
        errors.InvalidOption,
        errors.UnknownModel,
        errors.NotServed,
        errors.Unauthenticated,
        errors.PermissionDenied,
        errors.Overloaded,
        errors.Draining,
        errors.ModelNotReady,
        errors.DeadlineExceeded,
        errors.Cancelled,
    ],
)
def test_failed_call_is_no_failed_picture(kind: type[AlphacutError]) -> None:
    """The same picture may be cut another time, or with another key or parameter."""
    assert failure_of(kind("words")) is None


@pytest.mark.parametrize("metadata", [{}, {"size": "many", "limit": "few"}])
@pytest.mark.parametrize("kind", [errors.ResolutionTooBig, errors.ImageTooLarge])
def test_failure_without_figures_has_words_all_the_same(
    kind: type[AlphacutError], metadata: dict[str, str]
) -> None:
    """A server of another version may not tell them."""
    assert failure_of(kind("words", metadata=metadata)) == "Can not load image."
