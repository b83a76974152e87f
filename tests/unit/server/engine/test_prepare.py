"""Preparing: once, cached by content, whole or not at all, and never served when its bytes are wrong."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from alphacut_server.catalogue.faults import NotPulled, StoreUnusable
from alphacut_server.catalogue.spec import ModelSpec
from alphacut_server.catalogue.store import Store
from alphacut_server.engine import prepare as prepare_module
from alphacut_server.engine.prepare import Precision, list_prepared, prepare
from alphacut_server.engine.shapes import GraphUnsupported
from alphacut_server.errors import ModelCorrupt
from support.catalogue import FullDisk, make_spec, names_in
from support.published import publish, publish_weights

SIDE_PX = 16


def pulled(tmp_path: Path, content: bytes | None = None) -> tuple[ModelSpec, Store]:
    """Return an entry and a store that holds its weights."""
    content = publish_weights(side_px=SIDE_PX) if content is None else content
    spec, store = make_spec(content), Store(tmp_path)
    store.folder(spec.id).mkdir(parents=True)
    arrived = store.folder(spec.id) / "arrived"
    arrived.write_bytes(content)
    assert store.adopt(spec, arrived, "the test") is not None
    return spec, store


def test_prepared_model_says_how_it_is_fed(tmp_path: Path) -> None:
    """The file is there, and input, output, side and precision are told."""
    spec, store = pulled(tmp_path)

    ready = prepare(spec, store, Precision.FP32)

    graph = onnx.load(ready.path).graph
    assert (
        [graph.input[0].name, graph.output[0].name]
        == [ready.input_name, ready.output_name]
        == ["tensor", "matte"]
    )
    assert (ready.model_id, ready.side_px, ready.precision) == ("tiny", SIDE_PX, Precision.FP32)
    assert ready.max_batch_size is None
    assert ready.is_intact()


def test_second_prepare_finds_the_first(tmp_path: Path) -> None:
    """The file is not made again."""
    spec, store = pulled(tmp_path)
    first = prepare(spec, store, Precision.FP32)
    stamp = first.path.stat().st_mtime_ns, first.path.stat().st_ino

    second = prepare(spec, store, Precision.FP32)

    assert second == first
    assert (second.path.stat().st_mtime_ns, second.path.stat().st_ino) == stamp


def test_prepared_model_needs_no_weights_and_no_right_to_write(tmp_path: Path) -> None:
    """An image may carry the prepared graph alone, on a disk that cannot be written."""
    spec, store = pulled(tmp_path)
    first = prepare(spec, store, Precision.FP32)
    store.discard_weights(spec)
    (store.folder(spec.id) / "lock").unlink()

    again = prepare(spec, Store(tmp_path, opener=FullDisk(0)), Precision.FP32)

    assert again.path == first.path
    assert not (store.folder(spec.id) / "lock").exists()


def test_absent_weights_tell_what_to_run_and_leave_nothing(tmp_path: Path) -> None:
    """No folder is made for a model that was never pulled."""
    with pytest.raises(NotPulled, match="alphacut models pull tiny"):
        prepare(make_spec(), Store(tmp_path), Precision.FP32)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["mean", "other_side", "precision"])
def test_what_changes_the_graph_prepares_anew(tmp_path: Path, change: str) -> None:
    """A stale graph is never served: normalisation, side and precision are in the key."""
    spec, store = pulled(tmp_path, publish(has_constant_sizes=True).SerializeToString())
    first = prepare(spec, store, Precision.FP32)

    match change:
        case "mean":
            second = prepare(replace(spec, mean=(0.0, 0.0, 0.0)), store, Precision.FP32)
        case "other_side":
            second = prepare(replace(spec, other_sides_px=(8,)), store, Precision.FP32, side_px=8)
        case _:
            second = prepare(spec, store, Precision.FP16)

    assert second.path != first.path
    assert first.is_intact()


def test_damaged_prepared_file_is_made_anew(tmp_path: Path) -> None:
    """One flipped byte is noticed at the next start and cured from the weights, without a word to the user."""
    spec, store = pulled(tmp_path)
    ready = prepare(spec, store, Precision.FP32)
    content = bytearray(ready.path.read_bytes())
    content[len(content) // 2] ^= 1
    ready.path.write_bytes(content)
    assert not ready.is_intact()

    again = prepare(spec, store, Precision.FP32)

    assert again.is_intact()
    assert again.sha256 == ready.sha256


@pytest.mark.parametrize(
    "record", ["", "{}", '{"model": "tiny", "sha256": "x", "side_px": 16, "precision": "fp8"}']
)
def test_damaged_record_is_made_anew(tmp_path: Path, record: str) -> None:
    """A record that cannot be read is as good as none."""
    spec, store = pulled(tmp_path)
    ready = prepare(spec, store, Precision.FP32)
    ready.path.with_suffix(".json").write_text(record)

    assert prepare(spec, store, Precision.FP32).is_intact()


def test_damaged_weights_give_the_model_up(tmp_path: Path) -> None:
    """Nothing is prepared from bytes that are not the publisher's."""
    spec, store = pulled(tmp_path)
    store.weights_path(spec).write_bytes(b"rot")

    with pytest.raises(ModelCorrupt, match="alphacut models pull tiny"):
        prepare(spec, store, Precision.FP32)


def test_weights_that_are_no_graph_are_told(tmp_path: Path) -> None:
    """A file of the right checksum that is no ONNX file is a mistake of the catalogue."""
    spec, store = pulled(tmp_path, b"\xff\xff\xff\xff no protobuf")

    with pytest.raises(ModelCorrupt, match="no ONNX file"):
        prepare(spec, store, Precision.FP32)


def test_graph_that_does_not_fit_its_entry_names_the_model(tmp_path: Path) -> None:
    """The reason comes with the model's id."""
    spec, store = pulled(tmp_path)

    with pytest.raises(GraphUnsupported, match="tiny cannot be prepared: no output 'absent'"):
        prepare(replace(spec, output_name="absent"), store, Precision.FP32)


def test_network_not_known_to_work_in_fp16_is_prepared_in_fp32(tmp_path: Path) -> None:
    """The prepared model says what it really has."""
    spec, store = pulled(tmp_path)

    ready = prepare(replace(spec, fp16=False, max_batch_size=1), store, Precision.FP16)

    assert ready.precision is Precision.FP32
    assert ready.max_batch_size == 1


def test_side_that_the_entry_does_not_list_is_a_mistake_of_ours(tmp_path: Path) -> None:
    """Sides come from the catalogue, never from a request."""
    spec, store = pulled(tmp_path)

    with pytest.raises(ValueError, match="no side of 17 px"):
        prepare(spec, store, Precision.FP32, side_px=17)


def test_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """The prepared file appears whole or not at all, and a later prepare succeeds."""
    spec, store = pulled(tmp_path)
    before = names_in(store.folder(spec.id))

    with pytest.raises(StoreUnusable, match="full"):
        prepare(spec, Store(tmp_path, opener=FullDisk(1500)), Precision.FP32)

    assert names_in(store.folder(spec.id)) == before
    assert prepare(spec, store, Precision.FP32).is_intact()


def test_two_prepares_at_once_agree(tmp_path: Path) -> None:
    """Both get the same intact file."""
    spec, store = pulled(tmp_path)
    found: list[prepare_module.PreparedModel] = []
    start = threading.Barrier(2)

    def work() -> None:
        start.wait(10)
        found.append(prepare(spec, Store(tmp_path), Precision.FP32))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(found) == 2
    assert found[0].path == found[1].path
    assert found[0].sha256 == found[1].sha256
    assert found[0].is_intact()
    assert len(list(store.folder(spec.id).glob("prepared-*.onnx"))) == 1


def test_listing_names_what_is_prepared(tmp_path: Path) -> None:
    """Both precisions once they are there, and nothing of another entry."""
    spec, store = pulled(tmp_path)
    none_yet = list_prepared(spec, store)
    prepare(spec, store, Precision.FP32)
    prepare(spec, store, Precision.FP16)

    listed = list_prepared(spec, store)

    assert none_yet == []
    assert [entry.precision for entry in listed] == [Precision.FP32, Precision.FP16]
    assert list_prepared(replace(spec, mean=(0.0, 0.0, 0.0)), store) == []


def test_facts_are_kept_beside_the_model(tmp_path: Path) -> None:
    """What was measured once is there at the next start; the last word wins."""
    spec, store = pulled(tmp_path)
    ready = prepare(spec, store, Precision.FP32)
    before = ready.read_facts()

    ready.write_facts({"old": 1})
    kept = ready.write_facts({"cpu": "some", "timings": [[1, 0.2], [2, 0.4]]})

    assert before == {}
    assert kept
    assert prepare(spec, store, Precision.FP32).read_facts() == {
        "cpu": "some",
        "timings": [[1, 0.2], [2, 0.4]],
    }


def test_facts_are_not_shared_between_precisions(tmp_path: Path) -> None:
    """Timings of one graph say nothing about another."""
    spec, store = pulled(tmp_path)
    prepare(spec, store, Precision.FP32).write_facts({"a": 1})

    assert prepare(spec, store, Precision.FP16).read_facts() == {}


def test_facts_that_cannot_be_kept_are_no_failure(tmp_path: Path) -> None:
    """A store that cannot be written costs a measurement at every start, nothing else."""
    spec, store = pulled(tmp_path)
    prepare(spec, store, Precision.FP32)
    ready = prepare(spec, Store(tmp_path, opener=FullDisk(0)), Precision.FP32)

    assert ready.write_facts({"a": 1}) is False
    assert ready.read_facts() == {}


def test_record_says_what_the_graph_was_made_from(tmp_path: Path) -> None:
    """Weights, side and precision can be read beside the file."""
    spec, store = pulled(tmp_path)
    ready = prepare(spec, store, Precision.FP32)

    record = json.loads(ready.path.with_suffix(".json").read_text())

    assert record["weights_sha256"] == spec.file.sha256
    assert record["sha256"] == ready.sha256
    assert (record["side_px"], record["precision"]) == (SIDE_PX, "fp32")
