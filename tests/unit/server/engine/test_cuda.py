"""The GPU engine over a scripted runtime: what is bound, reused, padded and captured."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphacut_server.engine.buffers import NoPinner
from alphacut_server.engine.cuda import CudaEngine, gpu_session_options
from alphacut_server.engine.engine import EngineInfo, Provider
from alphacut_server.engine.onnx import GraphNames
from alphacut_server.engine.providers import SessionRequest, open_session
from alphacut_server.errors import EngineFailed
from support.fake_ort import CPU, CUDA, FakeOrt, FakeOrtValue, FakeSession, make_runtime
from support.tiny_models import random_tensors

SIDE_PX = 16
NAMES = GraphNames("tensor", "matte")


def open_fake(ort: FakeOrt | None = None, *, cuda_graphs: bool = False) -> tuple[CudaEngine, FakeSession]:
    """Open the scripted network on the imagined GPU."""
    ort = ort or FakeOrt(available=(CUDA, CPU), working=(CUDA, CPU))
    runtime = make_runtime(ort)
    request = SessionRequest(Path("fake.onnx"), Provider.CUDA, SIDE_PX, "tensor", 8, cuda_graphs=cuda_graphs)
    session = open_session(runtime, request, gpu_session_options(runtime))
    info = EngineInfo("fake", SIDE_PX, Provider.CUDA, max_batch_size=8, depth=2)
    engine = CudaEngine(runtime, session, info, NAMES, pinner=NoPinner(), cuda_graphs=cuda_graphs)
    return engine, ort.sessions[0]


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 8), min_size=1, max_size=8), cuda_graphs=st.booleans())
def test_every_item_gets_its_own_matte_whatever_ran_before(sizes: list[int], cuda_graphs: bool) -> None:
    """Reused buffers and captured graphs never show an item what another batch left there."""
    engine, _ = open_fake(cuda_graphs=cuda_graphs)
    batches = [random_tensors(size, side_px=SIDE_PX, seed=index) for index, size in enumerate(sizes)]

    answers = [engine.infer(batch) for batch in batches]

    for batch, mattes in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(mattes, np.stack(batch)[..., 0])


def test_without_graphs_a_batch_runs_at_its_own_size() -> None:
    """Padding would cost compute; one binding serves all sizes."""
    engine, session = open_fake()

    for size in (3, 8, 1, 5):
        engine.infer(random_tensors(size, side_px=SIDE_PX))

    assert session.sizes == [3, 8, 1, 5]
    assert len(session.bindings) == 1
    assert session.bindings[0].synchronized == 4


def test_with_graphs_a_batch_is_padded_to_its_bucket_and_addresses_stay() -> None:
    """One graph a bucket, each with its own id and its own device tensors, bound once."""
    engine, session = open_fake(cuda_graphs=True)

    for size in (3, 4, 1, 5, 3):
        engine.infer(random_tensors(size, side_px=SIDE_PX))

    assert session.sizes == [4, 4, 1, 8, 4]
    assert [entries["gpu_graph_id"] for entries in session.run_entries] == ["4", "4", "1", "8", "4"]
    assert len(session.bindings) == 3
    devices = {
        binding.tensors.device for binding in session.bindings if isinstance(binding.tensors, FakeOrtValue)
    }
    assert devices == {"cuda:0"}


@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_a_failing_run_is_an_engine_failure_and_the_next_one_runs(cuda_graphs: bool) -> None:
    """The buffer and the device are free again afterwards; the runtime's words are the cause, not the message."""
    ort = FakeOrt(available=(CUDA, CPU), working=(CUDA, CPU))
    ort.failing_runs = {1}
    engine, _ = open_fake(ort, cuda_graphs=cuda_graphs)
    tensors = random_tensors(2, side_px=SIDE_PX)

    with pytest.raises(EngineFailed) as caught:
        engine.infer(tensors)
    after = engine.infer(tensors)

    assert "700" in f"{caught.value.__cause__}"
    assert "700" not in caught.value.message
    np.testing.assert_array_equal(after, np.stack(tensors)[..., 0])


def test_answers_belong_to_the_caller() -> None:
    """A later batch in the same buffer does not change an earlier answer."""
    engine, _ = open_fake()
    first = engine.infer(random_tensors(2, side_px=SIDE_PX, seed=1))
    kept = first.copy()

    engine.infer(random_tensors(2, side_px=SIDE_PX, seed=2))

    np.testing.assert_array_equal(first, kept)


def test_the_device_runs_one_batch_while_the_next_is_laid_out() -> None:
    """Two threads may be in infer, one of them on the device."""
    inside = threading.Event()
    leave = threading.Event()
    on_device: list[int] = []

    class HeldNetwork(FakeOrt):
        def network(self, tensors: np.ndarray) -> np.ndarray:
            on_device.append(len(tensors))
            inside.set()
            assert leave.wait(10)
            return super().network(tensors)

    engine, _ = open_fake(HeldNetwork(available=(CUDA, CPU), working=(CUDA, CPU)))
    answers: dict[int, np.ndarray] = {}

    def run(size: int) -> None:
        answers[size] = engine.infer(random_tensors(size, side_px=SIDE_PX))

    threads = [threading.Thread(target=run, args=(size,)) for size in (1, 2)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    on_device_while_held = list(on_device)
    leave.set()
    for thread in threads:
        thread.join(10)

    assert on_device_while_held == [1]
    assert on_device == [1, 2]
    for size, mattes in answers.items():
        np.testing.assert_array_equal(mattes, np.stack(random_tensors(size, side_px=SIDE_PX))[..., 0])


def test_a_wrong_shape_is_a_bug() -> None:
    """A tensor of another side raises ValueError and never reaches the device."""
    engine, session = open_fake()

    with pytest.raises(ValueError, match="tensor 0"):
        engine.infer(random_tensors(1, side_px=SIDE_PX + 1))

    assert session.sizes == []


def test_a_closed_engine_fails() -> None:
    """After close, twice for good measure, a batch raises EngineFailed."""
    engine, _ = open_fake()
    engine.infer(random_tensors(1, side_px=SIDE_PX))
    engine.close()
    engine.close()

    with pytest.raises(EngineFailed):
        engine.infer(random_tensors(1, side_px=SIDE_PX))
