"""What is known of a graph without running it."""

import numpy as np
import pytest
from onnx import GraphProto, TensorProto, helper, numpy_helper

from alphacut_server.engine.shapes import (
    GraphUnsupported,
    ancestors,
    check,
    element_types,
    reads,
    static_shapes,
)
from support.published import OUTPUT, publish


def graph_of(*edges: tuple[str, str]) -> GraphProto:
    """Build a graph of one Identity an edge."""
    nodes = [helper.make_node("Identity", [source], [target]) for source, target in edges]
    return helper.make_graph(nodes, "edges", [], [])


def test_ancestors_come_before_those_that_read_them() -> None:
    """Out of order and with a branch that leads nowhere: what is left is sorted."""
    graph = graph_of(("c", "d"), ("a", "b"), ("b", "c"), ("b", "nowhere"))

    found = [node.output[0] for node in ancestors(graph, "d")]

    assert found == ["b", "c", "d"]


def test_node_read_twice_comes_once() -> None:
    """A diamond is no cycle."""
    graph = graph_of(("a", "b"), ("b", "c"), ("b", "d"))
    graph.node.append(helper.make_node("Add", ["c", "d"], ["e"]))

    found = [node.output[0] for node in ancestors(graph, "e")]

    assert sorted(found) == ["b", "c", "d", "e"]
    assert found[0] == "b"
    assert found[-1] == "e"


def test_cycle_is_refused() -> None:
    """A graph that eats its own tail is no network."""
    with pytest.raises(GraphUnsupported, match="cycle"):
        ancestors(graph_of(("c", "b"), ("b", "c")), "c")


def test_branches_count_as_readers() -> None:
    """What the inside of an If reads from outside is read by the If."""
    then_branch = graph_of(("outside", "inside"))
    node = helper.make_node("If", ["flag"], ["result"], then_branch=then_branch, else_branch=then_branch)

    assert reads(node) >= {"flag", "outside"}


@pytest.mark.parametrize("opset", [11, 17])
def test_sizes_are_followed_through_shape_arithmetic(opset: int) -> None:
    """The Resize's size is found although the graph computes it from the shape of another tensor."""
    shapes = static_shapes(publish(opset=opset))

    assert shapes["large"] == (1, 24, 16, 16)
    assert shapes[OUTPUT] == (1, 1, 16, 16)


def test_weights_values_are_not_needed() -> None:
    """Types and shapes of large weights are all that inference reads."""
    published = publish()
    large = numpy_helper.from_array(np.zeros((24, 3, 3, 3, 3), np.float32), "large_weights")
    published.graph.initializer.append(large)

    assert static_shapes(published)[OUTPUT] == (1, 1, 16, 16)


def test_element_types_are_told_apart() -> None:
    """Which casts are between two kinds of float is known beforehand."""
    types = element_types(publish(opset=13))

    assert types["features"] == TensorProto.FLOAT
    assert types["sizes"] == TensorProto.INT64


def test_shapes_that_contradict_are_refused() -> None:
    """A Resize to a constant size beside a picture of another size cannot run; that is found beforehand."""
    published = publish(has_constant_sizes=True)
    for dim in published.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = 20

    with pytest.raises(GraphUnsupported, match="do not fit together"):
        static_shapes(published)


def test_whole_graph_passes_the_check() -> None:
    """ONNX's own checker has nothing against a sound graph."""
    check(publish())


def test_node_without_its_input_fails_the_check() -> None:
    """A node that reads what nobody makes is refused."""
    published = publish()
    published.graph.node[0].input[0] = "made by nobody"

    with pytest.raises(GraphUnsupported, match="no valid ONNX"):
        check(published)
