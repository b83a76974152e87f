"""API keys at the door: which key a call brings in its metadata, and whose it is."""

import logging
from collections.abc import Iterable
from typing import Protocol

from alphacut_server.errors import Unauthenticated
from alphacut_server.key_file import ApiKey, KeyFile

KEY_HEADER = "x-api-key"
AUTHORIZATION_HEADER = "authorization"
BEARER = "bearer"

logger = logging.getLogger(__name__)


class KeyObserver(Protocol):
    """Hears how calls with a key ended."""

    def key_used(self, key: str, code: str) -> None:
        """A call with the key of that name was answered."""
        ...


class KeyCheck:
    """Lets calls in by their key. The key itself goes no further than here: not into logs, errors or metrics."""

    def __init__(self, file: KeyFile, observer: KeyObserver) -> None:
        self._file = file
        self._observer = observer

    def admit(self, metadata: Iterable[tuple[str, str | bytes]]) -> ApiKey:
        """Return the key that a call brought. Raises Unauthenticated, the same for none and for a wrong one."""
        presented = presented_key(metadata)
        key = self._file.find(presented) if presented else None
        if key is None:
            raise Unauthenticated
        return key

    def ended(self, key: ApiKey | None, method: str, code: str) -> None:
        """Count and log an answer; None means that the call was not let in."""
        if key is None:
            return
        self._observer.key_used(key.name, code)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("call_answered", extra={"key_name": key.name, "method": method, "code": code})


def presented_key(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the key in a call's metadata, empty when there is none.

    `x-api-key` wins over `authorization`, which a proxy or a mesh may have filled with something of its own.
    """
    bearer = ""
    for name, value in metadata:
        if not isinstance(value, str):
            continue
        if name == KEY_HEADER and (key := value.strip()):
            return key
        if name == AUTHORIZATION_HEADER and not bearer:
            scheme, _, token = value.strip().partition(" ")
            bearer = token.strip() if scheme.lower() == BEARER else ""
    return bearer
