"""Small graphs in the form in which segmentation networks are published: fixed batch, several outputs, sizes computed inside."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

INPUT, OUTPUT = "input.1", "main"


def publish(
    *,
    side_px: int = 16,
    opset: int = 11,
    is_half: bool = False,
    has_constant_sizes: bool = False,
    is_logits: bool = False,
    has_baked_batch: bool = False,
) -> ModelProto:
    """Build convolution, pooling, a Resize back to the earlier size, and a main and a side output.

    is_half: weights in half precision with casts around the Resize, nodes out of order. has_constant_sizes: the Resize
    takes height and width from a constant in place of the shape of an earlier tensor. is_logits: no sigmoid at the end.
    has_baked_batch: a Reshape that holds for a batch of one alone.
    """
    nodes = [
        helper.make_node("Conv", [INPUT, "w1"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("MaxPool", ["active"], ["small"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        *_sizes(side_px, has_constant_sizes, opset),
        *_resize(is_half),
        helper.make_node("Concat", ["large", "active"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w2"], ["score"]),
        helper.make_node("Conv", ["small", "w3"], ["side_score"]),
        helper.make_node("Sigmoid", ["side_score"], ["side"]),
    ]
    last = "score"
    if has_baked_batch:
        nodes.append(helper.make_node("Reshape", ["score", "baked"], ["flat"]))
        last = "flat"
    nodes.append(helper.make_node("Identity" if is_logits else "Sigmoid", [last], [OUTPUT]))
    if is_half:
        nodes.reverse()  # as the exporters of half-precision files leave them
    image = [1, 3, side_px, side_px]
    graph = helper.make_graph(
        nodes,
        "published",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT16 if is_half else TensorProto.FLOAT, image)],
        [_output(OUTPUT, [1, 1, side_px, side_px], is_half), _output("side", ["b", "c", "h", "w"], is_half)],
        _weights(side_px, np.float16 if is_half else np.float32),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    if not is_half:
        onnx.checker.check_model(model)
    return model


def publish_weights(*, side_px: int = 16) -> bytes:
    """Return a published model as the bytes of its file."""
    return publish(side_px=side_px).SerializeToString()


def reference(
    model: ModelProto,
    tensor: NDArray[np.uint8],
    mean: Sequence[float],
    std: Sequence[float],
    output: str = OUTPUT,
) -> NDArray[np.float32]:
    """Run the published graph as its own authors do, in ONNX's reference implementation.

    tensor: (side, side, 3) uint8 RGB. Returns (side, side) float32, the output as it is.
    """
    planes = ((tensor / 255 - np.array(mean)) / np.array(std)).transpose(2, 0, 1)[None].astype(np.float32)
    (result,) = ReferenceEvaluator(model).run([output], {INPUT: planes})
    matte: NDArray[np.float32] = np.asarray(result, np.float32)[0, 0]
    return matte


def _output(name: str, shape: list[int] | list[str], is_half: bool) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT16 if is_half else TensorProto.FLOAT, shape)


def _weights(side_px: int, dtype: type[np.floating]) -> list[TensorProto]:
    random = np.random.default_rng(5)
    shapes = {"w1": (24, 3, 3, 3), "w2": (1, 48, 1, 1), "w3": (1, 24, 1, 1), "unused": (7,)}
    weights = [
        numpy_helper.from_array((random.normal(size=shape) * 0.5).astype(dtype), name)
        for name, shape in shapes.items()
    ]
    return [*weights, numpy_helper.from_array(np.array([1, 1, side_px, side_px], np.int64), "baked")]


def _constant(name: str, values: NDArray[np.generic]) -> NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values, f"{name}_value"))


def _sizes(side_px: int, is_constant: bool, opset: int) -> list[NodeProto]:
    """Build the four sizes of the Resize: batch and channels by Slice, height and width as the exporters write them."""
    nodes = [
        helper.make_node("Shape", ["small"], ["small_shape"]),
        _constant("start", np.array([0], np.int64)),
        _constant("end", np.array([2], np.int64)),
        helper.make_node("Slice", ["small_shape", "start", "end"], ["leading"]),
    ]
    if is_constant:
        nodes.append(_constant("trailing", np.array([side_px, side_px], np.int64)))
    else:
        nodes.append(helper.make_node("Shape", ["active"], ["active_shape"]))
        for axis in (2, 3):
            nodes.append(_constant(f"axis_{axis}", np.array(axis, np.int64)))
            nodes.append(
                helper.make_node("Gather", ["active_shape", f"axis_{axis}"], [f"length_{axis}"], axis=0)
            )
            nodes.append(_unsqueeze(f"length_{axis}", f"vector_{axis}", opset))
        nodes.append(_constant("zero_axis", np.array([0], np.int64)))
        nodes.append(helper.make_node("Concat", ["vector_2", "vector_3"], ["trailing"], axis=0))
        nodes = sorted(nodes, key=lambda node: node.op_type != "Constant")
    return [*nodes, helper.make_node("Concat", ["leading", "trailing"], ["sizes"], axis=0)]


def _unsqueeze(source: str, target: str, opset: int) -> NodeProto:
    if opset < 13:
        return helper.make_node("Unsqueeze", [source], [target], axes=[0])
    return helper.make_node("Unsqueeze", [source, "zero_axis"], [target])


def _resize(is_half: bool) -> list[NodeProto]:
    options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if not is_half:
        empty = _constant("empty", np.array([], np.float32))
        return [empty, helper.make_node("Resize", ["small", "empty", "empty", "sizes"], ["large"], **options)]
    return [
        helper.make_node("Cast", ["small"], ["small_32"], to=TensorProto.FLOAT),
        helper.make_node("Resize", ["small_32", "", "", "sizes"], ["large_32"], **options),
        helper.make_node("Cast", ["large_32"], ["large"], to=TensorProto.FLOAT16),
    ]
