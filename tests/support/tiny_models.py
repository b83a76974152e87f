"""Prepared graphs of a few nodes, for tests that need ONNX Runtime but no weights."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

TINY_SIDE_PX = 16


def save_tiny_model(path: Path, *, side_px: int = TINY_SIDE_PX) -> Path:
    """Save a graph that blurs the three channels into one: `tensor` (n, side, side, 3) to `matte` (n, side, side)."""
    kernel = (np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3) + 1) / 378
    nodes = [
        helper.make_node("Cast", ["tensor"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["blurred"], pads=[1, 1, 1, 1]),
        helper.make_node("Squeeze", ["blurred", "axis"], ["flat"]),
        helper.make_node("Floor", ["flat"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["matte"], to=TensorProto.UINT8),
    ]
    constants = {"kernel": kernel, "axis": np.array([1], np.int64)}
    return _save(path, nodes, constants, side_px)


def save_picky_model(path: Path, *, side_px: int = TINY_SIDE_PX) -> Path:
    """Save a graph that loads, runs a batch of one, and fails on any other."""
    nodes = [
        helper.make_node("Reshape", ["tensor", "one"], ["single"]),
        helper.make_node("Gather", ["single", "red"], ["matte"], axis=3),
    ]
    constants = {"one": np.array([1, side_px, side_px, 3], np.int64), "red": np.array(0, np.int64)}
    return _save(path, nodes, constants, side_px)


def random_tensors(count: int, *, side_px: int = TINY_SIDE_PX, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Make `count` different tensors, each (side, side, 3) uint8."""
    return list(np.random.default_rng(seed).integers(0, 256, (count, side_px, side_px, 3), np.uint8))


def _save(
    path: Path, nodes: list[onnx.NodeProto], constants: Mapping[str, NDArray[np.generic]], side_px: int
) -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("tensor", TensorProto.UINT8, ["n", side_px, side_px, 3])],
        [helper.make_tensor_value_info("matte", TensorProto.UINT8, ["n", side_px, side_px])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    # An old IR version, so that older runtimes read it too.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
