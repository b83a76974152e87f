"""The store: files get their final names whole and verified, or not at all."""

import errno
import json
import threading
from pathlib import Path

import pytest

from alphacut_server.catalogue.faults import NotPulled, StoreUnusable
from alphacut_server.catalogue.spec import Algorithm
from alphacut_server.catalogue.store import Store, default_store, explained, hash_file, read_json
from alphacut_server.errors import ModelCorrupt
from support.catalogue import WEIGHTS, FullDisk, make_spec, names_in


def arrive(store: Store, content: bytes = WEIGHTS, name: str = "arrived") -> Path:
    """Put a file into the model's folder as a download would."""
    folder = store.folder("tiny")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def test_adopted_file_is_found_with_its_checksum_and_origin(tmp_path: Path) -> None:
    """A file of the right content gets its final name and a record."""
    store, spec = Store(tmp_path), make_spec()
    arrived = arrive(store)

    adopted = store.adopt(spec, arrived, "somewhere")

    assert adopted is not None
    assert adopted == store.find_weights(spec) == store.check_weights(spec)
    assert adopted.origin == "somewhere"
    assert adopted.sha256 == hash_file(adopted.path)
    assert not arrived.exists()


def test_file_of_other_content_gets_no_name(tmp_path: Path) -> None:
    """A wrong checksum leaves the store as it was."""
    store, spec = Store(tmp_path), make_spec()
    arrived = arrive(store, b"something else")

    adopted = store.adopt(spec, arrived, "somewhere")

    assert adopted is None
    assert store.find_weights(spec) is None
    assert names_in(store.folder("tiny")) == {"arrived"}


def test_sha256_is_recorded_where_only_md5_was_published(tmp_path: Path) -> None:
    """The first file that matches the MD5 settles the SHA-256, and later damage is found by it."""
    store, spec = Store(tmp_path), make_spec(is_md5=True)

    adopted = store.adopt(spec, arrive(store), "somewhere")

    assert adopted is not None
    assert adopted.sha256 == make_spec().file.sha256
    assert read_json(adopted.path.with_suffix(".json")) is not None
    assert hash_file(adopted.path, Algorithm.MD5) == spec.file.md5


def test_absent_weights_tell_what_to_run(tmp_path: Path) -> None:
    """The message names the command that helps."""
    store, spec = Store(tmp_path), make_spec()

    assert store.find_weights(spec) is None
    with pytest.raises(NotPulled, match="alphacut models pull tiny"):
        store.check_weights(spec)


def test_flipped_byte_is_found(tmp_path: Path) -> None:
    """Weights that rotted on the disk are told from good ones."""
    store, spec = Store(tmp_path), make_spec()
    store.adopt(spec, arrive(store), "somewhere")
    content = bytearray(WEIGHTS)
    content[1_000_000] ^= 1
    store.weights_path(spec).write_bytes(content)

    with pytest.raises(ModelCorrupt, match="alphacut models pull tiny"):
        store.check_weights(spec)


def test_record_that_disagrees_is_found(tmp_path: Path) -> None:
    """A record of another SHA-256 is taken for damage, also where the catalogue has only the MD5."""
    store, spec = Store(tmp_path), make_spec(is_md5=True)
    store.adopt(spec, arrive(store), "somewhere")
    store.weights_path(spec).with_suffix(".json").write_text(json.dumps({"sha256": "0" * 64}))

    with pytest.raises(ModelCorrupt):
        store.check_weights(spec)


@pytest.mark.parametrize("record", ["", "[1]", "{nonsense", '{"sha256": 5}'])
def test_unreadable_record_counts_as_not_pulled(tmp_path: Path, record: str) -> None:
    """Without a readable record the quick look finds nothing; the full check still settles it."""
    store, spec = Store(tmp_path), make_spec()
    store.adopt(spec, arrive(store), "somewhere")
    store.weights_path(spec).with_suffix(".json").write_text(record)

    assert store.find_weights(spec) is None


def test_write_on_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A file is replaced whole or not at all, and no scratch file stays."""
    target = tmp_path / "tiny" / "facts.json"
    Store(tmp_path).write_json(target, {"a": 1})

    with pytest.raises(OSError, match="No space left"):
        Store(tmp_path, opener=FullDisk(3)).write_json(target, {"a": 2})

    assert read_json(target) == {"a": 1}
    assert names_in(tmp_path / "tiny") == {"facts.json"}


def test_lock_makes_a_second_holder_wait(tmp_path: Path) -> None:
    """Two holders are never inside at once; the second is told that it waits."""
    inside, told, order = threading.Event(), threading.Event(), []

    def second() -> None:
        inside.wait(10)
        with Store(tmp_path).locked("tiny", told.set):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with Store(tmp_path).locked("tiny"):
        inside.set()
        assert told.wait(10)
        order.append("first")
    thread.join(10)

    assert order == ["first", "second"]


def test_sweep_takes_abandoned_scratch_and_parts_of_other_files(tmp_path: Path) -> None:
    """What killed pulls left goes; the part that can be resumed and the weights stay."""
    store, spec = Store(tmp_path), make_spec()
    store.adopt(spec, arrive(store), "somewhere")
    store.part_path(spec).write_bytes(b"half")
    (store.folder("tiny") / "weights-0123456789abcdef.part").write_bytes(b"of another file")
    (store.folder("tiny") / "work-left").mkdir()
    (store.folder("tiny") / "work-left" / "parcel").write_bytes(b"left")

    store.sweep(spec)

    weights = store.weights_path(spec).name
    expected = {weights, weights.replace(".onnx", ".json"), weights.replace(".onnx", ".part")}
    assert names_in(store.folder("tiny")) == expected


def test_default_store_of_a_checkout_lies_beside_the_entries() -> None:
    """In a checkout the weights stay with it, whatever the environment says."""
    store = default_store({"XDG_CACHE_HOME": "/elsewhere"})

    assert store.parts[-2:] == ("models", ".store")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, Path("/c/alphacut")),
        ({"HOME": "/h"}, Path("/h/.cache/alphacut")),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, Path("/h/.cache/alphacut")),
    ],
)
def test_default_store_of_an_installation_is_the_users_cache(
    tmp_path: Path, environ: dict[str, str], expected: Path
) -> None:
    """Away from a checkout the XDG cache folder is used, and ~/.cache where it is unset or empty."""
    assert default_store(environ, root=tmp_path) == expected


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full"),
        (errno.EACCES, "cannot be written"),
        (errno.EROFS, "cannot be written"),
        (errno.EIO, "failed"),
    ],
)
def test_refusals_of_the_system_become_sentences(tmp_path: Path, code: int, said: str) -> None:
    """Full disk, missing rights and broken disk are told apart, each with the store's place."""
    with pytest.raises(StoreUnusable, match=said) as caught, explained("tiny", tmp_path):
        raise OSError(code, "no")

    assert str(tmp_path) in caught.value.message
