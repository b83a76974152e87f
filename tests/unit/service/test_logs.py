"""Log lines: what is in them, and where they go."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from alphacut_service.logs import LogFormat, LogLevel, LogSettings, adopt_request_id, configure, request_id

log = logging.getLogger("alphacut.sample")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(autouse=True)
def restored_root() -> Iterator[None]:
    """Put the root logger, and the switch for warnings, back as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def configured(
    format: LogFormat, level: LogLevel = LogLevel.INFO, stream: io.StringIO | None = None
) -> io.StringIO:
    """Configure logging to a new stream and return it."""
    stream = stream or io.StringIO()
    configure(LogSettings(log_level=level, log_format=format), stream=stream)
    return stream


def test_json_line_has_event_fields_and_request_id() -> None:
    """One line is one object: when, how severe, who, what, for which request, and the event's own fields."""
    stream = configured(LogFormat.JSON)
    token = request_id.set("abc123")

    log.info("batch_dispatched", extra={"size": 6, "queue_delay_s": 0.004, "who": "Zoë\n"})
    request_id.reset(token)

    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "level": "info",
        "logger": "alphacut.sample",
        "event": "batch_dispatched",
        "request_id": "abc123",
        "size": 6,
        "queue_delay_s": 0.004,
        "who": "Zoë\n",
    }


def test_json_line_without_request_has_no_request_id() -> None:
    """Lifecycle events belong to no request."""
    stream = configured(LogFormat.JSON)

    log.info("server_started")

    assert "request_id" not in json.loads(stream.getvalue())


def test_json_line_keeps_the_traceback_in_one_line() -> None:
    """An error's traceback is a field, so that a line stays an event."""
    stream = configured(LogFormat.JSON)

    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("call_failed")

    (line,) = stream.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["exc_info"]


def test_text_line_quotes_what_could_be_misread() -> None:
    """A value with spaces or line breaks cannot pass for more fields or another line."""
    stream = configured(LogFormat.TEXT)

    log.warning("setting_ignored", extra={"reason": "no\nsuch name", "count": 1})

    (line,) = stream.getvalue().splitlines()
    assert line.split(" ", 1)[1] == 'WARNING setting_ignored reason="no\\nsuch name" count=1'


def test_text_shows_the_traceback() -> None:
    """A person reads it below the line."""
    stream = configured(LogFormat.TEXT)

    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("call_failed")

    assert "ERROR   call_failed\nTraceback" in stream.getvalue()


def test_auto_is_text_on_a_terminal_and_json_elsewhere() -> None:
    """People get text, collectors get JSON."""
    terminal = configured(LogFormat.AUTO, stream=Terminal())
    log.info("first")
    pipe = configured(LogFormat.AUTO)
    log.info("second")

    assert terminal.getvalue().endswith("INFO    first\n")
    assert json.loads(pipe.getvalue())["event"] == "second"


def test_configuring_again_replaces_the_handler() -> None:
    """Nothing is written twice, and nothing to the old stream."""
    old = configured(LogFormat.JSON)
    new = configured(LogFormat.JSON)

    log.info("once")

    assert old.getvalue() == ""
    assert len(new.getvalue().splitlines()) == 1


def test_level_hides_what_is_less_severe() -> None:
    """Debug lines are written only when asked for."""
    stream = configured(LogFormat.JSON, LogLevel.WARNING)

    log.info("hidden")
    log.warning("shown")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["shown"]


@pytest.mark.parametrize("library", ["uvicorn.error", "grpc._cython.cygrpc", "httpx"])
def test_libraries_are_heard_from_warning_on(library: str) -> None:
    """What libraries say at INFO our own events say already; their warnings come through the same handler."""
    stream = configured(LogFormat.JSON)

    logging.getLogger(library).info("chatter")
    logging.getLogger(library).warning("trouble")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["trouble"]


@pytest.mark.parametrize("offered", ["abc-123", "A.b_c", "x" * 64])
def test_harmless_request_id_is_adopted(offered: str) -> None:
    """A caller's id is kept, so that both sides' logs can be joined."""
    assert adopt_request_id(offered) == offered


@pytest.mark.parametrize("offered", [None, "", "a b", "x" * 65, "a\nb", "ключ"])
def test_other_request_id_is_replaced(offered: str | None) -> None:
    """What could break a header or a log line is not repeated; two new ids differ."""
    first, second = adopt_request_id(offered), adopt_request_id(offered)

    assert first != offered
    assert first != second
