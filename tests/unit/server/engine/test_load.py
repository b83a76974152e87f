"""From the operator's choice to an engine at speed, over the scripted runtime and over the real one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from alphacut_server.catalogue.store import Json
from alphacut_server.deadline import MonotonicClock
from alphacut_server.engine.cuda import CudaEngine
from alphacut_server.engine.emulated import expected_matte
from alphacut_server.engine.engine import Provider
from alphacut_server.engine.load import EngineOptions, load_emulated, load_engine
from alphacut_server.engine.onnx import OnnxEngine
from alphacut_server.engine.prepare import Precision
from alphacut_server.engine.providers import DeviceChoice
from alphacut_server.engine.runtime import DeviceUnavailable
from alphacut_server.errors import EngineFailed
from support.fake_ort import CPU, CUDA, TENSORRT, FakeOrt, make_runtime
from support.tiny_models import TINY_SIDE_PX, random_tensors, save_tiny_model

GPU_BUILD = (TENSORRT, CUDA, CPU)


@dataclass
class FakePrepared:
    """A prepared graph that is only named."""

    path: Path = Path("fake.onnx")
    model_id: str = "fake"
    side_px: int = TINY_SIDE_PX
    input_name: str = "tensor"
    output_name: str = "matte"
    max_batch_size: int | None = None
    facts: dict[str, Json] = field(default_factory=dict)

    def read_facts(self) -> Mapping[str, Json]:
        return self.facts

    def write_facts(self, facts: Mapping[str, Json]) -> bool:
        self.facts = dict(facts)
        return True


class Preparing:
    """Hands out one prepared graph and keeps what precision was asked for."""

    def __init__(self, prepared: FakePrepared | None = None) -> None:
        self.prepared = prepared or FakePrepared()
        self.asked: list[Precision] = []

    def __call__(self, precision: Precision) -> FakePrepared:
        self.asked.append(precision)
        return self.prepared


def test_the_real_runtime_loads_a_graph_at_speed(tmp_path: Path) -> None:
    """A graph of a few nodes on the CPU: loaded, timed, told, and the figures kept."""
    preparing = Preparing(FakePrepared(save_tiny_model(tmp_path / "tiny.onnx")))

    loaded = load_engine(preparing, EngineOptions(device=DeviceChoice.CPU, threads=1, max_batch_size=2))

    tensors = random_tensors(2)
    assert loaded.engine.infer(tensors).shape == (2, TINY_SIDE_PX, TINY_SIDE_PX)
    assert loaded.engine.info.provider is Provider.CPU
    assert loaded.engine.info.model == "fake"
    assert loaded.timings[0].batch_size == 1
    assert all(timing.seconds > 0 for timing in loaded.timings)
    assert loaded.note.startswith("Runs on cpu.")
    assert not loaded.fell_back
    assert preparing.asked == [Precision.FP32]
    assert "batch_timings" in preparing.prepared.facts


def test_cuda_that_works_runs_half_precision_with_two_batches_in_flight() -> None:
    """The GPU gets the fp16 graph and an engine of depth 2, timed up to its limit."""
    ort = FakeOrt(available=GPU_BUILD, working=(CUDA, CPU))
    preparing = Preparing()

    loaded = load_engine(
        preparing, EngineOptions(device=DeviceChoice.CUDA, max_batch_size=8), runtime=make_runtime(ort)
    )

    assert isinstance(loaded.engine, CudaEngine)
    assert loaded.engine.info.provider is Provider.CUDA
    assert loaded.engine.info.depth == 2
    assert loaded.max_batch_size == 8
    assert preparing.asked == [Precision.FP16]


@pytest.mark.parametrize("device", [DeviceChoice.CUDA, DeviceChoice.TENSORRT])
def test_a_device_asked_for_by_name_is_never_replaced(device: DeviceChoice) -> None:
    """The session comes back on the CPU: the start fails, nothing runs."""
    ort = FakeOrt(available=GPU_BUILD, working=(CPU,))

    with pytest.raises(DeviceUnavailable, match=device.value):
        load_engine(Preparing(), EngineOptions(device=device), runtime=make_runtime(ort))

    assert [session.sizes for session in ort.sessions] == [[]]


def test_a_gpu_that_fails_its_first_batch_fails_the_start() -> None:
    """A session can open on a GPU whose kernels do not run; the runtime's words are in the message."""
    ort = FakeOrt(available=GPU_BUILD, working=(CUDA, CPU))
    ort.failing_runs = {1}

    with pytest.raises(DeviceUnavailable, match="first batch: CUDA failure 700"):
        load_engine(Preparing(), EngineOptions(device=DeviceChoice.CUDA), runtime=make_runtime(ort))


def test_a_cpu_that_fails_its_first_batch_is_an_engine_failure() -> None:
    """No device is missing there."""
    ort = FakeOrt()
    ort.failing_runs = {1}

    with pytest.raises(EngineFailed):
        load_engine(Preparing(), EngineOptions(device=DeviceChoice.CPU), runtime=make_runtime(ort))


@pytest.mark.parametrize("fault", ["no session", "no run"])
def test_auto_says_why_it_fell_back(fault: str) -> None:
    """A GPU is there and cannot be used: the CPU runs the fp32 graph, and the note holds the reason."""
    ort = FakeOrt(available=GPU_BUILD, working=(CPU,) if fault == "no session" else (CUDA, CPU))
    ort.failing_runs = {1} if fault == "no run" else set()

    class HealingPreparing(Preparing):
        """Ends the scripted fault before the CPU's turn."""

        def __call__(self, precision: Precision) -> FakePrepared:
            if precision is Precision.FP32:
                ort.failing_runs = set()
            return super().__call__(precision)

    preparing = HealingPreparing()

    loaded = load_engine(preparing, EngineOptions(), runtime=make_runtime(ort), has_gpu=lambda: True)

    assert len(ort.sessions) == 2
    assert isinstance(loaded.engine, OnnxEngine)
    assert loaded.fell_back
    assert loaded.note.startswith("Runs on cpu. The device 'cuda'")
    assert preparing.asked == [Precision.FP16, Precision.FP32]


def test_auto_without_a_gpu_is_no_fallback() -> None:
    """Nothing is wrong on a machine without a GPU, and nobody is warned."""
    ort = FakeOrt(available=GPU_BUILD)

    loaded = load_engine(Preparing(), EngineOptions(), runtime=make_runtime(ort), has_gpu=lambda: False)

    assert not loaded.fell_back
    assert loaded.engine.info.provider is Provider.CPU
    assert ort.preloads == 0


def test_a_full_gpu_limits_the_batch_instead_of_failing() -> None:
    """What did not fit at the start is never tried again."""
    ort = FakeOrt(available=GPU_BUILD, working=(CUDA, CPU))
    ort.largest_batch = 4

    loaded = load_engine(Preparing(), EngineOptions(device=DeviceChoice.CUDA), runtime=make_runtime(ort))

    assert loaded.max_batch_size == 4


def test_a_graph_of_fixed_batch_is_never_given_more() -> None:
    """A network whose published graph cannot be batched runs alone."""
    preparing = Preparing(FakePrepared(max_batch_size=1))

    loaded = load_engine(preparing, EngineOptions(device=DeviceChoice.CPU), runtime=make_runtime(FakeOrt()))

    assert loaded.engine.info.max_batch_size == 1
    assert loaded.max_batch_size == 1


def test_threads_are_the_operators_or_the_containers() -> None:
    """0 takes what is granted, anything else is taken as said."""
    ort = FakeOrt()

    for threads in (0, 3):
        load_engine(Preparing(), EngineOptions(threads=threads), runtime=make_runtime(ort))

    given = [opened.options.intra_op_num_threads for opened in ort.opened]
    assert given[0] >= 1
    assert given[1] == 3


def test_the_emulated_device_needs_no_runtime() -> None:
    """It is timed like any other, to 16 at most, and its note says what it is."""
    options = EngineOptions(emulated_base_ms=0.2, emulated_item_ms=0.0, max_batch_size=64)

    loaded = load_emulated(options, MonotonicClock())

    (tensor,) = random_tensors(1, side_px=64)
    np.testing.assert_array_equal(loaded.engine.infer([tensor])[0], expected_matte(tensor))
    assert loaded.max_batch_size == 16
    assert "ellipses" in loaded.note
