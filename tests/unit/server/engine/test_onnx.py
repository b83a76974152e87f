"""The CPU engine over a real ONNX Runtime and graphs of a few nodes."""

from pathlib import Path

import numpy as np
import pytest

from alphacut_server.engine.engine import EngineInfo, Provider
from alphacut_server.engine.onnx import (
    ArenaPolicy,
    GraphNames,
    OnnxEngine,
    checked_mattes,
    cpu_session_options,
)
from alphacut_server.engine.providers import SessionRequest, open_session
from alphacut_server.engine.runtime import Runtime, load_runtime
from alphacut_server.errors import EngineFailed, ModelCorrupt
from support.fake_ort import FakeOrt, FakeSession, FakeSessionOptions, make_runtime
from support.tiny_models import TINY_SIDE_PX, random_tensors, save_picky_model, save_tiny_model

INFO = EngineInfo("tiny", TINY_SIDE_PX, Provider.CPU, max_batch_size=4)
NAMES = GraphNames("tensor", "matte")


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    """Return the installed ONNX Runtime."""
    return load_runtime()


def open_engine(runtime: Runtime, path: Path, arena: ArenaPolicy = ArenaPolicy.FOLLOW) -> OnnxEngine:
    """Open the graph at `path` with one thread."""
    request = SessionRequest(path, Provider.CPU, TINY_SIDE_PX, NAMES.input_name, INFO.max_batch_size)
    session = open_session(runtime, request, cpu_session_options(runtime, 1, arena))
    return OnnxEngine(runtime, session, INFO, NAMES, arena=arena)


def open_fake(arena: ArenaPolicy) -> tuple[OnnxEngine, FakeSession]:
    """Open the scripted runtime's network, and hand out its session to look at."""
    ort = FakeOrt()
    engine = open_engine(make_runtime(ort), Path("fake.onnx"), arena)
    return engine, ort.sessions[0]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("arena", list(ArenaPolicy))
def test_a_batch_equals_its_items_run_alone(
    runtime: Runtime, tmp_path: Path, size: int, arena: ArenaPolicy
) -> None:
    """Whatever the memory policy, no item sees its neighbours."""
    tensors = random_tensors(size)
    engine = open_engine(runtime, save_tiny_model(tmp_path / "tiny.onnx"), arena)

    together = engine.infer(tensors)
    alone = np.concatenate([engine.infer([tensor]) for tensor in tensors])

    assert together.shape == (size, TINY_SIDE_PX, TINY_SIDE_PX)
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(together, alone)


def test_the_answer_belongs_to_the_caller(runtime: Runtime, tmp_path: Path) -> None:
    """Later batches do not change an earlier answer, which may be written to."""
    engine = open_engine(runtime, save_tiny_model(tmp_path / "tiny.onnx"))
    first = engine.infer(random_tensors(2, seed=1))
    kept = first.copy()

    engine.infer(random_tensors(2, seed=2))

    np.testing.assert_array_equal(first, kept)
    first[:] = 0


def test_tensors_may_be_views_and_stay_as_they_are(runtime: Runtime, tmp_path: Path) -> None:
    """A non-contiguous, read-only tensor gives what its copy gives."""
    wide = np.random.default_rng(3).integers(0, 256, (TINY_SIDE_PX, 2 * TINY_SIDE_PX, 3), np.uint8)
    wide.flags.writeable = False
    view = wide[:, ::2]
    engine = open_engine(runtime, save_tiny_model(tmp_path / "tiny.onnx"))

    mattes = engine.infer([view])

    np.testing.assert_array_equal(mattes, engine.infer([view.copy()]))


def test_a_wrong_shape_is_a_bug(runtime: Runtime, tmp_path: Path) -> None:
    """A tensor of another side raises ValueError, not EngineFailed."""
    engine = open_engine(runtime, save_tiny_model(tmp_path / "tiny.onnx"))

    with pytest.raises(ValueError, match="tensor 0"):
        engine.infer(random_tensors(1, side_px=TINY_SIDE_PX + 1))


def test_a_failing_run_is_an_engine_failure_and_the_next_one_runs(runtime: Runtime, tmp_path: Path) -> None:
    """The runtime's exception is the cause, not the message; the session survives."""
    engine = open_engine(runtime, save_picky_model(tmp_path / "picky.onnx"))
    tensors = random_tensors(2)

    with pytest.raises(EngineFailed) as caught:
        engine.infer(tensors)
    after = engine.infer(tensors[:1])

    assert isinstance(caught.value.__cause__, runtime.failures)
    assert "Reshape" not in caught.value.message
    np.testing.assert_array_equal(after[0], tensors[0][..., 0])


@pytest.mark.parametrize("content", [b"", b"no graph at all"])
def test_a_file_that_is_no_graph_is_corrupt(runtime: Runtime, tmp_path: Path, content: bytes) -> None:
    """A damaged prepared model is told apart from a device that cannot be used."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)

    with pytest.raises(ModelCorrupt):
        open_engine(runtime, path)


def test_a_missing_file_is_corrupt_too(runtime: Runtime, tmp_path: Path) -> None:
    """A prepared model that vanished cannot be loaded."""
    with pytest.raises(ModelCorrupt):
        open_engine(runtime, tmp_path / "absent.onnx")


def test_a_closed_engine_fails(runtime: Runtime, tmp_path: Path) -> None:
    """After close, twice for good measure, a batch raises EngineFailed."""
    engine = open_engine(runtime, save_tiny_model(tmp_path / "tiny.onnx"))
    engine.close()
    engine.close()

    with pytest.raises(EngineFailed):
        engine.infer(random_tensors(1))


@pytest.mark.parametrize(
    ("arena", "shrinks"),
    [
        (ArenaPolicy.FOLLOW, [False, False, False, True, False, False, True]),
        (ArenaPolicy.SHRINK, [True] * 7),
        (ArenaPolicy.OFF, [False] * 7),
    ],
)
def test_memory_follows_the_batch_size_down(arena: ArenaPolicy, shrinks: list[bool]) -> None:
    """By default exactly the runs that are smaller than the one before give memory back."""
    engine, session = open_fake(arena)

    for size in (1, 2, 4, 2, 2, 3, 1):
        engine.infer(random_tensors(size))

    wanted = {"memory.enable_memory_arena_shrinkage": "cpu:0"}
    assert [entries == wanted for entries in session.run_entries] == shrinks


def test_options_share_the_cpus() -> None:
    """Threads as granted, no spinning, no memory pattern; the arena as the policy says."""
    runtime = make_runtime(FakeOrt())

    options = {arena: cpu_session_options(runtime, 3, arena) for arena in ArenaPolicy}

    for arena, each in options.items():
        assert isinstance(each, FakeSessionOptions)
        assert (each.intra_op_num_threads, each.inter_op_num_threads) == (3, 1)
        assert (each.graph_optimization_level, each.execution_mode) == ("all", "sequential")
        assert each.entries == {"session.intra_op.allow_spinning": "0"}
        assert not each.enable_mem_pattern
        assert each.enable_cpu_mem_arena == (arena is not ArenaPolicy.OFF)


@pytest.mark.parametrize("answer", [np.zeros((2, 8, 8), np.uint8), np.zeros((1, 16, 16), np.float32)])
def test_an_answer_that_is_no_matte_is_refused(answer: np.ndarray) -> None:
    """A graph that is no prepared one is found out at its first batch."""
    with pytest.raises(EngineFailed, match="prepare it again"):
        checked_mattes(answer, 1, INFO)
