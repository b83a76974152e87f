"""From a body's bytes to a form: names and texts as callers mean them, files as they sent them, nothing else kept."""

import tracemalloc
from itertools import pairwise
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alphacut_gateway.form_readers import FieldLimits, Wanted, reader_of
from alphacut_gateway.forms import BodyMalformed, FilePart, Form
from support.gateway_http import multipart

WANTED = Wanted(files=frozenset({"image", "image-bg"}), texts=frozenset({"url", "url-bg"}))
MULTIPART = "multipart/form-data; boundary=b"
URLENCODED = "application/x-www-form-urlencoded"


def read(body: bytes, content_type: str = MULTIPART, *, cuts: tuple[int, ...] = ()) -> Form:
    """Read a body that comes cut at these places."""
    reader = reader_of(content_type, WANTED, FieldLimits())
    places = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    for begin, end in pairwise(places):
        reader.feed(body[begin:end])
    return reader.finish()


def image(disposition: bytes, content: bytes = b"pixels") -> FilePart | None:
    """Return what becomes of one part `image` with these parameters after its name."""
    body = multipart(b"b", (b'form-data; name="image"' + disposition, content))
    return read(body).files.get("image")


def test_files_and_texts_are_kept_by_name() -> None:
    """A file's bytes are as sent, line ends and dashes included; a text is a string."""
    content = b"\r\n--c\r\n--\x00\xff"
    body = multipart(
        b"b",
        (b'form-data; name="image"; filename="a.jpg"', content),
        (b'form-data; name="url-bg"', b"http://x"),
    )

    form = read(body)

    assert form == Form({"image": FilePart("a.jpg", content)}, {"url-bg": "http://x"})


def test_type_of_a_part_says_nothing() -> None:
    """A part without a type, and one of a foreign type, are files like any other."""
    for header in (
        b"",
        b"\r\nContent-Type: application/octet-stream",
        b"\r\ncontent-type: text/html; charset=x",
    ):
        assert image(b'; filename="picture"' + header) == FilePart("picture", b"pixels")


@pytest.mark.parametrize(
    ("parameters", "filename"),
    [
        (b'; filename="cat.jpg"', "cat.jpg"),
        (b"; filename=cat.jpg", "cat.jpg"),
        (b'; FileName = "cat.jpg"', "cat.jpg"),
        (b'; filename="a \\"b\\".jpg"', 'a "b".jpg'),
        (b'; filename="a %22b%22.jpg"', 'a "b".jpg'),
        (b'; filename="a;b=c.jpg"', "a;b=c.jpg"),
        ('; filename="кот.jpg"'.encode(), "кот.jpg"),
        ('; filename="café.jpg"'.encode("latin-1"), "café.jpg"),
        (b'; filename="\xff\xfe.jpg"', "ÿþ.jpg"),
        (b"; filename*=UTF-8''%D0%BA%D0%BE%D1%82.jpg", "кот.jpg"),
        (b"; filename=\"kot.jpg\"; filename*=utf-8'ru'%D0%BA%D0%BE%D1%82.jpg", "кот.jpg"),
        (b"; filename*=iso-8859-1''caf%E9.jpg; filename=\"cafe.jpg\"", "café.jpg"),
        (b"; filename*=utf-8''%FF.jpg", "\ufffd.jpg"),
        (b"; filename*=klingon''x.jpg; filename=\"y.jpg\"", "y.jpg"),
        (b"; filename=\"a; filename*=utf-8''x.jpg\"", "a; filename*=utf-8''x.jpg"),
        (b'; filename="C:\\photos\\cat.jpg"', "cat.jpg"),
        (b'; filename="photos/cat.jpg"', "photos/cat.jpg"),
    ],
)
def test_filename_is_what_the_caller_meant(parameters: bytes, filename: str) -> None:
    """Quotes, escapes of old and new browsers, extended names, any encoding; only a Windows path is cut to its end."""
    assert image(parameters) == FilePart(filename, b"pixels")


@pytest.mark.parametrize(
    ("parameters", "content", "part"),
    [
        (b"", b"pixels", FilePart("", b"pixels")),
        (b"", b"", None),
        (b'; filename=""', b"", None),
        (b'; filename=""', b"pixels", FilePart("", b"pixels")),
        (b'; filename="a.jpg"', b"", FilePart("a.jpg", b"")),
    ],
)
def test_file_is_absent_without_name_and_bytes(
    parameters: bytes, content: bytes, part: FilePart | None
) -> None:
    """A browser sends an empty part with an empty name when no file was chosen; an empty file has a name."""
    assert image(parameters, content) == part


def test_first_of_a_name_counts() -> None:
    """Repetitions are dropped; an absent file is no first one, an empty text is."""
    body = multipart(
        b"b",
        (b'form-data; name="image"; filename=""', b""),
        (b'form-data; name="image"; filename="1"', b"one"),
        (b'form-data; name="image"; filename="2"', b"two"),
        (b'form-data; name="url"', b""),
        (b'form-data; name="url"', b"http://second"),
    )

    form = read(body)

    assert form == Form({"image": FilePart("1", b"one")}, {"url": ""})


def test_text_with_a_filename_is_a_file_nobody_asked_for() -> None:
    """A file where an address is expected is dropped."""
    form = read(multipart(b"b", (b'form-data; name="url"; filename="urls.txt"', b"http://x")))

    assert form == Form({}, {})


@pytest.mark.parametrize("ending", [b"--b--\r\n", b"--b--", b"--b--\r\nan epilogue", b"--b--\r\n\r\n"])
def test_line_end_after_the_closing_boundary_may_be_missing(ending: bytes) -> None:
    """Known clients leave it out; what follows the boundary means nothing."""
    body = b'--b\r\nContent-Disposition: form-data; name="url"\r\n\r\nx\r\n' + ending

    assert read(body).texts == {"url": "x"}


@pytest.mark.parametrize("lost", [1, 2, 4, 7, 20, 60])
def test_body_without_its_closing_boundary_is_malformed(lost: int) -> None:
    """Half a picture must not pass for a whole one."""
    body = multipart(b"b", (b'form-data; name="image"; filename="a"', b"p" * 50)).removesuffix(b"\r\n")

    with pytest.raises(BodyMalformed, match="not well-formed multipart/form-data: Unexpected end"):
        read(body[:-lost])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"no boundary at all, but long enough to hold one", "Unexpected end"),
        (b"--b\nContent-Disposition: form-data\n\n", "Invalid line break"),
        (b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--", "Missing Content-Disposition"),
        (b"--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b--", "Wrong type"),
        (b"--b\r\nno colon\r\n\r\nx\r\n--b--", "Malformed segment header"),
        (b"--b\r\nX: " + b"a" * 9000, "header length"),
        (b"--b\r\n" + b"X: a\r\n" * 17, "header count"),
        (b"--bb--", "Unexpected byte after first boundary"),
    ],
)
def test_malformed_body_is_told_apart(body: bytes, sentence: str) -> None:
    """The message says what is wrong, for whoever writes the client."""
    with pytest.raises(BodyMalformed, match=sentence):
        read(body)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'b' * 300}"],
)
def test_multipart_without_a_boundary_is_malformed(content_type: str) -> None:
    """Who sets the header by hand forgets it; the message says so."""
    with pytest.raises(BodyMalformed, match="must name its boundary"):
        read(b"", content_type)


def test_boundary_may_be_quoted_and_the_type_in_capitals() -> None:
    """As RFC 2046 allows, and clients do."""
    body = multipart(b"a b=(1)", (b'form-data; name="url"', b"x"))

    assert read(body, 'Multipart/Form-Data; charset=utf-8; boundary="a b=(1)"').texts == {"url": "x"}


def test_empty_body_is_an_empty_form() -> None:
    """The caller forgot the fields, not the syntax."""
    assert read(b"") == Form({}, {})
    assert read(b"", URLENCODED) == Form({}, {})


@pytest.mark.parametrize("content_type", ["", "application/json", "image/png", "multipart/mixed; boundary=b"])
def test_other_types_are_no_forms(content_type: str) -> None:
    """Whatever is in them, no field is."""
    body = multipart(b"b", (b'form-data; name="url"', b"x"))

    assert read(body, content_type) == Form({}, {})


def test_number_of_parts_is_limited() -> None:
    """64 parts are read, wanted or not; one more is refused."""
    part = (b'form-data; name="x"', b"")
    url = (b'form-data; name="url"', b"x")

    assert read(multipart(b"b", *[part] * 63, url)).texts == {"url": "x"}
    with pytest.raises(BodyMalformed, match="segment count"):
        read(multipart(b"b", *[part] * 64, url))


@pytest.mark.parametrize("is_encoded", [False, True])
def test_length_of_a_text_is_limited(is_encoded: bool) -> None:
    """64 KiB pass, also when every byte is percent-encoded; more are refused, and by the name of the field."""

    def send(text: bytes) -> str:
        if is_encoded:
            return read(b"url=" + b"".join(b"%%%02X" % byte for byte in text), URLENCODED).texts["url"]
        return read(multipart(b"b", (b'form-data; name="url"', text))).texts["url"]

    assert send(b"u" * 65_536) == "u" * 65_536
    with pytest.raises(BodyMalformed, match="The field url is longer than 65536 bytes"):
        send(b"u" * 65_537)


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (b"url=http%3A%2F%2Fx%2Fa+b.jpg", {"url": "http://x/a b.jpg"}),
        (b"url=http://x/a.jpg?b=c", {"url": "http://x/a.jpg?b=c"}),
        (b"url=&url-bg=y", {"url": "", "url-bg": "y"}),
        (b"url", {"url": ""}),
        (b"&&url=x&", {"url": "x"}),
        (b"u%72l=x&url=y", {"url": "x"}),
        (b"url=%zz%", {"url": "%zz%"}),
        (b"url=%D0%BA", {"url": "к"}),
        (b"url=%E9", {"url": "é"}),
        (b"image=pixels&url=x", {"url": "x"}),
    ],
)
def test_urlencoded_texts_are_decoded(body: bytes, texts: dict[str, str]) -> None:
    """Names and values, `+` as a space, broken escapes as they stand; a file cannot come this way."""
    assert read(body, f"{URLENCODED}; charset=utf-8") == Form({}, texts)


def test_number_of_urlencoded_fields_is_limited() -> None:
    """As that of parts."""
    with pytest.raises(BodyMalformed, match="more than 64 fields"):
        read(b"a=1&" * 64 + b"url=x", URLENCODED)


@pytest.mark.parametrize("content_type", [MULTIPART, URLENCODED])
def test_unwanted_field_takes_no_memory(content_type: str) -> None:
    """16 MiB under a name nobody asked for are read and dropped."""
    chunk = b"p" * (1 << 16)
    begin, end = (b"junk=", b"&url=x")
    if content_type == MULTIPART:
        whole = multipart(
            b"b", (b'form-data; name="junk"; filename="j"', b"|"), (b'form-data; name="url"', b"x")
        )
        begin, end = whole.split(b"|")
    reader = reader_of(content_type, WANTED, FieldLimits())

    tracemalloc.start()
    reader.feed(begin)
    for _ in range(256):
        reader.feed(chunk)
    reader.feed(end)
    form = reader.finish()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert form == Form({}, {"url": "x"})
    assert peak_bytes < 1 << 20


def test_file_is_collected_without_a_second_copy() -> None:
    """At its worst moment a file takes its size and an eighth, not twice that."""
    begin, end = multipart(b"b", (b'form-data; name="image"; filename="i"', b"|")).split(b"|")
    chunk = b"p" * (1 << 16)
    reader = reader_of(MULTIPART, WANTED, FieldLimits())

    tracemalloc.start()
    reader.feed(begin)
    for _ in range(256):
        reader.feed(chunk)
    reader.feed(end)
    form = reader.finish()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(form.files["image"].content) == 1 << 24
    assert peak_bytes < 1.3 * (1 << 24)


names = st.sampled_from(["image", "image-bg", "url", "url-bg", "other"])
contents = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"\r", b"\n", b"--", b"--b", b"\r\n--", b"-", b"b", b"\x00"]), max_size=20).map(
        b"".join
    ),
).filter(lambda content: b"\r\n--b" not in b"\r\n" + content)
cuts = st.lists(st.integers(0, 2000), max_size=30).map(tuple)


@given(st.lists(st.tuples(names, st.booleans(), contents), max_size=8), cuts)
@example([("image", True, b"\r\n-")], tuple(range(200)))
def test_multipart_does_not_depend_on_where_it_is_cut(
    parts: list[tuple[str, bool, bytes]], places: tuple[int, ...]
) -> None:
    """However the network cuts a body, its form is the same, and each file is what was sent."""
    body = multipart(
        b"b",
        *(
            (b'form-data; name="%b"' % name.encode() + (b'; filename="f"' if has_name else b""), content)
            for name, has_name, content in parts
        ),
    )

    whole, cut = read(body), read(body, cuts=places)

    assert cut == whole
    for name, part in whole.files.items():
        sent = [content for other, has_name, content in parts if other == name and (has_name or content)]
        assert part.content == sent[0]


@given(st.lists(st.tuples(names, st.text(max_size=50)), max_size=8), cuts)
def test_urlencoded_does_not_depend_on_where_it_is_cut(
    fields: list[tuple[str, str]], places: tuple[int, ...]
) -> None:
    """However the network cuts a body, its texts are the ones sent."""
    fields = [(name, text.encode("utf-8", "ignore").decode()) for name, text in fields]
    body = urlencode(fields).encode()

    form = read(body, URLENCODED, cuts=places)

    wanted = {name: text for name, text in reversed(fields) if name in WANTED.texts}
    assert form == Form({}, wanted)


@given(st.binary(max_size=400), cuts)
def test_any_bytes_are_a_form_or_malformed(noise: bytes, places: tuple[int, ...]) -> None:
    """Nothing else comes out, whatever comes in, inside a part's header or around it."""
    for body in (
        noise,
        b"--b\r\n" + noise,
        b"--b\r\nContent-Disposition: form-data; " + noise,
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="' + noise + b'"\r\n\r\nx\r\n--b--',
    ):
        for content_type in (MULTIPART, URLENCODED):
            try:
                form = read(body, content_type, cuts=places)
            except BodyMalformed:
                continue
            for name in [*form.texts.values(), *(part.filename for part in form.files.values())]:
                name.encode()  # any text can be passed on: none holds half a surrogate pair


def test_percent_encoded_bytes_of_any_kind_are_text() -> None:
    """Latin-1 where UTF-8 does not fit, so that no caller's bytes are an error."""
    every_byte = bytes(range(256))

    form = read(b"url=" + quote_from_bytes(every_byte).encode(), URLENCODED)

    assert form.texts == {"url": every_byte.decode("latin-1")}
