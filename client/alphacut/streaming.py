"""The books of one stream of pictures: what is out, what is due again, what is settled. No I/O, no clock, no threads.

Two drivers, sync and async, move the messages and ask here what to do next. A picture ends in exactly one
`StreamResult`: its answer, the error it was answered with, or DeadlineExceeded. A broken call is no one picture's
fault: what was unanswered is sent again on a new call, with the policy's back-off.
"""

from dataclasses import dataclass

from alphacut.cutout import StreamResult
from alphacut.errors import AlphacutError, DeadlineExceeded, Reason, Unavailable
from alphacut.options import Mode
from alphacut.retry import RetryPolicy, Timing
from alphacut.status import from_status
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.wire import requested_mode, to_cutout

NEVER = float("inf")
# How long a server may take to end a call that it has answered in full; then it is cancelled.
FAREWELL_S = 2.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A picture was read; its message is ready but for the id."""

    item_id: str
    message: service_pb2.RemoveBackgroundStreamRequest


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture could not be read on this side."""

    item_id: str
    error: AlphacutError | OSError


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """The source has no more pictures, or failed."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The server answered one picture."""

    reply: service_pb2.RemoveBackgroundStreamResponse


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over, by the server's will or by an error."""

    error: AlphacutError | None = None


Event = Loaded | Unreadable | SourceEnded | Answered | CallEnded


@dataclass(slots=True)
class _Entry:
    """One picture between its coming and its settling."""

    item_id: str
    message: service_pb2.RemoveBackgroundStreamRequest
    mode: Mode
    deadline_s: float
    # When to send it, on the clock; None while it is out.
    due_s: float | None
    attempts: int = 0


class StreamBook:
    """Keeps the pictures of one stream; times are instants on the caller's monotonic clock, s."""

    def __init__(self, policy: RetryPolicy, timeout_s: float, timing: Timing) -> None:
        self._policy = policy
        self._timeout_s = timeout_s
        self._timing = timing
        self._entries: dict[str, _Entry] = {}
        self._numbered = 0
        self._failed_calls = 0
        self._reopen_s = -NEVER
        self._source_ended = False

    @property
    def is_done(self) -> bool:
        """Whether every picture is settled and no more will come."""
        return self._source_ended and not self._entries

    def handle(self, event: Event) -> list[StreamResult]:
        """Take in what happened; returns what it settles, raises what ends the whole stream."""
        match event:
            case Loaded(item_id, message):
                self.take(item_id, message)
            case Unreadable(item_id, unreadable):
                return [StreamResult(item_id, error=unreadable)]
            case SourceEnded(failure):
                self._source_ended = True
                if failure is not None:
                    raise failure
            case Answered(reply):
                result = self.answer(reply)
                return [] if result is None else [result]
            case CallEnded(error):
                return self.call_ended(error)
        return []

    def take(self, item_id: str, message: service_pb2.RemoveBackgroundStreamRequest) -> None:
        """Enter a picture and set its message's id; it is due at once, and has the stream's timeout from now."""
        # Our own numbers on the wire: the caller's ids may be long, and may repeat.
        self._numbered += 1
        key = str(self._numbered)
        message.id = key
        now_s = self._timing.now()
        mode = requested_mode(message.request)
        self._entries[key] = _Entry(item_id, message, mode, deadline_s=now_s + self._timeout_s, due_s=now_s)

    def due(self) -> list[service_pb2.RemoveBackgroundStreamRequest]:
        """Return the messages to send now, and count them as sent."""
        now_s = self._timing.now()
        if now_s < self._reopen_s:
            return []
        ready = [each for each in self._entries.values() if each.due_s is not None and each.due_s <= now_s]
        for entry in ready:
            entry.due_s = None
            entry.attempts += 1
        return [entry.message for entry in ready]

    def expired(self) -> list[StreamResult]:
        """Settle what has waited past its deadline; a late answer is then ignored."""
        now_s = self._timing.now()
        late = [(key, each) for key, each in self._entries.items() if now_s >= each.deadline_s]
        for key, _ in late:
            del self._entries[key]
        return [
            self._failed(
                entry,
                DeadlineExceeded(
                    f"No answer came within {self._timeout_s:g} s; allow more time, or send fewer at once.",
                    reason=Reason.DEADLINE,
                ),
            )
            for _, entry in late
        ]

    def wake_s(self) -> float:
        """Return the instant at which `due` or `expired` has something next; infinite when nothing is timed."""
        instants = [each.deadline_s for each in self._entries.values()]
        instants += [
            max(each.due_s, self._reopen_s) for each in self._entries.values() if each.due_s is not None
        ]
        return min(instants, default=NEVER)

    def answer(self, reply: service_pb2.RemoveBackgroundStreamResponse) -> StreamResult | None:
        """Settle the picture of a reply; None when it is sent again later, or was settled before."""
        self._failed_calls = 0
        entry = self._entries.get(reply.id)
        if entry is None:
            return None
        if reply.WhichOneof("outcome") == "response":
            del self._entries[reply.id]
            return StreamResult(entry.item_id, cutout=to_cutout(reply.response, entry.mode))
        error = from_status(reply.error)
        now_s = self._timing.now()
        delay_s = self._policy.delay_s(error, entry.attempts, entry.deadline_s - now_s, self._timing.chance())
        if delay_s is not None:
            entry.due_s = now_s + delay_s
            return None
        del self._entries[reply.id]
        return self._failed(entry, error)

    def call_ended(self, error: AlphacutError | None) -> list[StreamResult]:
        """Note that the call is over; what was out becomes due again after a pause.

        Returns what is given up: pictures whose calls broke too often (one may be what breaks them). Raises the error
        when it is not one that a new call cures, or when too many calls in a row brought no answer at all.
        """
        if not self._entries:
            return []
        error = error or Unavailable("The server ended the stream before it had answered everything.")
        self._failed_calls += 1
        error.attempts = self._failed_calls
        delay_s = self._policy.delay_s(error, self._failed_calls, NEVER, self._timing.chance())
        if delay_s is None:
            raise error
        self._reopen_s = self._timing.now() + delay_s
        given_up = []
        for key, entry in list(self._entries.items()):
            if entry.due_s is not None:
                continue
            if entry.attempts >= self._policy.max_attempts:
                del self._entries[key]
                given_up.append(self._failed(entry, error))
            entry.due_s = self._reopen_s
        return given_up

    def _failed(self, entry: _Entry, error: AlphacutError) -> StreamResult:
        error.attempts = max(1, entry.attempts)
        return StreamResult(entry.item_id, error=error)
