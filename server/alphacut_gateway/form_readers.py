"""From chunks of a body to a form: one reader for each content type, fed as bytes come. No I/O, no clock.

A reader stores what was asked for and drops the rest as it comes, so its memory is that of the fields wanted.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import unquote, unquote_to_bytes

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from alphacut_gateway.forms import BodyMalformed, FilePart, Form

# RFC 2046 allows 70 characters; who sends more than this sends no boundary.
MAX_BOUNDARY_LENGTH = 256
# A part's header line holds a name and a file's name, which may be percent-encoded: 255 bytes times 3, and much to spare.
MAX_PART_HEADER_BYTES = 8192
MAX_PART_HEADERS = 16

Result = TypeVar("Result")

NO_BOUNDARY = "The Content-Type header of a multipart/form-data request must name its boundary; let your HTTP library set it."

# A parameter of a Content-Disposition header: a quoted string is taken whole, so that nothing inside it passes for one.
PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:\\.|[^"\\])*"|[^;]*)')


@dataclass(frozen=True, slots=True)
class FieldLimits:
    """How many fields a form may have, wanted or not, and how long a text may be."""

    max_fields: int = 64
    max_text_bytes: int = 65_536


@dataclass(frozen=True, slots=True)
class Wanted:
    """The names of the fields to keep."""

    files: frozenset[str]
    texts: frozenset[str]


class FormReader(Protocol):
    """Takes a body's bytes in order. Both methods raise BodyMalformed."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, at least one."""
        ...

    def finish(self) -> Form:
        """Return the form, the body being over."""
        ...


def reader_of(content_type: str, wanted: Wanted, limits: FieldLimits) -> FormReader:
    """Return what reads a body of this type; a type that is no form's is read, and gives an empty form."""
    kind, options = parse_options_header(content_type)
    if kind == "multipart/form-data":
        return MultipartReader(options.get("boundary", ""), wanted, limits)
    if kind == "application/x-www-form-urlencoded":
        return UrlencodedReader(wanted, limits)
    return NoFormReader()


class NoFormReader:
    """Reads a body that is no form."""

    def feed(self, chunk: bytes) -> None:
        """Drop the bytes."""

    def finish(self) -> Form:
        """Return a form without fields."""
        return Form({}, {})


class MultipartReader:
    """Reads multipart/form-data. The type of a part and the extension of its file's name say nothing and are ignored."""

    def __init__(self, boundary: str, wanted: Wanted, limits: FieldLimits) -> None:
        if not boundary or len(boundary) > MAX_BOUNDARY_LENGTH:
            raise BodyMalformed(NO_BOUNDARY)
        self._wanted = wanted
        self._limits = limits
        # Latin-1 keeps every byte of a header, whatever the caller's encoding; `decode` finds the text in them.
        self._parser = _telling(
            lambda: PushMultipartParser(
                boundary.encode("latin-1", "replace"),
                max_header_size=MAX_PART_HEADER_BYTES,
                max_header_count=MAX_PART_HEADERS,
                max_segment_count=limits.max_fields,
                header_charset="latin-1",
            )
        )
        self._files: dict[str, FilePart] = {}
        self._texts: dict[str, str] = {}
        self._is_empty = True
        # The part being read: what it is called, and where its bytes go; None drops them.
        self._name = ""
        self._filename: str | None = None
        self._content: io.BytesIO | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._is_empty = False
        _telling(lambda: self._parse(chunk))

    def finish(self) -> Form:
        """Return the form; a body without its closing boundary may have lost bytes and is refused."""
        if not self._is_empty:
            _telling(self._parser.close)
        return Form(self._files, self._texts)

    def _parse(self, chunk: bytes) -> None:
        for event in self._parser.parse(chunk):
            if isinstance(event, MultipartSegment):
                self._begin(event)
            elif event is None:
                self._end()
            elif self._content is not None:
                self._content.write(event)
                if self._name in self._wanted.texts and self._content.tell() > self._limits.max_text_bytes:
                    raise BodyMalformed(too_long(self._name, self._limits))

    def _begin(self, part: MultipartSegment) -> None:
        self._name = decode((part.name or "").encode("latin-1"))
        self._filename = file_name(part)
        is_file = self._name in self._wanted.files and self._name not in self._files
        is_text = (
            self._name in self._wanted.texts and self._name not in self._texts and self._filename is None
        )
        self._content = io.BytesIO() if is_file or is_text else None

    def _end(self) -> None:
        if self._content is None:
            return
        # Without a copy: the stream hands over the bytes it holds, and is dropped.
        content, self._content = self._content.getvalue(), None
        if self._name in self._wanted.texts:
            self._texts[self._name] = decode(content)
        elif self._filename or content:
            self._files[self._name] = FilePart(self._filename or "", content)


class UrlencodedReader:
    """Reads application/x-www-form-urlencoded; it carries texts alone."""

    def __init__(self, wanted: Wanted, limits: FieldLimits) -> None:
        self._wanted = wanted
        self._limits = limits
        # What a text takes when each of its bytes is percent-encoded, and its name.
        self._max_field_bytes = 3 * limits.max_text_bytes + MAX_PART_HEADER_BYTES
        self._texts: dict[str, str] = {}
        self._fields = 0
        self._field = bytearray()
        self._drops = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        begin = 0
        while (end := chunk.find(b"&", begin)) >= 0:
            self._take(chunk[begin:end])
            self._end()
            begin = end + 1
        self._take(chunk[begin:])

    def finish(self) -> Form:
        """Return the form."""
        self._end()
        return Form({}, self._texts)

    def _take(self, piece: bytes) -> None:
        if self._drops:
            return
        self._field += piece
        if len(self._field) > self._max_field_bytes:
            name = self._split()[0]
            if name in self._wanted.texts:
                raise BodyMalformed(too_long(name, self._limits))
            self._drops = True
            self._field.clear()

    def _end(self) -> None:
        self._fields += 1
        if self._fields > self._limits.max_fields:
            raise BodyMalformed(f"The form has more than {self._limits.max_fields} fields.")
        name, value = self._split()
        self._field.clear()
        self._drops = False
        if name not in self._wanted.texts or name in self._texts:
            return
        if len(value) > self._limits.max_text_bytes:
            raise BodyMalformed(too_long(name, self._limits))
        self._texts[name] = decode(value)

    def _split(self) -> tuple[str, bytes]:
        name, _, value = bytes(self._field).replace(b"+", b" ").partition(b"=")
        return decode(unquote_to_bytes(name)), unquote_to_bytes(value)


def file_name(part: MultipartSegment) -> str | None:
    """Return the file's name that a part's header gives, None when it gives none.

    `filename*` (RFC 5987, which old HTTP libraries use for names beyond ASCII) comes before `filename`.
    """
    extended = _extended_file_name(part.header("Content-Disposition") or "")
    if extended is not None:
        return extended
    return None if part.filename is None else decode(part.filename.encode("latin-1"))


def _extended_file_name(header: str) -> str | None:
    if "*" not in header:
        return None
    for parameter, value in PARAMETER.findall(header):
        if parameter.lower() == "filename*":
            charset, _, rest = value.strip().strip('"').partition("'")
            _language, quote, encoded = rest.partition("'")
            if quote and charset.lower() in {"utf-8", "iso-8859-1"}:
                return unquote(encoded, encoding=charset, errors="replace")
    return None


def decode(raw: bytes) -> str:
    """Return the text that a caller's bytes mean: UTF-8, or else Latin-1, which any bytes are."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def too_long(name: str, limits: FieldLimits) -> str:
    """Say that a text field is too long."""
    return f"The field {name} is longer than {limits.max_text_bytes} bytes."


def _telling(step: Callable[[], Result]) -> Result:
    """Take a step of the parser; what it refuses is told as BodyMalformed."""
    try:
        return step()
    except MultipartError as error:
        raise BodyMalformed(f"The body is not well-formed multipart/form-data: {error.args[0]}.") from error
