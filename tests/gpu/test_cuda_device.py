"""The CUDA path on a real GPU; skipped without one. `bench/gpu_check.py` measures it as well, and with real weights."""

from pathlib import Path

import numpy as np
import pytest

from alphacut_server.engine.buffers import CudaPinner, NoPinner
from alphacut_server.engine.cuda import CudaEngine, gpu_session_options
from alphacut_server.engine.engine import EngineInfo, Provider
from alphacut_server.engine.onnx import GraphNames, OnnxEngine, cpu_session_options
from alphacut_server.engine.providers import SessionRequest, open_session
from alphacut_server.engine.runtime import DeviceUnavailable, Runtime, load_runtime
from support.tiny_models import TINY_SIDE_PX, random_tensors, save_tiny_model

pytestmark = pytest.mark.gpu

NAMES = GraphNames("tensor", "matte")


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    """Return the installed ONNX Runtime if it is built for CUDA."""
    runtime = load_runtime()
    if "CUDAExecutionProvider" not in runtime.ort.get_available_providers():
        pytest.skip("the installed ONNX Runtime is a build for the CPU")
    return runtime


def open_cuda(runtime: Runtime, path: Path, *, cuda_graphs: bool) -> CudaEngine:
    """Open the graph on the first GPU; skip when there is none."""
    request = SessionRequest(path, Provider.CUDA, TINY_SIDE_PX, "tensor", 8, cuda_graphs=cuda_graphs)
    try:
        session = open_session(runtime, request, gpu_session_options(runtime))
    except DeviceUnavailable as error:
        pytest.skip(f"{error}")
    info = EngineInfo("tiny", TINY_SIDE_PX, Provider.CUDA, max_batch_size=8, depth=2)
    return CudaEngine(runtime, session, info, NAMES, pinner=CudaPinner.find(), cuda_graphs=cuda_graphs)


@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_the_gpu_answers_what_the_cpu_answers(runtime: Runtime, tmp_path: Path, cuda_graphs: bool) -> None:
    """Within one grey value, for every batch size in any order."""
    path = save_tiny_model(tmp_path / "tiny.onnx")
    engine = open_cuda(runtime, path, cuda_graphs=cuda_graphs)
    request = SessionRequest(path, Provider.CPU, TINY_SIDE_PX, "tensor", 8)
    session = open_session(runtime, request, cpu_session_options(runtime, 1))
    reference = OnnxEngine(runtime, session, EngineInfo("tiny", TINY_SIDE_PX, Provider.CPU, 8), NAMES)

    for size in (1, 3, 8, 2, 5, 8, 1):
        tensors = random_tensors(size, seed=size)
        answer = engine.infer(tensors).astype(np.int16)
        expected = reference.infer(tensors).astype(np.int16)
        assert np.abs(answer - expected).max() <= 1


def test_pages_can_be_locked(runtime: Runtime, tmp_path: Path) -> None:
    """With a CUDA session open, libcudart is there and locks a batch's buffer."""
    open_cuda(runtime, save_tiny_model(tmp_path / "tiny.onnx"), cuda_graphs=False)
    pinner = CudaPinner.find()
    pages = np.zeros(1 << 20, np.uint8)

    is_pinned = pinner.pin(pages.ctypes.data, pages.nbytes)
    if is_pinned:
        pinner.unpin(pages.ctypes.data)

    assert not isinstance(pinner, NoPinner)
    assert is_pinned
