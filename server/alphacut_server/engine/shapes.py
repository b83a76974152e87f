"""What can be known of a graph without running it: order, element types, shapes.

Shapes are inferred on a skeleton without weights, so the largest networks cost milliseconds and no memory to speak of.
"""

import math

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, shape_inference, version_converter

from alphacut_server.errors import InternalFault

_WEIGHT_ELEMENTS = 1024  # larger float tensors are weights, whose values no shape depends on
_PROPAGATING_OPSET = 17  # onnx follows sizes through Shape, Gather and Concat only in newer operator versions


class GraphUnsupported(InternalFault):
    """The published graph is not of the form that can be prepared, or not the one that the catalogue describes."""


def reads(node: NodeProto) -> set[str]:
    """Return every name that a node reads, those that its branches capture included."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                names |= reads(inner)
    return names


def ancestors(graph: GraphProto, result: str) -> list[NodeProto]:
    """Return the nodes that `result` depends on, each after those that it reads. Raises GraphUnsupported on a cycle."""
    makers = {name: node for node in graph.node for name in node.output}
    ordered: list[NodeProto] = []
    done: set[int] = set()
    open_: set[int] = set()
    stack = [(makers[result], False)] if result in makers else []
    while stack:
        node, is_ready = stack.pop()
        key = id(node)
        if is_ready:
            open_.discard(key)
            done.add(key)
            ordered.append(node)
            continue
        if key in done:
            continue
        if key in open_:
            raise GraphUnsupported("the graph has a cycle")
        open_.add(key)
        stack.append((node, True))
        for name in sorted(reads(node), reverse=True):
            maker = makers.get(name)
            if maker is not None and id(maker) not in done:
                stack.append((maker, False))
    return ordered


def element_types(model: ModelProto) -> dict[str, int]:
    """Return the element type (TensorProto.DataType) of every tensor that inference can type."""
    inferred = _infer(_skeleton(model, None), is_strict=False)
    return {entry.name: entry.type.tensor_type.elem_type for entry in _values(inferred)}


def static_shapes(model: ModelProto, batch: int | None = None) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor whose dimensions are all known, at the given batch or the graph's own.

    Raises GraphUnsupported when shapes contradict one another.
    """
    inferred = _infer(_skeleton(model, batch), is_strict=True)
    found: dict[str, tuple[int, ...]] = {}
    for entry in _values(inferred):
        dims = entry.type.tensor_type.shape.dim
        if entry.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[entry.name] = tuple(dim.dim_value for dim in dims)
    return found


def check(model: ModelProto) -> None:
    """Have ONNX's own checker look at every node. Raises GraphUnsupported."""
    try:
        onnx.checker.check_model(_skeleton(model, None))
    except onnx.checker.ValidationError as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        raise GraphUnsupported(f"the graph is no valid ONNX: {first[:300]}") from error


def _skeleton(model: ModelProto, batch: int | None) -> ModelProto:
    """Return a copy whose weights are inputs of a known shape; at a given batch, if one is given."""
    skeleton = ModelProto()
    skeleton.ir_version = model.ir_version
    skeleton.opset_import.extend(model.opset_import)
    graph = skeleton.graph
    graph.name = model.graph.name or "graph"
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if (
            tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16)
            and math.prod(tensor.dims) > _WEIGHT_ELEMENTS
        ):
            graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
        else:
            graph.initializer.append(tensor)
    if batch is not None:
        graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    return skeleton


def _infer(skeleton: ModelProto, *, is_strict: bool) -> ModelProto:
    try:
        if all(
            entry.version < _PROPAGATING_OPSET
            for entry in skeleton.opset_import
            if entry.domain in ("", "ai.onnx")
        ):
            skeleton = version_converter.convert_version(skeleton, _PROPAGATING_OPSET)
        return shape_inference.infer_shapes(skeleton, strict_mode=is_strict, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError, ValueError) as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        raise GraphUnsupported(f"the graph's shapes do not fit together: {first[:300]}") from error


def _values(model: ModelProto) -> list[onnx.ValueInfoProto]:
    return [*model.graph.input, *model.graph.value_info, *model.graph.output]
