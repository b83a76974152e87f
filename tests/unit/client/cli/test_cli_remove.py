"""`alphacut remove` against a server over a socket: what it writes, says and ends with."""

import os
import pty
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from alphacut.cli.console import Console, ExitCode
from alphacut.cli.main import main
from alphacut.v1 import options_pb2
from support.cli import Stream, files_in, make_photos, run_cli
from support.fake_service import (
    NOT_LOADABLE,
    Context,
    FakeServer,
    Hold,
    Request,
    Response,
    Step,
    answer,
    fail,
    fail_plainly,
    make_png,
    make_status,
)

UNAUTHENTICATED = fail_plainly(grpc.StatusCode.UNAUTHENTICATED, "no key")


def refuse(*names: str) -> Step:
    """Return a step that refuses the pictures of these names, whatever thread asks first."""

    def step(request: Request, context: Context) -> Response:
        if request.image.name in names:
            return fail(NOT_LOADABLE)(request, context)
        return answer(request)

    return step


def test_photo_is_cut_beside_itself(server: FakeServer, tmp_path: Path) -> None:
    """One picture: the file, a line about it, exit 0, and the server told that someone waits."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    ended = run_cli("remove", photo, "--server", server.target)

    assert ended.code == ExitCode.DONE
    assert (tmp_path / "a.cutout.png").read_bytes() == make_png(b"a.jpg")
    assert f"{photo} -> {tmp_path / 'a.cutout.png'}" in ended.stderr
    assert ended.stdout == b""
    assert server.service.requests[0].priority == options_pb2.PRIORITY_INTERACTIVE
    assert server.service.requests[0].image.name == "a.jpg"


def test_folder_is_cut_whole(server: FakeServer, tmp_path: Path) -> None:
    """Many pictures: each its own cut-out, as bulk work, summed up at the end."""
    names = [f"{number}.jpg" for number in range(30)]
    make_photos(tmp_path / "in", *names)

    ended = run_cli(
        "remove", tmp_path / "in", "-o", tmp_path / "out", "--server", server.target, "--jobs", "4"
    )

    assert ended.code == ExitCode.DONE
    written = {name: (tmp_path / "out" / name.replace(".jpg", ".cutout.png")).read_bytes() for name in names}
    assert written == {name: make_png(name.encode()) for name in names}
    assert {request.priority for request in server.service.requests} == {options_pb2.PRIORITY_BULK}
    assert "30 done in" in ended.stderr


def test_long_run_says_how_far_it_is(server: FakeServer, tmp_path: Path) -> None:
    """Without a terminal a line comes now and then, and none with --quiet."""
    make_photos(tmp_path, *(f"{number}.jpg" for number in range(60)))

    told = run_cli("remove", tmp_path, "--server", server.target)
    quiet = run_cli("remove", tmp_path, "--server", server.target, "--overwrite", "--quiet")

    assert "50 of 60 pictures, 0 failed" in told.stderr
    assert quiet.stderr == ""


def test_mask_model_and_key_are_passed_on(server: FakeServer, tmp_path: Path) -> None:
    """Mode, model and key reach the server; the environment gives server and key too."""
    (photo,) = make_photos(tmp_path, "a.jpg")
    environ = {"ALPHACUT_SERVER": server.target, "ALPHACUT_API_KEY": "secret"}

    ended = run_cli("remove", photo, "--mode", "fg-mask", "--model", "fake", environ=environ)

    (request,) = server.service.requests
    assert ended.code == ExitCode.DONE
    assert (tmp_path / "a.mask.png").read_bytes() == make_png(b"a.jpg", options_pb2.MODE_FG_MASK)
    assert (request.mode, request.model) == (options_pb2.MODE_FG_MASK, "fake")
    assert {each["x-api-key"] for each in server.service.metadata} == {"secret"}


def test_bad_pictures_do_not_stop_the_others(server: FakeServer, tmp_path: Path) -> None:
    """Each failure is named with its reason, the rest is cut, the exit code is 1."""
    make_photos(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    (tmp_path / "d.jpg").unlink()
    (tmp_path / "d.jpg").symlink_to(tmp_path / "nowhere")
    server.service.script.extend([refuse("b.jpg")] * 4)

    ended = run_cli(
        "remove", tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "c.jpg", "--server", server.target
    )

    assert ended.code == ExitCode.SOME_FAILED
    assert f"alphacut: {tmp_path}/b.jpg: IMAGE_NOT_LOADABLE: Can't load image." in ended.stderr
    assert "2 done, 1 failed" in ended.stderr
    assert {"a.cutout.png", "c.cutout.png"} <= files_in(tmp_path)
    assert "b.cutout.png" not in files_in(tmp_path)


def test_unreadable_file_fails_alone(server: FakeServer, tmp_path: Path) -> None:
    """A broken link in a folder is a failure of its own, told as one of files."""
    make_photos(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "nowhere.jpg")

    ended = run_cli("remove", tmp_path, "--server", server.target)

    assert ended.code == ExitCode.SOME_FAILED
    assert f"{tmp_path}/b.jpg: FILE: No such file or directory" in ended.stderr
    assert "a.cutout.png" in files_in(tmp_path)


def test_unwritable_output_fails_alone(server: FakeServer, tmp_path: Path) -> None:
    """A folder that cannot be made is a failure of the picture, with the system's words."""
    (photo,) = make_photos(tmp_path, "a.jpg")
    make_photos(tmp_path, "occupied")

    ended = run_cli("remove", photo, "-o", tmp_path / "occupied" / "x" / "cut.png", "--server", server.target)

    assert ended.code == ExitCode.SOME_FAILED
    assert "FILE: " in ended.stderr


def test_json_lines_tell_every_picture(server: FakeServer, tmp_path: Path) -> None:
    """One object a picture: done, failed and skipped, with what a script wants to know."""
    make_photos(tmp_path, "a.jpg", "b.jpg", "c.jpg", "c.cutout.png")
    server.service.script.extend([refuse("b.jpg")] * 2)

    ended = run_cli("remove", tmp_path, "--server", server.target, "--skip-existing", "--json-lines", "-q")

    by_name = {Path(str(line["input"])).name: line for line in ended.lines}
    assert {name: line["status"] for name, line in by_name.items()} == {
        "a.jpg": "done",
        "b.jpg": "failed",
        "c.jpg": "skipped",
    }
    done = by_name["a.jpg"]
    assert (done["output"], done["width"], done["height"]) == (str(tmp_path / "a.cutout.png"), 4, 3)
    assert (done["model"], done["mode"], done["has_foreground"]) == ("fake", "fg-image", True)
    assert done["bytes"] == len(make_png(b"a.jpg"))
    assert by_name["b.jpg"]["reason"] == "IMAGE_NOT_LOADABLE"


def test_all_skipped_needs_no_server(tmp_path: Path) -> None:
    """A run that finds everything done succeeds without asking anyone."""
    make_photos(tmp_path, "a.jpg", "a.cutout.png")

    ended = run_cli("remove", tmp_path / "a.jpg", "--skip-existing", "--server", "127.0.0.1:1")

    assert ended.code == ExitCode.DONE


def test_pipe_carries_bytes_alone(server: FakeServer) -> None:
    """stdin to stdout: the PNG and nothing but the PNG."""
    ended = run_cli("remove", "-", "--server", server.target, stdin=Stream(b"photo"))

    assert ended.code == ExitCode.DONE
    assert ended.stdout == make_png(b"photo")
    assert ended.stderr == ""


def test_failing_pipe_writes_nothing(server: FakeServer) -> None:
    """A failure leaves stdout empty and tells the reason."""
    server.service.script.append(fail(NOT_LOADABLE))

    ended = run_cli("remove", "-", "--server", server.target, stdin=Stream(b"photo"))

    assert (ended.code, ended.stdout) == (ExitCode.SOME_FAILED, b"")
    assert "alphacut: -: IMAGE_NOT_LOADABLE" in ended.stderr


@pytest.mark.parametrize(
    ("stdin_is", "stdout_is", "words", "message"),
    [
        (False, True, [], "written to a terminal"),
        (True, False, [], "stdin, which is a terminal"),
        (False, False, ["--json-lines"], "cannot both go to stdout"),
    ],
)
def test_pipe_that_cannot_be_is_refused(
    stdin_is: bool, stdout_is: bool, words: list[str], message: str
) -> None:
    """No PNG onto a terminal, no waiting for typed pixels, no mixture; told before a server is asked."""
    ended = run_cli(
        "remove",
        "-",
        *words,
        stdin=Stream(is_terminal=stdin_is),
        stdout=Stream(is_terminal=stdout_is),
    )

    assert ended.code == ExitCode.USAGE
    assert message in ended.stderr


def test_unplannable_run_does_nothing(server: FakeServer, tmp_path: Path) -> None:
    """A collision is told before any picture is sent."""
    make_photos(tmp_path, "a.jpg", "a.png")

    ended = run_cli("remove", tmp_path, "--server", server.target)

    assert ended.code == ExitCode.USAGE
    assert "both be written" in ended.stderr
    assert server.service.requests == []


@pytest.mark.slow
def test_unreachable_server_is_exit_4(tmp_path: Path) -> None:
    """No server: one sentence, no traceback, nothing written."""
    (photo,) = make_photos(tmp_path, "a.jpg")
    with FakeServer() as server:
        target = server.target

    ended = run_cli("remove", photo, "--server", target)

    assert ended.code == ExitCode.NO_SERVER
    assert f"no alphacut server answers at {target}" in ended.stderr
    assert files_in(tmp_path) == {"a.jpg"}


def test_refused_key_is_exit_4(server: FakeServer, tmp_path: Path) -> None:
    """A wrong key, or none where one is needed, is told once, before the pictures."""
    (photo,) = make_photos(tmp_path, "a.jpg")
    server.service.version_script.extend([UNAUTHENTICATED, UNAUTHENTICATED])

    with_key = run_cli("remove", photo, "--server", server.target, environ={"ALPHACUT_API_KEY": "old"})
    without = run_cli("remove", photo, "--server", server.target)

    assert (with_key.code, without.code) == (ExitCode.NO_SERVER, ExitCode.NO_SERVER)
    assert "refuses the key: no key" in with_key.stderr
    assert "wants an API key: set ALPHACUT_API_KEY" in without.stderr
    assert server.service.requests == []


def test_what_every_picture_would_fail_of_ends_the_run(server: FakeServer, tmp_path: Path) -> None:
    """An unknown model is told once; what was not tried is counted."""
    make_photos(tmp_path, *(f"{number}.jpg" for number in range(20)))
    unknown = make_status(grpc.StatusCode.INVALID_ARGUMENT, "No model 'x'.", reason="UNKNOWN_MODEL")
    server.service.script.extend([fail(unknown)] * 20)

    ended = run_cli(
        "remove", tmp_path, "--server", server.target, "--model", "x", "--jobs", "1", "--json-lines"
    )

    assert ended.code == ExitCode.USAGE
    assert len(server.service.requests) == 1
    assert [line["status"] for line in ended.lines] == ["failed", *["not_attempted"] * 19]
    assert "1 failed, 19 not attempted" in ended.stderr


def test_timeout_is_the_pictures_own(server: FakeServer, tmp_path: Path) -> None:
    """--timeout bounds each picture; what took longer is a failure like another."""
    (photo,) = make_photos(tmp_path, "a.jpg")
    server.service.script.append(Hold())

    ended = run_cli("remove", photo, "--server", server.target, "--timeout", "0.3")

    assert ended.code == ExitCode.SOME_FAILED
    assert "DEADLINE" in ended.stderr


def test_jobs_bound_what_is_under_way(server: FakeServer, tmp_path: Path) -> None:
    """Never more calls at once than --jobs."""
    make_photos(tmp_path, *(f"{number}.jpg" for number in range(20)))
    under_way: list[None] = []
    most: list[int] = []

    def count(request: Request, context: Context) -> Response:
        under_way.append(None)
        most.append(len(under_way))
        reply = answer(request)
        under_way.pop()
        return reply

    server.service.script.extend([count] * 20)

    run_cli("remove", tmp_path, "--server", server.target, "--jobs", "3")

    assert len(most) == 20
    assert max(most) <= 3


def read_terminal(master: int) -> str:
    """Return all that was written to a terminal whose writers are gone, and close it."""
    shown = b""
    # What a terminal without writers ends with.
    with suppress(OSError):
        while chunk := os.read(master, 1 << 16):
            shown += chunk
    os.close(master)
    return shown.decode()


def test_progress_bar_shows_on_a_terminal(server: FakeServer, tmp_path: Path) -> None:
    """On a terminal there is a bar, and failures are lines above it."""
    make_photos(tmp_path, "a.jpg", "b.jpg")
    server.service.script.extend([refuse("b.jpg")] * 2)
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        console = Console(Stream(), Stream(), terminal)

        code = main(["remove", str(tmp_path), "--server", server.target], environ={}, console=console)

    shown = read_terminal(master)
    assert code == ExitCode.SOME_FAILED
    assert "2/2" in shown
    assert "IMAGE_NOT_LOADABLE" in shown
