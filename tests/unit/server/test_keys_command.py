"""`alphacut keys` as its users call it: what it prints, what it writes, and its exit codes."""

import io
import re
import stat
import threading
from datetime import date
from pathlib import Path

import pytest

from alphacut_server.key_file import digest_of, parse_keys
from alphacut_server.keys_command import main
from support.api_keys import ARCHIVE_KEY, SHOP_KEY, line_of, write_keys
from support.cli import files_in

KEY = re.compile(r"alphacut_[A-Za-z0-9_-]{43}\n")
TODAY = date(2026, 11, 23)


def run(*argv: str | Path, stdin: str = "") -> int:
    """Run the command on a day of the test's choice."""
    return main([str(word) for word in argv], stdin=io.StringIO(stdin), today=lambda: TODAY)


def mode_of(path: Path) -> int:
    """Return a file's permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_create_prints_the_key_alone_and_the_line_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The key on standard output, ready to be piped on; the line to add among the words."""
    code = run("create", "shop")

    said = capsys.readouterr()
    assert code == 0
    assert KEY.fullmatch(said.out)
    hashed = digest_of(said.out.strip()).hex()
    assert f"\nshop  sha256:{hashed}  # created 2026-11-23\n" in said.err
    assert said.out.strip() not in said.err


def test_every_key_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    """They are random."""
    for _ in range(20):
        run("create", "shop")

    assert len(set(capsys.readouterr().out.split())) == 20


def test_create_adds_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is made for its owner's eyes alone; keys already there stay, and the keys are nowhere in it."""
    path = tmp_path / "keys"

    codes = [run("create", "shop", "--file", path), run("create", "archive", "--bulk", "--file", path)]

    keys = capsys.readouterr().out.split()
    text = path.read_text()
    assert codes == [0, 0]
    assert mode_of(path) == 0o600
    assert [(key.name, key.is_bulk) for key in parse_keys(text)] == [("shop", False), ("archive", True)]
    assert [key.digest for key in parse_keys(text)] == [digest_of(key) for key in keys]
    assert not any(key in text for key in keys)
    assert files_in(tmp_path) == {"keys"}


def test_create_leaves_comments_and_a_missing_line_end_alone(tmp_path: Path) -> None:
    """What a person wrote stays as it was, and the new line stands on its own."""
    path = write_keys(tmp_path / "keys", "# ours\r\n", line_of("shop", SHOP_KEY).rstrip("\n"))
    before = path.read_bytes()

    assert run("create", "archive", "--file", path) == 0

    assert path.read_bytes().startswith(before + b"\narchive  sha256:")


@pytest.mark.parametrize(("before", "after"), [(0o640, 0o640), (0o600, 0o600), (0o644, 0o640)])
def test_a_file_keeps_its_mode_but_is_closed_to_the_world(tmp_path: Path, before: int, after: int) -> None:
    """A server that reads it as a member of its group still can."""
    path = write_keys(tmp_path / "keys", line_of("shop", SHOP_KEY), mode=before)

    assert run("create", "archive", "--file", path) == 0

    assert mode_of(path) == after


def test_a_symlink_stays_one(tmp_path: Path) -> None:
    """The file it points to is replaced, beside itself."""
    (tmp_path / "real").mkdir()
    real = write_keys(tmp_path / "real" / "keys", line_of("shop", SHOP_KEY))
    (tmp_path / "keys").symlink_to(real)

    assert run("create", "archive", "--file", tmp_path / "keys") == 0

    assert (tmp_path / "keys").is_symlink()
    assert len(parse_keys(real.read_text())) == 2


def test_create_refuses_a_name_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No key is shown, and the file stays as it was."""
    path = write_keys(tmp_path / "keys", line_of("shop", SHOP_KEY))
    before = path.read_bytes()

    code = run("create", "shop", "--file", path)

    said = capsys.readouterr()
    assert (code, said.out) == (1, "")
    assert "the name stands on line 1 already" in said.err
    assert path.read_bytes() == before
    assert files_in(tmp_path) == {"keys"}


def test_a_broken_file_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is mended by hand first; its line is named and not quoted."""
    path = write_keys(tmp_path / "keys", "shop secret-word\n")

    codes = [run("create", "archive", "--file", path), run("list", "--file", path)]
    codes.append(run("revoke", "shop", "--file", path))

    said = capsys.readouterr()
    assert codes == [1, 1, 1]
    assert said.err.count(f"{path}: line 1: ") == 3
    assert "secret-word" not in said.out + said.err
    assert path.read_text() == "shop secret-word\n"


def test_what_is_no_text_is_no_file_of_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, not a traceback."""
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\xff")

    assert run("create", "shop", "--file", tmp_path / "picture") == 1

    assert "is not UTF-8" in capsys.readouterr().err


def test_a_key_that_a_caller_has_already_is_hashed_from_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not printed again."""
    path = tmp_path / "keys"

    code = run("create", "shop", "--stdin", "--file", path, stdin=f"{SHOP_KEY}\n")

    said = capsys.readouterr()
    assert code == 0
    assert parse_keys(path.read_text())[0].digest == digest_of(SHOP_KEY)
    assert SHOP_KEY not in said.out + said.err


@pytest.mark.parametrize("key", ["", "correct horse battery staple", "password123", "ключ" * 10])
def test_a_key_that_could_be_guessed_or_not_be_sent_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    """Its hash would not protect it."""
    code = run("create", "shop", "--stdin", "--file", tmp_path / "keys", stdin=f"{key}\n")

    said = capsys.readouterr()
    assert code == 1
    assert "22 to 512 printable" in said.err
    assert files_in(tmp_path) == set()


def test_list_shows_names_priorities_and_remarks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And no hash."""
    lines = (
        line_of("shop", SHOP_KEY),
        line_of("archive", ARCHIVE_KEY, is_bulk=True).strip(),
        "  # nightly\n",
    )

    code = run("list", "--file", write_keys(tmp_path / "keys", *lines))

    out = capsys.readouterr().out
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["NAME", "PRIORITY", "REMARK"],
        ["shop", "any"],
        ["archive", "bulk", "nightly"],
    ]
    assert "sha256" not in out


def test_revoke_takes_one_line_and_no_other(tmp_path: Path) -> None:
    """Comments stay."""
    lines = ("# ours\n", line_of("shop", SHOP_KEY), line_of("archive", ARCHIVE_KEY), "# end\n")
    path = write_keys(tmp_path / "keys", *lines)

    assert run("revoke", "shop", "--file", path) == 0

    assert path.read_text() == f"# ours\n{lines[2]}# end\n"


def test_revoking_the_last_key_leaves_a_file_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server takes an empty file for a broken one, and would keep the key."""
    path = write_keys(tmp_path / "keys", line_of("shop", SHOP_KEY))

    assert run("revoke", "shop", "--file", path) == 0

    assert path.read_text().startswith("# ")
    assert parse_keys(path.read_text()) == ()
    assert "refuses every call" in capsys.readouterr().err


def test_revoking_who_is_not_there_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error must not look like a revocation."""
    path = write_keys(tmp_path / "keys", line_of("shop", SHOP_KEY))

    assert run("revoke", "shpo", "--file", path) == 1

    assert "holds no key called shpo" in capsys.readouterr().err
    assert len(parse_keys(path.read_text())) == 1


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("create",),
        ("create", "Shop"),
        ("create", "a b"),
        ("list",),
        ("revoke", "shop"),
        ("rotate", "shop"),
    ],
)
def test_what_it_does_not_understand_is_usage(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what would be right."""
    assert run(*argv) == 2
    assert "usage: alphacut keys" in capsys.readouterr().err


def test_help_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """It names the verbs."""
    assert run("--help") == 0
    assert "create | list | revoke" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["list", "revoke"])
def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """With its name."""
    words = [verb, "shop"] if verb == "revoke" else [verb]

    assert run(*words, "--file", tmp_path / "none") == 1

    assert f"{tmp_path / 'none'}: No such file or directory" in capsys.readouterr().err


def test_two_operators_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each run holds the file from reading to replacing it."""
    path = write_keys(tmp_path / "keys", line_of("shop", SHOP_KEY))
    start = threading.Barrier(8)

    def create(number: int) -> None:
        start.wait(timeout=10)
        assert run("create", f"k{number}", "--file", path) == 0

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    names = {key.name for key in parse_keys(path.read_text())}
    assert names == {"shop", *(f"k{number}" for number in range(8))}
