"""Around every call of our service: request id, key, metrics, a log line, and the last catch that turns errors into statuses."""

from __future__ import annotations  # grpc's classes are generic in their stubs only

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias

import grpc
from google.protobuf.message import Message

from alphacut_server.deadline import Clock
from alphacut_server.errors import AlphacutError, InternalFault
from alphacut_server.key_file import ApiKey
from alphacut_server.transport.keys import KeyCheck
from alphacut_server.transport.status import DETAILS_KEY, RpcFailure, to_failure
from alphacut_service.logs import adopt_request_id
from alphacut_service.logs import request_id as request_id_var

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

REQUEST_ID_KEY = "x-request-id"

logger = logging.getLogger(__name__)


class CallObserver(Protocol):
    """Hears of every call's begin and end."""

    def call_started(self, method: str) -> None:
        """A call came in."""
        ...

    def call_ended(self, method: str, mode: str, code: str, reason: str, seconds: float) -> None:
        """It was answered; `mode` and `reason` are empty where there is none."""
        ...

    def item_failed(self, code: str, reason: str) -> None:
        """One picture of a stream failed; the stream goes on."""
        ...


class Call:
    """What is known of the call in whose context this runs."""

    __slots__ = ("client", "key", "method", "mode", "request_id")

    def __init__(self, method: str, client: str, request_id: str) -> None:
        self.method = method
        self.client = client
        self.request_id = request_id
        self.mode = ""
        self.key: ApiKey | None = None
        """The key it was let in by; None while that is not known, and on an open server."""

    def let_in_by(self, key: ApiKey) -> None:
        """Count the call against the key's holder from now on, wherever it comes from."""
        self.key = key
        self.client = key.name


_current: ContextVar[Call] = ContextVar("alphacut_call")


def current_call() -> Call:
    """Return the call in whose context this runs."""
    return _current.get()


class CallLog:
    """Logs a failure once, where it is handled."""

    def __init__(self, observer: CallObserver) -> None:
        self._observer = observer

    def failed(self, error: AlphacutError, failure: RpcFailure) -> None:
        """Log and count one picture of a stream."""
        self.log(error, failure)
        self._observer.item_failed(failure.code.name, error.reason.value)

    @staticmethod
    def log(error: AlphacutError, failure: RpcFailure) -> None:
        """Log a failure: ours with the cause, the caller's at DEBUG."""
        fields = {"code": failure.code.name, "reason": error.reason.value}
        if (key := current_call().key) is not None:
            fields["key_name"] = key.name
        if isinstance(error, InternalFault):
            logger.error("call_failed", extra=fields, exc_info=error.__cause__ or error)
        else:
            logger.debug("call_refused", extra=fields)


class LastCatch:
    """The outermost wrapper of every method of our service.

    It wraps the methods once, when the service is registered. A grpc.aio interceptor would do the same work for every call, and
    costs a tenth of a millisecond of it. `keys` is None on an open server; a stream is asked for its key once, when it begins.
    """

    def __init__(self, observer: CallObserver, clock: Clock, keys: KeyCheck | None = None) -> None:
        self._observer = observer
        self._clock = clock
        self._keys = keys
        self._open = 0
        self._all_answered = asyncio.Event()
        self._all_answered.set()

    async def all_answered(self, timeout_s: float) -> bool:
        """Wait until no call is open; False when some still are after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._all_answered.wait()
        except TimeoutError:
            return False
        return True

    def wrap(self, method: str, behave: Callable[..., Any]) -> Callable[..., Any]:
        """Return `behave`, a coroutine function (request, context), guarded."""
        keys = self._keys

        async def guarded(request: Message | AsyncIterator[Message], context: Context) -> Message | None:
            metadata = context.invocation_metadata() or ()
            call = Call(method, client_of(context.peer()), adopt_request_id(_given_id(metadata)))
            _current.set(call)
            request_id_var.set(call.request_id)
            context.set_trailing_metadata(((REQUEST_ID_KEY, call.request_id),))
            started_s = self._clock.now()
            self._observer.call_started(method)
            self._open += 1
            self._all_answered.clear()
            code, reason = grpc.StatusCode.OK, ""
            try:
                if keys is not None:
                    call.let_in_by(keys.admit(metadata))
                return await behave(request, context)  # type: ignore[no-any-return]  # the stubs say Any
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:  # noqa: BLE001  the last catch: what is not ours becomes INTERNAL
                ours = one_of_ours(error)
                failure = to_failure(ours, call.request_id)
                code, reason = failure.code, ours.reason.value
                CallLog.log(ours, failure)
                await _abort(context, failure, call.request_id)
                raise AssertionError("abort returned") from None
            finally:
                self._open -= 1
                if not self._open:
                    self._all_answered.set()
                seconds = self._clock.now() - started_s
                self._observer.call_ended(method, call.mode, code.name, reason, seconds)
                if keys is not None:
                    keys.ended(call.key, method, code.name)

        return guarded


async def _abort(context: Context, failure: RpcFailure, request_id: str) -> None:
    await context.abort(
        failure.code,
        failure.status.message,
        trailing_metadata=(
            (DETAILS_KEY, failure.status.SerializeToString()),
            (REQUEST_ID_KEY, request_id),
        ),
    )


def one_of_ours(error: Exception) -> AlphacutError:
    """Return an error of the tree as it is; whatever else was raised is a fault of ours, told without its text."""
    if isinstance(error, AlphacutError):
        return error
    fault = InternalFault("The server failed on this call; quote the request id.")
    fault.__cause__ = error
    return fault


def client_of(peer: str) -> str:
    """Return whom fairness counts a call against: the peer's address without its port."""
    kind, _, address = peer.partition(":")
    return address.rpartition(":")[0] if kind in ("ipv4", "ipv6") else kind


def _given_id(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for name, value in metadata:
        if name == REQUEST_ID_KEY:
            return value if isinstance(value, str) else ""
    return ""
