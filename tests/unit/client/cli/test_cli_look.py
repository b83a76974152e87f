"""What `alphacut remove` is asked to make of a picture reaches the server: background, format, crop, quality, URLs."""

from pathlib import Path

import grpc
import pytest

from alphacut.cli.console import ExitCode
from alphacut.v1 import image_pb2, options_pb2
from support.cli import Stream, files_in, make_photos, run_cli
from support.fake_service import FakeServer, Request, Step, fail, make_file, make_status


def refuse_option(field: str, reason: str = "INVALID_OPTION") -> Step:
    """Return a step that refuses a field, as the server does."""
    return fail(
        make_status(
            grpc.StatusCode.INVALID_ARGUMENT, "It is no colour.", reason=reason, metadata={"field": field}
        )
    )


def only_request(server: FakeServer) -> Request:
    """Return the one request that came."""
    (request,) = server.service.requests
    return request


def test_quality_and_crop_are_passed_on(server: FakeServer, tmp_path: Path) -> None:
    """Quality by name, the margin as a share."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    ended = run_cli("remove", photo, "--quality", "best", "--crop", "0.25", "--server", server.target)

    request = only_request(server)
    assert ended.code == ExitCode.DONE
    assert request.quality == options_pb2.QUALITY_BEST
    assert request.output.crop.margin == 0.25


def test_crop_without_margin_is_tight(server: FakeServer, tmp_path: Path) -> None:
    """--crop alone cuts to the box, and no --crop does not."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    run_cli("remove", photo, "--crop", "--server", server.target)
    run_cli("remove", photo, "--overwrite", "--server", server.target)

    tight, whole = server.service.requests
    assert (tight.output.HasField("crop"), tight.output.crop.margin) == (True, 0)
    assert not whole.output.HasField("crop")


@pytest.mark.parametrize(
    ("word", "name"), [("webp", "a.cutout.webp"), ("jpeg", "a.cutout.jpg"), ("jpg", "a.cutout.jpg")]
)
def test_format_is_asked_for_and_named(server: FakeServer, tmp_path: Path, word: str, name: str) -> None:
    """The file holds what its ending says."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    ended = run_cli("remove", photo, "--format", word, "--server", server.target)

    request = only_request(server)
    assert ended.code == ExitCode.DONE
    assert (tmp_path / name).read_bytes() == make_file(b"a.jpg", 0, request.output.format)


def test_out_file_s_ending_is_asked_for(server: FakeServer, tmp_path: Path) -> None:
    """-o cut.jpg asks the server for a JPEG."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    run_cli("remove", photo, "-o", tmp_path / "cut.jpg", "--server", server.target)

    assert only_request(server).output.format == image_pb2.IMAGE_FORMAT_JPEG
    assert (tmp_path / "cut.jpg").read_bytes().startswith(b"\xff\xd8")


def test_pipe_may_have_a_format(server: FakeServer) -> None:
    """Through a pipe there is no name; the flag alone decides."""
    ended = run_cli("remove", "-", "--format", "webp", "--server", server.target, stdin=Stream(b"photo"))

    assert ended.stdout == make_file(b"photo", 0, image_pb2.IMAGE_FORMAT_WEBP)


def test_background_file_goes_behind_every_picture(server: FakeServer, tmp_path: Path) -> None:
    """Its bytes and the fit are in each request."""
    make_photos(tmp_path / "in", "a.jpg", "b.jpg")
    (beach,) = make_photos(tmp_path, "beach.jpg")

    ended = run_cli(
        "remove",
        tmp_path / "in",
        "--background",
        beach,
        "--background-fit",
        "cover",
        "--server",
        server.target,
    )

    backgrounds = [request.background for request in server.service.requests]
    assert ended.code == ExitCode.DONE
    assert [each.image.content for each in backgrounds] == [b"beach.jpg", b"beach.jpg"]
    assert {each.fit for each in backgrounds} == {options_pb2.BACKGROUND_FIT_COVER}


def test_background_may_be_a_url_or_a_colour(server: FakeServer, tmp_path: Path) -> None:
    """Both are the server's to make sense of."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    run_cli("remove", photo, "--background", "https://example.org/b.png", "--server", server.target)
    run_cli("remove", photo, "--background-color", "#fff", "--overwrite", "--server", server.target)

    by_url, by_color = (request.background for request in server.service.requests)
    assert by_url.image.url == "https://example.org/b.png"
    assert by_color.color == "#fff"


def test_unreadable_background_is_told_before_any_work(server: FakeServer, tmp_path: Path) -> None:
    """A file too large for any request is a matter of usage, with its name."""
    (photo,) = make_photos(tmp_path, "a.jpg")
    with (tmp_path / "film.mov").open("wb") as film:
        film.truncate(1 << 40)

    ended = run_cli("remove", photo, "--background", tmp_path / "film.mov", "--server", server.target)

    assert ended.code == ExitCode.USAGE
    assert "film.mov cannot be read: The file has" in ended.stderr
    assert server.service.requests == []


@pytest.mark.parametrize(
    ("words", "step"),
    [
        (["--background-color", "blurple"], refuse_option("background.color")),
        (["--background", "bg/beach.jpg"], refuse_option("", "BACKGROUND_NOT_LOADABLE")),
        (["--background", "bg/beach.jpg"], refuse_option("background.image", "IMAGE_TOO_LARGE")),
        (["--format", "webp"], refuse_option("output.format", "NOT_IMPLEMENTED")),
    ],
    ids=["colour", "file", "large file", "old server"],
)
def test_refused_option_ends_the_run(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], step: Step
) -> None:
    """It would fail every picture alike: told once, with the exit code of a wrong command."""
    monkeypatch.chdir(tmp_path)
    make_photos(tmp_path, "bg/beach.jpg", *(f"{number}.jpg" for number in range(5)))
    server.service.script.extend([step] * 5)

    ended = run_cli("remove", tmp_path, *words, "--jobs", "1", "--server", server.target)

    assert ended.code == ExitCode.USAGE
    assert len(server.service.requests) == 1
    assert "1 failed, 4 not attempted" in ended.stderr


@pytest.mark.parametrize(
    ("words", "step"),
    [
        (["--background", "https://example.org/b.png"], refuse_option("", "BACKGROUND_NOT_LOADABLE")),
        ([], refuse_option("image.name")),
        ([], refuse_option("", "IMAGE_TOO_LARGE")),
        (["--format", "webp"], refuse_option("output.format")),
    ],
    ids=["background from the web", "one picture's own field", "large file", "too large for a WebP"],
)
def test_what_may_not_fail_the_next_picture_fails_alone(
    server: FakeServer, tmp_path: Path, words: list[str], step: Step
) -> None:
    """The web may answer the next time, and the next file is another: the run goes on."""
    make_photos(tmp_path, "a.jpg", "b.jpg")
    server.service.script.append(step)

    ended = run_cli("remove", tmp_path, *words, "--jobs", "1", "--server", server.target)

    assert ended.code == ExitCode.SOME_FAILED
    assert "1 done, 1 failed" in ended.stderr


def test_url_is_fetched_by_the_server(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command sends the address, and writes the answer into the current folder."""
    monkeypatch.chdir(tmp_path)
    url = "https://example.org/shoes.jpg"

    ended = run_cli("remove", url, "--server", server.target)

    request = only_request(server)
    assert ended.code == ExitCode.DONE
    assert (request.image.url, request.image.name) == (url, "")
    assert files_in(tmp_path) == {"shoes.cutout.png"}
    assert f"{url} -> shoes.cutout.png" in ended.stderr


def test_json_lines_tell_format_and_both_sizes(server: FakeServer, tmp_path: Path) -> None:
    """A script learns what was cut from what."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    ended = run_cli(
        "remove", photo, "--crop", "--format", "webp", "--json-lines", "-q", "--server", server.target
    )

    (line,) = ended.lines
    assert (line["format"], line["width"], line["height"]) == ("webp", 2, 3)
    assert (line["picture_width"], line["picture_height"]) == (4, 3)
