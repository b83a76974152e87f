"""The real u2netp, pulled by `alphacut models pull u2netp`: the prepared graph equals the published one."""

import os
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import skimage.data
from numpy.typing import NDArray

from alphacut_server.catalogue.loader import load_catalogue
from alphacut_server.catalogue.spec import ModelSpec
from alphacut_server.catalogue.store import Store, default_store
from alphacut_server.engine.prepare import Precision, PreparedModel, prepare

pytestmark = [pytest.mark.weights, pytest.mark.slow]


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    """Return the entry of u2netp."""
    return load_catalogue().get("u2netp")


@pytest.fixture(scope="module")
def store(spec: ModelSpec) -> Store:
    """Return the store of this checkout, if u2netp was pulled into it."""
    found = Store(default_store(os.environ))
    if found.find_weights(spec) is None:
        pytest.skip("u2netp is not pulled; run: alphacut models pull u2netp")
    return found


@pytest.fixture(scope="module")
def photos(spec: ModelSpec) -> NDArray[np.uint8]:
    """Return three photos at the network's side, (3, side, side, 3) uint8 RGB."""
    folder = Path(skimage.data.__file__).parent
    pictures = [cv2.imread(str(folder / name)) for name in ("astronaut.png", "chelsea.png", "coffee.png")]
    side = (spec.side_px, spec.side_px)
    return np.stack(
        [
            cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), side, interpolation=cv2.INTER_AREA)
            for picture in pictures
            if picture is not None
        ]
    ).astype(np.uint8)


def open_session(path: str) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(ready: PreparedModel, tensors: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Run a prepared graph."""
    (mattes,) = open_session(str(ready.path)).run([ready.output_name], {ready.input_name: tensors})
    return np.asarray(mattes, np.int64)


def test_prepared_u2netp_equals_the_published_graph(
    spec: ModelSpec, store: Store, photos: NDArray[np.uint8]
) -> None:
    """Normalised outside and run one by one, the published graph gives the same matte to one level."""
    session = open_session(str(store.check_weights(spec).path))
    mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
    planes = ((photos.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2)
    singles = [session.run([spec.output_name], {spec.input_name: plane[None]})[0] for plane in planes]
    wanted = np.rint(np.concatenate([np.asarray(single)[:, 0] for single in singles]) * 255).astype(np.int64)

    mattes = run(prepare(spec, store, Precision.FP32), photos)

    assert np.abs(mattes - wanted).max() <= 1
    assert mattes[0].min() < 10
    assert mattes[0].max() > 245


def test_batch_of_real_photos_equals_singles(
    spec: ModelSpec, store: Store, photos: NDArray[np.uint8]
) -> None:
    """Batching moves no pixel by more than one level of 255."""
    ready = prepare(spec, store, Precision.FP32)

    together = run(ready, photos)

    singles = np.concatenate([run(ready, photos[index : index + 1]) for index in range(len(photos))])
    assert np.abs(together - singles).max() <= 1


def test_fp16_weights_stay_close_on_real_photos(
    spec: ModelSpec, store: Store, photos: NDArray[np.uint8]
) -> None:
    """Half precision moves the mean pixel by less than two levels of 255."""
    full = run(prepare(spec, store, Precision.FP32), photos)

    half = run(prepare(spec, store, Precision.FP16), photos)

    assert np.abs(full - half).mean() < 2
