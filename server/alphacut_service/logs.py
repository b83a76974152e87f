"""Structured logs on the standard library: one event a line, with fields, as JSON or as text for a terminal.

An event is a word in past tense, its fields ride in `extra`:
    log.info("batch_dispatched", extra={"size": 6, "queue_delay_s": 0.004})
A field must not be called as an attribute of logging.LogRecord (`name`, `args`, `message`, …); logging refuses it.
Neither image bytes nor text from callers belong here.
"""

import json
import logging
import re
import secrets
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TextIO

from pydantic import Field
from pythonjsonlogger.json import JsonFormatter

from alphacut_service.fields import Section

# The id of the request being served, in every line logged on its behalf; empty outside of a request.
request_id: ContextVar[str] = ContextVar("alphacut_request_id", default="")

# What may come in from a caller and go out in headers and logs unchanged.
_HARMLESS_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# Libraries whose INFO says again what our own events say, or says it once a request.
_CHATTY = ("uvicorn", "httpx", "httpcore", "asyncio", "grpc")

_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogLevel(Enum):
    """The least severe event that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(Enum):
    """How an event is written; auto is text on a terminal and JSON elsewhere."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class LogSettings(Section):
    """Logs."""

    log_level: LogLevel = Field(
        default=LogLevel.INFO,
        description="Least severe event written: debug has a line a request, info the lifecycle.",
    )
    log_format: LogFormat = Field(
        default=LogFormat.AUTO,
        description="JSON for machines, text for people; auto is text on a terminal, else JSON.",
    )


def configure(settings: LogSettings, *, stream: TextIO | None = None) -> None:
    """Send every logger of this process to one handler on `stream` (standard error unless told); may be called again."""
    stream = stream or sys.stderr
    is_text = settings.log_format is LogFormat.TEXT or (
        settings.log_format is LogFormat.AUTO and stream.isatty()
    )
    handler = _OwnHandler(stream)
    handler.setFormatter(_TextFormatter() if is_text else _EventFormatter())
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _OwnHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level.name)
    quiet = logging.INFO if settings.log_level is LogLevel.DEBUG else logging.WARNING
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(quiet, root.level))
    logging.captureWarnings(capture=True)


def adopt_request_id(offered: str | None) -> str:
    """Return the caller's request id if it is harmless in a log and a header, else a new one."""
    if offered and _HARMLESS_ID.fullmatch(offered):
        return offered
    return secrets.token_hex(8)


class _OwnHandler(logging.StreamHandler[TextIO]):
    """Marks the handler that `configure` may replace; handlers of others (a test runner's) stay."""


class _EventFormatter(JsonFormatter):
    """One JSON object a line: timestamp, level, logger, event, request_id, then the event's own fields."""

    def __init__(self) -> None:
        super().__init__(json_default=str, json_ensure_ascii=False)

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        log_data.update(
            timestamp=_timestamp(record),
            level=record.levelname.lower(),
            logger=record.name,
            event=record.getMessage(),
        )
        log_data.update(_fields_of(record))
        log_data.update(message_dict)


class _TextFormatter(logging.Formatter):
    """One line a person can read: time, level, event, fields as key=value; a traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_plain(value)}" for name, value in _fields_of(record).items())
        event = _one_line(record.getMessage())
        line = f"{_timestamp(record)[11:23]} {record.levelname:<7} {event}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """Return the request id, if any, and what `extra` gave; an id given there wins over the context's."""
    context = {"request_id": request_id.get()} if request_id.get() else {}
    own = {name: value for name, value in vars(record).items() if name not in _RECORD_ATTRIBUTES}
    # uvicorn doubles its messages with terminal colours.
    own.pop("color_message", None)
    return {**context, **own}


def _timestamp(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, tz=UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> str:
    """Return a value bare when that is unambiguous, else quoted."""
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")
