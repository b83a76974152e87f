"""Rework a published segmentation graph into the one that is served: uint8 pictures in, uint8 mattes out, any batch.

Pure functions over ONNX models; files, stores and devices are not known here. What is done, in this order:

1. keep the one output that is used, drop every node that does not feed it, sort the rest;
2. bring weights that were published in half precision to fp32 and drop the casts around them;
3. set another side, where the entry allows it, by scaling the sizes that feed the Resize nodes;
4. replace the sizes of every Resize by (batch, constants), which frees the batch and drops the shape arithmetic;
5. convert to fp16 where asked for;
6. put normalisation in front and quantisation behind.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from alphacut_server.engine import shapes as shaping
from alphacut_server.engine.shapes import GraphUnsupported

INPUT_NAME = "tensor"
OUTPUT_NAME = "matte"
_OWN = "alphacut/"  # prefix of every name that is added
_BATCH = "n"
_MIN_OPSET = 11  # Clip with bounds as inputs, Resize with sizes
_FP16_MAX = float(np.finfo(np.float16).max)
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
_RESIZE_PARAMETERS = (1, 2)  # roi and scales of a Resize stay fp32 in every precision


@dataclass(frozen=True, slots=True)
class Plan:
    """What the served graph is to be."""

    input_name: str
    """Of the published graph; empty: its only input."""
    output_name: str
    """Of the published graph; empty: its first output."""
    output_is_logits: bool
    published_side_px: int
    side_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    is_batch_free: bool
    """False: the batch stays 1."""
    is_fp16: bool


def rework(published: ModelProto, plan: Plan) -> ModelProto:
    """Return the graph to serve; `published` is taken apart.

    Input `tensor`: (n, side, side, 3) uint8 RGB. Output `matte`: (n, side, side) uint8, 255 is foreground: probability
    times 255, rounded half to even, clipped. n is symbolic, or 1 when the plan keeps the batch fixed.
    Raises GraphUnsupported when the graph is not of the form that the entry says.
    """
    model = published
    graph = model.graph
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if opset < _MIN_OPSET:
        raise GraphUnsupported(f"opset {opset} is too old, {_MIN_OPSET} is the least")
    model.ir_version = max(model.ir_version, 4)  # initializers need not be inputs from 4 on
    source, result = _choose_ends(graph, plan)
    _isolate(graph, source, result)
    _to_fp32(model)
    _set_side(graph, source, plan)
    if plan.is_batch_free:
        _free_batch(model, source)
    _isolate(graph, source, result)
    _require_output(model, source, result, plan)
    if plan.is_fp16:
        _to_fp16(graph)
    _wrap(graph, source, result, plan)
    shaping.check(model)
    return model


def _choose_ends(graph: GraphProto, plan: Plan) -> tuple[str, str]:
    """Return the names of the input and of the output that are used."""
    weights = {entry.name for entry in graph.initializer}
    inputs = [entry.name for entry in graph.input if entry.name not in weights]
    outputs = [entry.name for entry in graph.output]
    source = plan.input_name or (inputs[0] if len(inputs) == 1 else "")
    result = plan.output_name or outputs[0]
    if source not in inputs:
        raise GraphUnsupported(f"no input {source!r}; there are {inputs}")
    if result not in outputs:
        raise GraphUnsupported(f"no output {result!r}; there are {outputs}")
    taken = {name for node in graph.node for name in node.output} | weights | set(inputs)
    if taken & {INPUT_NAME, OUTPUT_NAME} or any(name.startswith(_OWN) for name in taken):
        raise GraphUnsupported(
            f"the graph has names of ours ({INPUT_NAME}, {OUTPUT_NAME} or {_OWN}…) already"
        )
    return source, result


def _isolate(graph: GraphProto, source: str, result: str) -> None:
    """Keep only what leads from `source` to `result`, in topological order; shapes told by the publisher are dropped."""
    nodes = shaping.ancestors(graph, result)
    read = {name for node in nodes for name in shaping.reads(node)}
    ends = [entry for entry in graph.input if entry.name == source]
    goals = [entry for entry in graph.output if entry.name == result]
    for field, kept in (("node", nodes), ("input", ends), ("output", goals)):
        graph.ClearField(field)
        getattr(graph, field).extend(kept)
    graph.ClearField("value_info")
    # One by one: weights are up to a gigabyte, and copying the list would double it.
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in read:
            del graph.initializer[index]


def _to_fp32(model: ModelProto) -> None:
    """Bring half-precision weights to fp32 and drop the casts between the two, which have become idle."""
    graph = model.graph
    tensors = list(_constants(graph))
    if not any(tensor.data_type == TensorProto.FLOAT16 for tensor in tensors):
        return
    types = shaping.element_types(model)
    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT16:
            _replace(tensor, numpy_helper.to_array(tensor).astype(np.float32))
    for entry in (*graph.input, *graph.output):
        if entry.type.tensor_type.elem_type == TensorProto.FLOAT16:
            entry.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in graph.node:
        if node.op_type != "Cast" or _cast_target(node).i not in _FLOATS:
            continue
        _cast_target(node).i = TensorProto.FLOAT
        if types.get(node.input[0]) in _FLOATS:
            node.op_type = "Identity"
            node.ClearField("attribute")


def _set_side(graph: GraphProto, source: str, plan: Plan) -> None:
    """Set the input's shape to (1, 3, side, side) and scale the constant sizes that feed the Resize nodes.

    Sizes inside such a network come from halving with rounding up, and nested halvings round up alike: ceil(size · factor).
    """
    entry = graph.input[0]
    told = [dim.dim_value for dim in entry.type.tensor_type.shape.dim]
    published = [1, 3, plan.published_side_px, plan.published_side_px]
    if len(told) != 4 or any(have not in (0, want) for have, want in zip(told, published, strict=True)):
        raise GraphUnsupported(f"the input's shape is {told}, the entry says {published}")
    side = plan.side_px
    entry.CopyFrom(helper.make_tensor_value_info(source, TensorProto.FLOAT, [1, 3, side, side]))
    graph.output[0].type.tensor_type.ClearField("shape")
    if side == plan.published_side_px:
        return
    factor = side / plan.published_side_px
    constants = {node.output[0]: node for node in graph.node if node.op_type == "Constant"}
    makers = {name: node for node in graph.node for name in node.output}
    for node in _resizes_by_size(graph):
        concat = makers.get(node.input[3])
        if concat is None or concat.op_type != "Concat":
            continue
        for name in concat.input:
            tensor = constants[name].attribute[0].t if name in constants else None
            if tensor is not None and math.prod(tensor.dims) == 2:
                sizes = numpy_helper.to_array(tensor)
                _replace(tensor, np.ceil(sizes * factor).astype(np.int64))
                constants.pop(name)  # one constant may feed several nodes; it is scaled once


def _free_batch(model: ModelProto, source: str) -> None:
    """Make the batch symbolic: every Resize takes (batch of the input, constants) as its sizes."""
    graph = model.graph
    shapes = shaping.static_shapes(model)
    batch = f"{_OWN}batch"
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([0], np.int64), f"{_OWN}zero"),
            numpy_helper.from_array(np.array([1], np.int64), f"{_OWN}one"),
        ]
    )
    added = [
        helper.make_node("Shape", [source], [f"{_OWN}shape"]),
        helper.make_node("Slice", [f"{_OWN}shape", f"{_OWN}zero", f"{_OWN}one"], [batch]),
    ]
    for index, node in enumerate(_resizes_by_size(graph)):
        shape = shapes.get(node.output[0])
        if shape is None or len(shape) != 4 or shape[0] != 1:
            raise GraphUnsupported(
                f"the size of {node.name or node.output[0]} is not known beforehand; set max_batch_size = 1"
            )
        rest, sizes = f"{_OWN}size_{index}", f"{_OWN}sizes_{index}"
        graph.initializer.append(numpy_helper.from_array(np.array(shape[1:], np.int64), rest))
        added.append(helper.make_node("Concat", [batch, rest], [sizes], axis=0))
        node.input[3] = sizes
    graph.node.extend(added)
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = _BATCH


def _require_output(model: ModelProto, source: str, result: str, plan: Plan) -> None:
    """Check on shapes alone that each item of a batch gives one matte. Raises GraphUnsupported."""
    batch = 3 if plan.is_batch_free else 1  # 3: no accident of broadcasting makes a 1 into it
    wanted = (batch, 1, plan.side_px, plan.side_px)
    found = shaping.static_shapes(model, batch=batch).get(result)
    if found != wanted:
        raise GraphUnsupported(f"from {source} to {result} a batch of {batch} gives {found}, wanted {wanted}")


def _to_fp16(graph: GraphProto) -> None:
    """Convert weights and constants to half precision, all but the parameters of the Resize nodes."""
    kept = {
        node.input[index]
        for node in graph.node
        if node.op_type == "Resize"
        for index in _RESIZE_PARAMETERS
        if index < len(node.input)
    }
    for node in graph.node:
        if node.op_type == "Cast" and _cast_target(node).i == TensorProto.FLOAT:
            _cast_target(node).i = TensorProto.FLOAT16
    for owner, tensor in _named_constants(graph):
        if tensor.data_type != TensorProto.FLOAT or owner in kept:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size and float(np.abs(values).max()) > _FP16_MAX:
            raise GraphUnsupported(f"{owner} does not fit half precision; set fp16 = false")
        _replace(tensor, values.astype(np.float16))


def _wrap(graph: GraphProto, source: str, result: str, plan: Plan) -> None:
    """Put normalisation before `source` and quantisation behind `result`."""
    mean, std = np.array(plan.mean, np.float64), np.array(plan.std, np.float64)
    # (x / 255 - mean) / std as one product and one sum.
    constants: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
        "scale": (1.0 / (255.0 * std)).astype(np.float32).reshape(1, 3, 1, 1),
        "shift": (-mean / std).astype(np.float32).reshape(1, 3, 1, 1),
        "white": np.array(255.0, np.float32),
        "black": np.array(0.0, np.float32),
        "matte_shape": np.array([0, plan.side_px, plan.side_px], np.int64),  # 0: the batch as it is
    }
    graph.initializer.extend(numpy_helper.from_array(value, _OWN + name) for name, value in constants.items())
    before = _Chain(INPUT_NAME, "before")
    before.add("Transpose", perm=[0, 3, 1, 2])  # while a pixel is three bytes
    before.add("Cast", to=TensorProto.FLOAT)
    before.add("Mul", "scale")
    before.add("Add", "shift")
    if plan.is_fp16:
        before.add("Cast", to=TensorProto.FLOAT16)
    behind = _Chain(result, "behind")
    behind.add("Cast", to=TensorProto.FLOAT)
    if plan.output_is_logits:
        behind.add("Sigmoid")
    behind.add("Mul", "white")
    behind.add("Round")
    behind.add("Clip", "black", "white")
    behind.add("Cast", to=TensorProto.UINT8)
    behind.add("Reshape", "matte_shape")
    body = list(graph.node)
    graph.ClearField("node")
    graph.node.extend([*before.end_as(source), *body, *behind.end_as(OUTPUT_NAME)])
    batch = _BATCH if plan.is_batch_free else 1
    side = plan.side_px
    graph.input[0].CopyFrom(
        helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, [batch, side, side, 3])
    )
    graph.output[0].CopyFrom(
        helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.UINT8, [batch, side, side])
    )


class _Chain:
    """Nodes one after another, each fed by the one before."""

    def __init__(self, start: str, label: str) -> None:
        self._nodes: list[NodeProto] = []
        self._last = start
        self._label = label

    def add(self, op_type: str, *constants: str, **attributes: int | list[int]) -> None:
        """Append a node that reads the one before and our constants of these names."""
        name = f"{_OWN}{self._label}_{len(self._nodes)}"
        inputs = [self._last, *(_OWN + constant for constant in constants)]
        node = helper.make_node(op_type, inputs, [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        self._last = name

    def end_as(self, name: str) -> list[NodeProto]:
        """Return the nodes, the last one's output called `name`."""
        self._nodes[-1].output[0] = name
        return self._nodes


def _resizes_by_size(graph: GraphProto) -> list[NodeProto]:
    return [node for node in graph.node if node.op_type == "Resize" and len(node.input) > 3 and node.input[3]]


def _cast_target(node: NodeProto) -> onnx.AttributeProto:
    return next(attribute for attribute in node.attribute if attribute.name == "to")


def _constants(graph: GraphProto) -> Iterable[TensorProto]:
    return (tensor for _, tensor in _named_constants(graph))


def _named_constants(graph: GraphProto) -> Iterable[tuple[str, TensorProto]]:
    """Yield every weight and every Constant's tensor, with the name it is read by."""
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    yield node.output[0], attribute.t


def _replace(tensor: TensorProto, values: NDArray[np.generic]) -> None:
    """Give a tensor other values under the same name."""
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
