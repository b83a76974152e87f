"""The heart of batching: on real photos, through the published weights, an item's matte does not depend on its batch."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from alphacut_server.catalogue.faults import NotPulled
from alphacut_server.catalogue.loader import load_catalogue
from alphacut_server.catalogue.store import Store, default_store
from alphacut_server.engine.cpus import cpu_limit
from alphacut_server.engine.engine import EngineInfo, Provider
from alphacut_server.engine.onnx import GraphNames, OnnxEngine, cpu_session_options
from alphacut_server.engine.prepare import Precision, PreparedModel, prepare
from alphacut_server.engine.providers import SessionRequest, open_session
from alphacut_server.engine.runtime import load_runtime

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png")
"""A person, a cat and a cup: photographs that ship with scikit-image."""
TOLERANCE = 1
"""Of 255: another batch size may choose other kernels, whose sums round differently."""


def load_photo(name: str, side_px: int) -> NDArray[np.uint8]:
    """Return a photo at the network's side, (side, side, 3) uint8 RGB."""
    path = Path(skimage.data.__file__).parent / name
    photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert photo is not None
    resized = cv2.resize(
        cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), (side_px, side_px), interpolation=cv2.INTER_AREA
    )
    return np.ascontiguousarray(resized, np.uint8)


def prepared_or_skip(model_id: str) -> PreparedModel:
    """Return the prepared model; skip the test when its weights were not pulled."""
    store = Store(default_store(os.environ))
    try:
        return prepare(load_catalogue().get(model_id), store, Precision.FP32)
    except NotPulled as error:
        pytest.skip(f"{error}")


def open_engine(prepared: PreparedModel) -> OnnxEngine:
    """Open the model on the CPU for batches of up to 3."""
    runtime = load_runtime()
    request = SessionRequest(prepared.path, Provider.CPU, prepared.side_px, prepared.input_name, 3)
    session = open_session(runtime, request, cpu_session_options(runtime, cpu_limit()))
    info = EngineInfo(prepared.model_id, prepared.side_px, Provider.CPU, max_batch_size=3)
    return OnnxEngine(runtime, session, info, GraphNames(prepared.input_name, prepared.output_name))


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize(("model_id", "size"), [("u2netp", 3), ("u2net", 2), ("isnet", 2)])
def test_batched_mattes_equal_single_ones(model_id: str, size: int) -> None:
    """Within 1/255 at every pixel; and the mattes are mattes: each holds foreground and background."""
    prepared = prepared_or_skip(model_id)
    engine = open_engine(prepared)
    tensors = [load_photo(name, prepared.side_px) for name in PHOTOS[:size]]

    together = engine.infer(tensors).astype(np.int16)
    alone = np.concatenate([engine.infer([tensor]) for tensor in tensors]).astype(np.int16)

    assert np.abs(together - alone).max() <= TOLERANCE
    for matte in alone:
        assert matte.min() < 30
        assert matte.max() > 225
