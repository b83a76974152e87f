"""Inputs and outputs are settled before any work, and nothing is ever lost."""

from pathlib import Path
from typing import Any

import pytest

from alphacut import BackgroundFit, ImageFormat, Mode, Url
from alphacut.cli.arguments import Connection, RemoveOptions
from alphacut.cli.console import UsageError
from alphacut.cli.planning import Job, Plan, make_plan
from support.cli import make_photos


def plan_of(*inputs: str | Path, **words: Any) -> Plan:
    """Return the plan for the inputs; `out` may be a path, the rest is as RemoveOptions has it."""
    if "out" in words:
        words["out"] = str(words["out"])
    return make_plan(
        RemoveOptions(connection=Connection(server="x"), inputs=tuple(str(each) for each in inputs), **words)
    )


def jobs_of(*inputs: str | Path, **words: Any) -> list[Job]:
    """Return the jobs for the inputs."""
    return list(plan_of(*inputs, **words).jobs)


def outputs(jobs: list[Job], below: Path) -> list[str]:
    """Return where the jobs write, relative to a folder."""
    return [str(job.output.relative_to(below)) for job in jobs if job.output is not None]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(Mode.FG_IMAGE, "a.cutout.png"), (Mode.FG_MASK, "a.mask.png"), (Mode.FG_IMAGE_SHADOW, "a.shadow.png")],
)
def test_output_lies_beside_the_input(tmp_path: Path, mode: Mode, expected: str) -> None:
    """Without -o the name says what the mode made of the picture."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    assert outputs(jobs_of(photo, mode=mode), tmp_path) == [expected]


def test_out_file_takes_a_single_input(tmp_path: Path) -> None:
    """-o ending in .png is the file."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    assert outputs(jobs_of(photo, out=tmp_path / "cut.PNG"), tmp_path) == ["cut.PNG"]


@pytest.mark.parametrize("out", ["cuts", "cuts/", "cuts.v2/"])
def test_out_folder_takes_the_usual_names(tmp_path: Path, out: str) -> None:
    """-o without an ending, or with a slash, is a folder, made when missing."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    (job,) = jobs_of(photo, out=f"{tmp_path}/{out}")

    assert job.output == tmp_path / out / "a.cutout.png"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("cut.png", ImageFormat.PNG), ("cut.webp", ImageFormat.WEBP), ("cut.jpg", ImageFormat.JPEG)],
)
def test_out_file_decides_the_format(tmp_path: Path, name: str, expected: ImageFormat) -> None:
    """A single file says by its ending what it is to be."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    plan = plan_of(photo, out=tmp_path / name)

    assert plan.format is expected
    assert outputs(list(plan.jobs), tmp_path) == [name]


def test_out_file_of_no_known_format_is_refused(tmp_path: Path) -> None:
    """Nothing is written under a name that would lie."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    with pytest.raises(UsageError, match=r"\.png, \.webp or \.jpg"):
        plan_of(photo, out=tmp_path / "cut.gif")
    with pytest.raises(UsageError, match="no name for --format webp"):
        plan_of(photo, out=tmp_path / "cut.png", format=ImageFormat.WEBP)


@pytest.mark.parametrize(
    ("image_format", "expected"), [(None, "a.mask.png"), (ImageFormat.JPEG, "a.mask.jpg")]
)
def test_names_follow_the_format(tmp_path: Path, image_format: ImageFormat | None, expected: str) -> None:
    """Beside the input and in a folder the ending is the format's, PNG by default."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    beside = plan_of(photo, mode=Mode.FG_MASK, format=image_format)
    below = plan_of(photo, mode=Mode.FG_MASK, format=image_format, out=tmp_path / "cuts")

    assert outputs(list(beside.jobs), tmp_path) == [expected]
    assert outputs(list(below.jobs), tmp_path / "cuts") == [expected]


def test_out_that_is_a_device_is_refused(tmp_path: Path) -> None:
    """A device is not replaced by a file."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    with pytest.raises(UsageError, match="no regular file"):
        jobs_of(photo, out="/dev/null", overwrite=True)


def test_one_out_file_for_many_inputs_is_refused(tmp_path: Path) -> None:
    """Several pictures never go into one file, even when a pattern matches just one today."""
    first, second = make_photos(tmp_path, "a.jpg", "b.jpg")

    for inputs in ([first, second], [tmp_path / "a*.jpg"], [tmp_path]):
        with pytest.raises(UsageError, match="name a folder"):
            jobs_of(*inputs, out=tmp_path / "cut.png")


def test_folder_is_searched_flat_unless_recursive(tmp_path: Path) -> None:
    """A folder's own pictures; with -r those below it, the tree kept under -o."""
    make_photos(tmp_path / "in", "b.JPG", "a.png", "sub/a.png", "notes.txt", ".hidden.jpg", ".git/c.jpg")

    flat = jobs_of(tmp_path / "in", out=tmp_path / "out")
    deep = jobs_of(tmp_path / "in", out=tmp_path / "out", recursive=True)

    assert outputs(flat, tmp_path / "out") == ["a.cutout.png", "b.cutout.png"]
    assert outputs(deep, tmp_path / "out") == ["a.cutout.png", "b.cutout.png", "sub/a.cutout.png"]


def test_own_outputs_are_no_inputs_of_the_next_run(tmp_path: Path) -> None:
    """Folders and patterns leave out what an earlier run wrote; named outright it is taken."""
    make_photos(tmp_path, "a.jpg", "a.cutout.png", "a.mask.png", "a.cutout.jpg", "a.shadow.webp")

    by_folder = jobs_of(tmp_path, overwrite=True)
    by_pattern = jobs_of(tmp_path / "*", overwrite=True)
    by_name = jobs_of(tmp_path / "a.cutout.png")

    assert [job.label for job in by_folder] == [job.label for job in by_pattern] == [str(tmp_path / "a.jpg")]
    assert outputs(by_name, tmp_path) == ["a.cutout.cutout.png"]


def test_pattern_is_expanded_here(tmp_path: Path) -> None:
    """Quoted patterns work, ** included; a file of that very name goes first."""
    make_photos(tmp_path, "a1.jpg", "a2.jpg", "sub/a3.jpg", "a[1].jpg")

    assert outputs(jobs_of(tmp_path / "a?.jpg"), tmp_path) == ["a1.cutout.png", "a2.cutout.png"]
    assert outputs(jobs_of(tmp_path / "**" / "a3.jpg"), tmp_path) == ["sub/a3.cutout.png"]
    assert outputs(jobs_of(tmp_path / "a[1].jpg"), tmp_path) == ["a[1].cutout.png"]


@pytest.mark.parametrize(
    ("text", "message"), [("none.jpg", "no file"), ("*.jpg", "nothing matches"), ("", "no pictures")]
)
def test_nothing_there_is_told(tmp_path: Path, text: str, message: str) -> None:
    """A file, a pattern or a folder that gives no picture is a mistake, not an empty success."""
    with pytest.raises(UsageError, match=message):
        jobs_of(tmp_path / text)


def test_file_named_twice_is_cut_once(tmp_path: Path) -> None:
    """Arguments that overlap do not double the work."""
    photo, *_ = make_photos(tmp_path, "a.jpg", "b.jpg")

    assert len(jobs_of(photo, tmp_path, tmp_path / "*.jpg")) == 2


def test_two_inputs_for_one_output_are_refused(tmp_path: Path) -> None:
    """a.jpg and a.png would overwrite each other's cut-out; so would two folders' a.jpg in one -o."""
    make_photos(tmp_path, "one/a.jpg", "one/a.png", "two/a.jpg")

    with pytest.raises(UsageError, match="both be written"):
        jobs_of(tmp_path / "one")
    with pytest.raises(UsageError, match="both be written"):
        jobs_of(tmp_path / "one/a.jpg", tmp_path / "two/a.jpg", out=tmp_path / "out")


def test_input_is_never_the_output(tmp_path: Path) -> None:
    """Not even with --overwrite, and not through a link."""
    (photo,) = make_photos(tmp_path, "a.png")
    link = tmp_path / "link.png"
    link.symlink_to(photo)

    for out in (photo, link):
        with pytest.raises(UsageError, match="written over the input"):
            jobs_of(photo, out=out, overwrite=True)


def test_input_is_never_another_ones_output(tmp_path: Path) -> None:
    """An input that bears the name of another's cut-out stops the run."""
    photo, cutout = make_photos(tmp_path, "a.jpg", "a.cutout.png")

    with pytest.raises(UsageError, match="written over the input"):
        jobs_of(photo, cutout, overwrite=True)


def test_existing_outputs_stop_the_run_or_are_settled(tmp_path: Path) -> None:
    """Existing outputs are an error that names them, unless one says what to do."""
    make_photos(tmp_path, "a.jpg", "b.jpg", "a.cutout.png")

    with pytest.raises(UsageError, match=r"a\.cutout\.png; choose --overwrite or --skip-existing"):
        jobs_of(tmp_path)
    assert len(jobs_of(tmp_path, overwrite=True)) == 2
    assert outputs(jobs_of(tmp_path, skip_existing=True), tmp_path) == ["b.cutout.png"]


def test_many_existing_outputs_are_counted(tmp_path: Path) -> None:
    """The error names a few and counts the rest."""
    make_photos(tmp_path, *(f"{number}{end}" for number in range(9) for end in (".jpg", ".cutout.png")))

    with pytest.raises(UsageError, match="and 4 more"):
        jobs_of(tmp_path)


def test_pipe_goes_to_stdout_or_where_told(tmp_path: Path) -> None:
    """- reads stdin and writes stdout, or the file or folder of -o."""
    assert jobs_of("-") == jobs_of("-", out="-") == [Job(None, None)]
    assert jobs_of("-", out=tmp_path / "a.png") == [Job(None, tmp_path / "a.png")]
    assert jobs_of("-", out=tmp_path) == [Job(None, tmp_path / "stdin.cutout.png")]


def test_pipe_stands_alone_and_overwrites_nothing(tmp_path: Path) -> None:
    """- beside files is ambiguous, and an existing file is kept."""
    photo, output = make_photos(tmp_path, "a.jpg", "out.png")

    with pytest.raises(UsageError, match="stands alone"):
        jobs_of("-", photo)
    with pytest.raises(UsageError, match="exists already"):
        jobs_of("-", out=output)


def test_file_may_go_to_stdout(tmp_path: Path) -> None:
    """-o - takes one file, not many."""
    first, second = make_photos(tmp_path, "a.jpg", "b.jpg")

    assert jobs_of(first, out="-") == [Job(first, None)]
    with pytest.raises(UsageError, match="one picture"):
        jobs_of(first, second, out="-")


def test_links_that_turn_in_circles_end(tmp_path: Path) -> None:
    """A link to the folder above is not followed for ever."""
    make_photos(tmp_path, "a.jpg", "sub/b.jpg")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)

    assert len(jobs_of(tmp_path, recursive=True)) == 2


def test_url_goes_into_the_current_folder_or_where_told(tmp_path: Path) -> None:
    """What is fetched lies beside nothing here; the name is the URL's."""
    url = "https://example.org/shoes.jpg?size=[1-9]*"

    assert jobs_of(url) == [Job(Url(url), Path("shoes.cutout.png"))]
    assert jobs_of(url, out=tmp_path) == [Job(Url(url), tmp_path / "shoes.cutout.png")]
    assert jobs_of(url, out=tmp_path / "b.png") == [Job(Url(url), tmp_path / "b.png")]
    assert jobs_of(url, out="-") == [Job(Url(url), None)]
    assert jobs_of(url)[0].label == url


def test_urls_and_files_go_together(tmp_path: Path) -> None:
    """Many inputs of both kinds; the same URL twice is cut once, two of one name collide."""
    (photo,) = make_photos(tmp_path, "a.jpg")
    one, two = "https://example.org/b.jpg", "https://example.com/b.jpg"

    assert outputs(jobs_of(photo, one, one, out=tmp_path), tmp_path) == ["a.cutout.png", "b.cutout.png"]
    with pytest.raises(UsageError, match="both be written"):
        jobs_of(one, two, out=tmp_path)
    with pytest.raises(UsageError, match="name a folder"):
        jobs_of(photo, one, out=tmp_path / "b.png")


def test_background_is_found_and_never_overwritten(tmp_path: Path) -> None:
    """A file or a URL; no output takes the background's place."""
    photo, beach = make_photos(tmp_path, "a.jpg", "beach.png")

    assert plan_of(photo, background=str(beach)).background == beach
    assert plan_of(photo, background="https://x/b.png").background == Url("https://x/b.png")
    assert plan_of(photo).background is None
    with pytest.raises(UsageError, match=r"written over the input .*beach\.png"):
        plan_of(photo, background=str(beach), out=beach, overwrite=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"background": "white"}, "a colour is named by --background-color"),
        ({"background": "."}, "no background picture"),
        ({"background_fit": BackgroundFit.COVER}, "name it with --background"),
        ({"background_color": "red", "background_fit": BackgroundFit.COVER}, "name it with --background"),
        ({"background_color": "red", "mode": Mode.FG_MASK}, "a mask has no background"),
        ({"background": "https://x/b.png", "mode": Mode.FG_MASK}, "a mask has no background"),
    ],
)
def test_background_that_means_nothing_is_refused(
    tmp_path: Path, words: dict[str, Any], message: str
) -> None:
    """What would be ignored, or is no picture, is a mistake told before any work."""
    (photo,) = make_photos(tmp_path, "a.jpg")

    with pytest.raises(UsageError, match=message):
        plan_of(photo, **words)
