"""The books of a stream, on a clock that tests move: every picture settles once, retries keep to the policy."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphacut import RetryPolicy, StreamResult, errors
from alphacut.streaming import Answered, CallEnded, Loaded, SourceEnded, StreamBook, Unreadable
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from support.fake_service import NOT_LOADABLE, StreamResponse, answer, make_status
from support.fake_time import FakeTime

POLICY = RetryPolicy(max_attempts=3, initial_backoff_s=1.0, max_backoff_s=8.0, jitter=0)
GONE = errors.Unavailable("gone")


def make_book(time: FakeTime, *, timeout_s: float = 100.0, policy: RetryPolicy = POLICY) -> StreamBook:
    """Make an empty book."""
    return StreamBook(policy, timeout_s, time.timing)


def load(item_id: str) -> Loaded:
    """Make the event of a picture that was read; its bytes are its id."""
    message = service_pb2.RemoveBackgroundStreamRequest()
    message.request.image.content = item_id.encode()
    return Loaded(item_id, message)


def reply_to(message: service_pb2.RemoveBackgroundStreamRequest) -> Answered:
    """Make the event of its good answer."""
    return Answered(StreamResponse(id=message.id, response=answer(message.request)))


def refuse(message: service_pb2.RemoveBackgroundStreamRequest, status: object) -> Answered:
    """Make the event of its failure."""
    return Answered(StreamResponse(id=message.id, error=status))


def overloaded(retry_after_s: float) -> object:
    """Make the status of a full queue."""
    return make_status(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "Full.", reason="OVERLOADED", retry_after_s=retry_after_s
    )


def test_equal_ids_are_kept_apart() -> None:
    """Two pictures of one id travel under two numbers, and both come back under it."""
    book = make_book(FakeTime())
    book.handle(load("same"))
    book.handle(load("same"))

    first, second = book.due()
    results = [*book.handle(reply_to(second)), *book.handle(reply_to(first))]

    assert first.id != second.id
    assert [result.id for result in results] == ["same", "same"]


def test_bad_picture_settles_with_its_error() -> None:
    """A failure that no retry helps is the picture's result at once."""
    book = make_book(FakeTime())
    book.handle(load("a"))
    (message,) = book.due()

    (result,) = book.handle(refuse(message, NOT_LOADABLE))

    assert isinstance(result.error, errors.ImageNotLoadable)
    with pytest.raises(errors.ImageNotLoadable):
        result.unwrap()


def test_overloaded_picture_is_sent_again_when_advised() -> None:
    """A picture refused for want of room waits as long as the server says, then goes again."""
    time = FakeTime()
    book = make_book(time)
    book.handle(load("a"))
    (message,) = book.due()

    settled = book.handle(refuse(message, overloaded(5.0)))
    wake_s = book.wake_s()
    before = book.due()
    time.sleep(5.0)

    assert (settled, before, wake_s) == ([], [], 1005.0)
    assert book.due() == [message]


def test_picture_is_given_up_after_the_attempts() -> None:
    """The policy's attempts hold for each picture."""
    time = FakeTime()
    book = make_book(time)
    book.handle(load("a"))
    results: list[StreamResult] = []
    for _ in range(3):
        (message,) = book.due()
        results += book.handle(refuse(message, overloaded(0.5)))
        time.sleep(10)

    (result,) = results
    assert isinstance(result.error, errors.Overloaded)
    assert result.error.attempts == 3


def test_broken_call_sends_again_what_was_unanswered() -> None:
    """After a pause a new call gets the unanswered pictures, not the answered ones."""
    time = FakeTime()
    book = make_book(time)
    book.handle(load("a"))
    book.handle(load("b"))
    first, second = book.due()
    book.handle(reply_to(first))

    settled = book.handle(CallEnded(GONE))
    at_once = book.due()
    time.sleep(1.0)

    assert (settled, at_once) == ([], [])
    assert book.due() == [second]


def test_new_pictures_wait_for_the_pause_too() -> None:
    """A picture that comes during the pause does not open a call early."""
    time = FakeTime()
    book = make_book(time)
    book.handle(load("a"))
    book.due()
    book.handle(CallEnded(GONE))

    book.handle(load("b"))

    assert book.due() == []
    assert book.wake_s() == 1001.0


def test_server_that_never_answers_ends_the_stream() -> None:
    """Calls that break one after the other without any answer raise after the policy's attempts."""
    time = FakeTime()
    book = make_book(time)
    for number in range(2):
        book.handle(load(str(number)))
        book.due()
        book.handle(CallEnded(GONE))
        time.sleep(60)
    book.handle(load("last"))
    book.due()

    with pytest.raises(errors.Unavailable, match="gone"):
        book.handle(CallEnded(GONE))


def test_picture_that_breaks_every_call_is_given_up_alone() -> None:
    """Answers in between show that the server lives; the picture that was out each time fails by itself."""
    time = FakeTime()
    book = make_book(time, timeout_s=1e6)
    book.handle(load("poison"))
    results: list[StreamResult] = []
    for number in range(3):
        book.handle(load(f"good {number}"))
        time.sleep(60)
        for message in book.due():
            if message.request.image.content != b"poison":
                results += book.handle(reply_to(message))
        results += book.handle(CallEnded(GONE))

    assert [result.id for result in results if result.cutout] == ["good 0", "good 1", "good 2"]
    assert [result.id for result in results if result.error] == ["poison"]


@pytest.mark.parametrize("error", [errors.Unauthenticated("no key"), errors.ServerFault("bug")])
def test_fault_of_the_call_is_raised(error: errors.AlphacutError) -> None:
    """What a new call does not cure ends the stream."""
    book = make_book(FakeTime())
    book.handle(load("a"))
    book.due()

    with pytest.raises(type(error)):
        book.handle(CallEnded(error))


def test_call_that_ends_between_pictures_costs_nothing() -> None:
    """With nothing out, however a call ended, the next picture opens a new one at once."""
    book = make_book(FakeTime())

    settled = book.handle(CallEnded(errors.ServerFault("restart")))
    book.handle(load("a"))

    assert settled == []
    assert len(book.due()) == 1


def test_unfinished_call_counts_as_broken() -> None:
    """A server that ends a call well before it has answered is asked again."""
    time = FakeTime()
    book = make_book(time)
    book.handle(load("a"))
    book.due()

    book.handle(CallEnded(None))
    time.sleep(1.0)

    assert len(book.due()) == 1


def test_late_picture_settles_once() -> None:
    """Past its deadline a picture fails, and its late answer is ignored."""
    time = FakeTime()
    book = make_book(time, timeout_s=10)
    book.handle(load("a"))
    (message,) = book.due()
    time.sleep(10)

    (result,) = book.expired()
    after = book.handle(reply_to(message))

    assert isinstance(result.error, errors.DeadlineExceeded)
    assert after == []
    assert book.expired() == []


def test_unreadable_picture_passes_through() -> None:
    """A file that cannot be read is a result, not the end."""
    error = FileNotFoundError("a.jpg")

    assert make_book(FakeTime()).handle(Unreadable("a", error)) == [StreamResult("a", error=error)]


def test_failing_source_is_raised() -> None:
    """An exception of the caller's iterable reaches the caller."""
    with pytest.raises(ZeroDivisionError):
        make_book(FakeTime()).handle(SourceEnded(ZeroDivisionError()))


@given(script=st.lists(st.sampled_from(["load", "good", "bad", "full", "break", "wait"]), max_size=60))
def test_every_picture_settles_exactly_once(script: list[str]) -> None:
    """Whatever happens in whatever order, each picture that was read ends in one result."""
    time = FakeTime()
    book = make_book(time, timeout_s=50, policy=RetryPolicy(max_attempts=4))
    loaded = 0
    out: list[service_pb2.RemoveBackgroundStreamRequest] = []
    results: list[StreamResult] = []
    raised = False
    # The tail lets everything that is still under way come to its end.
    for event in [*script, *["wait"] * 60]:
        try:
            if event == "load":
                book.handle(load(str(loaded)))
                loaded += 1
            elif event == "wait":
                time.sleep(1)
            elif event == "break":
                out.clear()
                results += book.handle(CallEnded(GONE))
            elif out:
                message = out.pop()
                step = {"good": reply_to(message), "bad": refuse(message, NOT_LOADABLE)}
                results += book.handle(step.get(event) or refuse(message, overloaded(0.5)))
        except errors.Unavailable:
            raised = True
            break
        out += book.due()
        results += book.expired()

    assert len({result.id for result in results}) == len(results)
    if not raised:
        assert {result.id for result in results} == {str(number) for number in range(loaded)}
