"""The file of API keys: what it may hold, whom it lets in, and how it is read anew."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphacut_server.key_file import (
    LOOK_INTERVAL_S,
    MAX_FILE_BYTES,
    MAX_KEYS,
    ApiKey,
    KeyFile,
    KeysUnusable,
    digest_of,
    format_key,
    parse_keys,
)
from support.api_keys import ARCHIVE_KEY, SHOP_KEY, FakeKeyObserver, line_of, write_keys
from support.batching import FakeClock

SHOP = line_of("shop", SHOP_KEY)
ARCHIVE = line_of("archive", ARCHIVE_KEY, is_bulk=True)
HASH = "sha256:" + "0f" * 32


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of keys that is in use."""

    path: Path
    keys: KeyFile
    clock: FakeClock
    observer: FakeKeyObserver

    def name_of(self, key: str) -> str | None:
        """Return whose key that is."""
        found = self.keys.find(key)
        return None if found is None else found.name

    def name_a_second_later(self, key: str) -> str | None:
        """Return whose key that is when a change must have been noticed."""
        self.clock.advance(LOOK_INTERVAL_S)
        return self.name_of(key)


def keep(path: Path) -> Kept:
    """Load a file of keys."""
    clock, observer = FakeClock(), FakeKeyObserver()
    keys = KeyFile(path, clock, observer)
    keys.load()
    return Kept(path, keys, clock, observer)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Use a file that holds the shop's key."""
    return keep(write_keys(tmp_path / "keys", SHOP))


def events(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    """Return the records of an event."""
    return [record for record in caplog.records if record.message == event]


def test_a_line_is_a_name_a_hash_and_attributes() -> None:
    """Comments, blank lines, tabs, line ends of Windows and capital hexadecimal digits are allowed."""
    text = (
        f"# keys\r\n\r\n  shop\t{HASH.upper().replace('SHA', 'sha')}\r\na.b-c_9 {HASH[:-1]}0 bulk # nightly\n"
    )

    keys = parse_keys(text)

    assert [(key.name, key.is_bulk, key.line) for key in keys] == [("shop", False, 3), ("a.b-c_9", True, 4)]
    assert keys[0].digest == bytes.fromhex("0f" * 32)


@given(text=st.text(alphabet="ab.-_Z#: \t\r\n\x0b\u2028\x00é0123456789", max_size=200))
def test_text_without_a_key_is_nothing_or_a_numbered_fault(text: str) -> None:
    """Nothing else comes out, whatever an editor left behind."""
    has_words = any(line.partition("#")[0].strip() for line in text.split("\n"))

    if has_words:
        with pytest.raises(KeysUnusable, match=r"^line [0-9]+: "):
            parse_keys(text)
    else:
        assert parse_keys(text) == ()


@given(
    keys=st.lists(
        st.tuples(st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True), st.binary(min_size=32, max_size=32)),
        unique_by=(lambda pair: pair[0], lambda pair: pair[1]),
        max_size=8,
    ),
    is_bulk=st.booleans(),
)
def test_a_formatted_key_is_read_back(keys: list[tuple[str, bytes]], is_bulk: bool) -> None:
    """What the command writes is what the server reads."""
    wanted = tuple(ApiKey(name, digest, is_bulk, line) for line, (name, digest) in enumerate(keys, start=1))

    assert parse_keys("".join(format_key(key) + "\n" for key in wanted)) == wanted


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Shop " + HASH, "a name is"),
        ("shöp " + HASH, "a name is"),
        ("x" * 65 + " " + HASH, "a name is"),
        (HASH, "a name is"),
        ("secret-word", "after the name comes sha256:"),
        ("shop secret-word", "never the key itself"),
        ("shop sha256:" + "0f" * 31, "64 hexadecimal digits"),
        ("shop sha256:" + "0f" * 33, "64 hexadecimal digits"),
        ("shop sha256:" + "0g" * 32, "64 hexadecimal digits"),
        ("shop sha1:" + "0f" * 32, "after the name comes sha256:"),
        (f"shop {HASH} secret-word", "only `bulk` may follow"),
        (f"shop {HASH} bulk bulk", "only `bulk` may follow"),
        (f"taken {HASH}", "the name stands on line 2 already"),
        (f"shop sha256:{digest_of(SHOP_KEY).hex()}", "the hash stands on line 2 already"),
    ],
)
def test_a_broken_line_is_named_and_not_quoted(line: str, says: str) -> None:
    """The operator finds it by its number; what stands there may be a secret in the wrong place."""
    text = f"# keys\n{line_of('taken', SHOP_KEY)}\n{line}\n"

    with pytest.raises(KeysUnusable, match=r"^line 4: ") as caught:
        parse_keys(text)

    assert says in str(caught.value)
    assert "secret-word" not in str(caught.value)
    assert "0f0f" not in str(caught.value)


def test_there_is_a_bound_to_the_number_of_keys() -> None:
    """Each call is compared with all of them."""
    lines = [line_of(f"k{number}", f"key {number}") for number in range(MAX_KEYS + 1)]

    assert len(parse_keys("".join(lines[:-1]))) == MAX_KEYS
    with pytest.raises(KeysUnusable, match="1001 keys"):
        parse_keys("".join(lines))


def test_a_key_is_found_and_nothing_like_it(tmp_path: Path) -> None:
    """By the whole key; neither its hash nor its name opens the door."""
    kept = keep(write_keys(tmp_path / "keys", SHOP, ARCHIVE))

    assert (kept.name_of(SHOP_KEY), kept.name_of(ARCHIVE_KEY)) == ("shop", "archive")
    strangers = [
        SHOP_KEY[:-1],
        SHOP_KEY + "x",
        SHOP_KEY.lower(),
        "shop",
        digest_of(SHOP_KEY).hex(),
        "",
        "\ud800",
    ]
    assert [kept.name_of(stranger) for stranger in strangers] == [None] * len(strangers)


def test_no_key_holds_before_the_file_was_loaded(tmp_path: Path) -> None:
    """Whatever goes wrong before, the door is shut and not open."""
    clock = FakeClock(now_s=-1.0)
    keys = KeyFile(write_keys(tmp_path / "keys", SHOP), clock, FakeKeyObserver())

    assert keys.find(SHOP_KEY) is None


def test_what_is_kept_of_a_key_shows_neither_it_nor_its_hash(kept: Kept) -> None:
    """In a traceback or a debugger's output, too."""
    found = kept.keys.find(SHOP_KEY)

    shown = repr(found) + repr(kept.keys) + repr(vars(kept.keys))
    assert "shop" in repr(found)
    assert SHOP_KEY not in shown
    assert digest_of(SHOP_KEY).hex() not in shown
    assert repr(digest_of(SHOP_KEY)) not in shown


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "it is empty"),
        (b"# nobody yet\n\n", "holds no key, so nobody could call. Make one with: alphacut keys create"),
        (b"shop secret-word\n", "line 1: "),
        (b"shop \xff\xfe secret-word\n", "it is not UTF-8"),
        (b"#" * (MAX_FILE_BYTES + 1), "more than 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_start(tmp_path: Path, content: bytes | None, says: str) -> None:
    """The message names the file and what to do; an empty file would lock everybody out."""
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(KeysUnusable) as caught:
        keep(path)

    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "secret-word" not in str(caught.value)
    assert caught.value.__cause__ is None or "secret-word" not in str(caught.value.__cause__)


def test_what_is_no_file_ends_the_start_and_is_not_waited_for(tmp_path: Path) -> None:
    """A folder, or a pipe that nobody writes into."""
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(KeysUnusable, match="not a regular file"):
            keep(path)


def test_a_changed_file_holds_within_a_second(kept: Kept) -> None:
    """The new key is let in and the old one is not; before the second has passed the file is not looked at."""
    write_keys(kept.path, ARCHIVE)

    assert (kept.name_of(SHOP_KEY), kept.name_of(ARCHIVE_KEY)) == ("shop", None)
    assert kept.name_a_second_later(SHOP_KEY) is None
    assert kept.name_of(ARCHIVE_KEY) == "archive"
    assert kept.observer.loaded == [("shop",), ("archive",)]


def test_a_file_written_in_place_is_noticed(kept: Kept) -> None:
    """Same file, same length, and even the time of its last change set back."""
    before = kept.path.stat()
    kept.path.write_text(line_of("shop", ARCHIVE_KEY))
    os.utime(kept.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert kept.path.stat().st_size == before.st_size

    assert kept.name_a_second_later(ARCHIVE_KEY) == "shop"


def test_a_swapped_symlink_is_noticed(tmp_path: Path) -> None:
    """As Kubernetes changes a mounted secret: the path stays, a folder's link points elsewhere."""
    for folder, line in (("first", SHOP), ("second", ARCHIVE)):
        (tmp_path / folder).mkdir()
        write_keys(tmp_path / folder / "keys", line)
    (tmp_path / "data").symlink_to("first")
    (tmp_path / "keys").symlink_to("data/keys")
    kept = keep(tmp_path / "keys")

    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").replace(tmp_path / "data")

    assert kept.name_a_second_later(ARCHIVE_KEY) == "archive"
    assert kept.name_of(SHOP_KEY) is None


@pytest.mark.parametrize("content", ["", "shop secret-word\n", SHOP + SHOP])
def test_a_broken_new_file_changes_nothing_and_is_told_of_once(
    kept: Kept, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    """The keys before it still hold, until a file comes that can be used."""
    write_keys(kept.path, content)

    held = [kept.name_a_second_later(SHOP_KEY) for _ in range(3)]
    told = events(caplog, "api_keys_rejected")
    rejected = kept.observer.rejected
    write_keys(kept.path, ARCHIVE)

    assert held == ["shop"] * 3
    assert (len(told), told[0].levelno, rejected) == (1, logging.ERROR, 1)
    assert "secret-word" not in str(vars(told[0]))
    assert kept.name_a_second_later(ARCHIVE_KEY) == "archive"


def test_a_file_that_goes_away_and_comes_back_is_told_of_once(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    """Meanwhile the keys hold: a file that is missing opens nothing and shuts nobody out."""
    kept.path.unlink()
    held = [kept.name_a_second_later(SHOP_KEY), kept.name_a_second_later(SHOP_KEY)]
    stranger = kept.name_of(ARCHIVE_KEY)
    write_keys(kept.path, ARCHIVE)

    assert held == ["shop", "shop"]
    assert stranger is None
    assert len(events(caplog, "api_keys_rejected")) == 1
    assert kept.name_a_second_later(ARCHIVE_KEY) == "archive"


def test_revoking_the_last_key_shuts_everybody_out(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    """A file of comments alone is meant so; the operator is warned of it."""
    write_keys(kept.path, "# nobody\n")

    assert kept.name_a_second_later(SHOP_KEY) is None
    (told,) = events(caplog, "api_keys_loaded")
    assert told.levelno == logging.WARNING


@pytest.mark.parametrize(
    ("mode", "is_exposed"),
    [(0o600, False), (0o640, False), (0o400, False), (0o644, True), (0o660, True), (0o602, True)],
)
def test_a_file_that_others_can_touch_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, is_exposed: bool
) -> None:
    """Read by the world, or written by anybody but its owner; the keys are taken all the same."""
    kept = keep(write_keys(tmp_path / "keys", SHOP, mode=mode))

    assert kept.name_of(SHOP_KEY) == "shop"
    assert len(events(caplog, "api_keys_exposed")) == is_exposed


def test_the_log_names_keys_and_shows_none(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happens to the file and whatever is presented."""
    with caplog.at_level(logging.DEBUG):
        write_keys(kept.path, SHOP, ARCHIVE)
        kept.name_a_second_later(SHOP_KEY)
        write_keys(kept.path, f"shop {SHOP_KEY}\n")
        kept.name_a_second_later(ARCHIVE_KEY)

    said = "".join(str(vars(record)) for record in caplog.records)
    assert "['shop', 'archive']" in said
    for secret in (SHOP_KEY, ARCHIVE_KEY, digest_of(SHOP_KEY).hex(), digest_of(ARCHIVE_KEY).hex()):
        assert secret not in said
