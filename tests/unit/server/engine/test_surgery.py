"""The rework on small graphs that look like published ones: what comes out equals what the publisher's own way gives."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from alphacut_server.engine.shapes import GraphUnsupported
from alphacut_server.engine.surgery import INPUT_NAME, OUTPUT_NAME, Plan, rework
from support.published import INPUT, OUTPUT, publish, reference

SIDE_PX = 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAN = Plan(
    input_name=INPUT,
    output_name=OUTPUT,
    output_is_logits=False,
    published_side_px=SIDE_PX,
    side_px=SIDE_PX,
    mean=MEAN,
    std=STD,
    is_batch_free=True,
    is_fp16=False,
)


def pictures(count: int, side_px: int = SIDE_PX) -> NDArray[np.uint8]:
    """Make `count` pictures, (count, side, side, 3) uint8 RGB, black and white among their pixels."""
    tensors = np.random.default_rng(3).integers(0, 256, (count, side_px, side_px, 3), np.uint8)
    tensors[:, 0, 0], tensors[:, 0, 1] = 0, 255
    return tensors


def run(model: ModelProto, tensors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Run a reworked graph on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (mattes,) = session.run([OUTPUT_NAME], {INPUT_NAME: tensors})
    assert isinstance(mattes, np.ndarray)
    return mattes


def expected(published: ModelProto, tensors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Compute the mattes by the published graph, one picture at a time."""
    mattes = [np.rint(np.clip(reference(published, tensor, MEAN, STD) * 255, 0, 255)) for tensor in tensors]
    return np.stack(mattes).astype(np.uint8)


def largest_difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """Return the largest difference of two mattes, in levels of 255."""
    return int(np.abs(one.astype(int) - other).max())


def names_of(values: Sequence[object]) -> list[str]:
    """Return the names of a graph's inputs or outputs."""
    return [str(getattr(value, "name", "")) for value in values]


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize("has_constant_sizes", [False, True])
def test_uint8_in_gives_the_published_matte_in_uint8(opset: int, has_constant_sizes: bool) -> None:
    """Normalisation and quantisation in the graph equal those done outside, to one level of rounding."""
    published = publish(opset=opset, has_constant_sizes=has_constant_sizes)
    tensors = pictures(1)
    wanted = expected(published, tensors)

    mattes = run(rework(published, PLAN), tensors)

    assert mattes.dtype == np.uint8
    assert mattes.shape == (1, SIDE_PX, SIDE_PX)
    assert wanted.std() > 10  # the small network tells pixels apart
    assert largest_difference(mattes, wanted) <= 1


def test_batch_of_three_equals_three_singles() -> None:
    """A fixed batch of one becomes any batch, and batching changes nothing."""
    model = rework(publish(), PLAN)
    tensors = pictures(3)

    together = run(model, tensors)

    singles = np.concatenate([run(model, tensors[index : index + 1]) for index in range(3)])
    assert np.array_equal(together, singles)


def test_only_what_is_used_remains() -> None:
    """One input, one output, no weights of the side output and none that nobody reads."""
    model = rework(publish(), PLAN)

    assert names_of(model.graph.input) == [INPUT_NAME]
    assert names_of(model.graph.output) == [OUTPUT_NAME]
    assert {"w1", "w2"} <= set(names_of(model.graph.initializer))
    assert not {"w3", "unused", "baked"} & set(names_of(model.graph.initializer))
    assert [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [
        "n",
        SIDE_PX,
        SIDE_PX,
        3,
    ]


def test_shape_arithmetic_of_the_exporter_is_gone() -> None:
    """One Shape and one Slice serve every Resize, whatever the exporter had written."""
    model = rework(publish(), PLAN)

    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Shape") == 1
    assert kinds.count("Slice") == 1
    assert "Gather" not in kinds


def test_half_precision_weights_are_served_in_fp32() -> None:
    """Weights published in fp16, nodes out of order, casts around the Resize: the same matte, in fp32 throughout."""
    published = publish(opset=13, is_half=True)
    full = publish(opset=13)  # the same weights before they were rounded to half precision
    tensors = pictures(2)

    model = rework(published, PLAN)

    types = {tensor.data_type for tensor in model.graph.initializer}
    assert TensorProto.FLOAT16 not in types
    assert largest_difference(run(model, tensors), expected(full, tensors)) <= 3


def test_fp16_is_close_and_half_the_size() -> None:
    """Half precision moves the matte by little; input and output stay uint8."""
    tensors = pictures(2)
    full = rework(publish(), PLAN)

    half = rework(publish(), replace(PLAN, is_fp16=True))

    assert largest_difference(run(half, tensors), run(full, tensors)) <= 4
    assert half.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert half.graph.output[0].type.tensor_type.elem_type == TensorProto.UINT8
    weights = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert weights["w1"] == weights["w2"] == TensorProto.FLOAT16


def test_logits_pass_through_a_sigmoid() -> None:
    """A network without activation at its end gives the same matte as one with it."""
    tensors = pictures(1)
    wanted = run(rework(publish(), PLAN), tensors)

    mattes = run(rework(publish(is_logits=True), replace(PLAN, output_is_logits=True)), tensors)

    assert largest_difference(mattes, wanted) <= 1


def test_values_outside_the_range_are_clipped_not_wrapped() -> None:
    """Logits taken for probabilities show as 0 and 255, never as a wrapped number."""
    tensors = pictures(1)
    published = publish(is_logits=True)
    raw = reference(published, tensors[0], MEAN, STD)

    matte = run(rework(published, PLAN), tensors)[0]

    assert raw.min() < -0.1
    assert raw.max() > 1.1
    assert np.all(matte[raw < 0] == 0)
    assert np.all(matte[raw > 1] == 255)


@pytest.mark.parametrize(
    ("probability", "level"), [(0.0, 0), (0.5 / 255, 0), (1.5 / 255, 2), (0.999, 255), (1.0, 255)]
)
def test_probability_is_rounded_half_to_even(probability: float, level: int) -> None:
    """The quantisation is the documented one."""
    weights = numpy_helper.from_array(np.full((1, 1, 2, 2), probability, np.float32), "value")
    nodes = [
        helper.make_node("ReduceMax", [INPUT], ["pixel"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["pixel", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "value"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3, 2, 2])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, 1, 2, 2])],
        [weights, numpy_helper.from_array(np.array(0, np.float32), "zero")],
    )
    published = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)

    model = rework(published, replace(PLAN, published_side_px=2, side_px=2))

    assert np.all(run(model, np.zeros((2, 2, 2, 3), np.uint8)) == level)


@pytest.mark.parametrize("side_px", [8, 14, 32])
def test_other_side_scales_the_sizes_that_were_constant(side_px: int) -> None:
    """The graph prepared for another side equals the graph published at that side."""
    tensors = pictures(2, side_px)
    wanted = expected(publish(side_px=side_px, has_constant_sizes=True), tensors)

    model = rework(publish(has_constant_sizes=True), replace(PLAN, side_px=side_px))

    assert largest_difference(run(model, tensors), wanted) <= 1


def test_empty_names_mean_the_only_input_and_the_first_output() -> None:
    """Entries for files that could not be opened beforehand need no names."""
    tensors = pictures(1)
    wanted = run(rework(publish(), PLAN), tensors)

    mattes = run(rework(publish(), replace(PLAN, input_name="", output_name="")), tensors)

    assert np.array_equal(mattes, wanted)


def test_fixed_batch_stays_one() -> None:
    """A graph whose batch cannot be freed is served one picture at a time."""
    published = publish(has_baked_batch=True)
    tensors = pictures(1)
    wanted = expected(published, tensors)

    model = rework(published, replace(PLAN, is_batch_free=False))

    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    assert largest_difference(run(model, tensors), wanted) <= 1


def test_batch_that_cannot_be_freed_is_found_without_running() -> None:
    """A Reshape that holds for one picture alone would mix a batch up; it is refused when the graph is prepared."""
    with pytest.raises(GraphUnsupported):
        rework(publish(has_baked_batch=True), PLAN)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (replace(PLAN, input_name="other"), "no input 'other'"),
        (replace(PLAN, output_name="other"), "no output 'other'"),
        (replace(PLAN, published_side_px=20, side_px=20), "the input's shape is"),
        (replace(PLAN, output_name="side"), "wanted"),
    ],
)
def test_entry_that_does_not_fit_its_graph_is_told_why(plan: Plan, said: str) -> None:
    """A mistake in an entry shows when the model is prepared, not as wrong mattes."""
    with pytest.raises(GraphUnsupported, match=said):
        rework(publish(), plan)


def test_opset_too_old_is_told() -> None:
    """Operators of the added nodes need opset 11."""
    published = publish()
    published.opset_import[0].version = 9

    with pytest.raises(GraphUnsupported, match="opset 9"):
        rework(published, PLAN)


def test_graph_that_onnx_itself_refuses_is_told() -> None:
    """An attribute that its operator does not know is found when the graph is prepared."""
    published = publish()
    published.graph.node[1].attribute.append(helper.make_attribute("unheard_of", 1))

    with pytest.raises(GraphUnsupported, match="unheard_of"):
        rework(published, PLAN)


def test_names_of_ours_in_the_graph_are_refused() -> None:
    """A published tensor called `matte` would be confused with the graph's own output."""
    published = publish()
    published.graph.node[0].output[0] = OUTPUT_NAME

    with pytest.raises(GraphUnsupported, match="names of ours"):
        rework(published, PLAN)


def test_weights_beyond_half_precision_are_refused_in_fp16() -> None:
    """An overflow would be infinity, and the matte nonsense."""
    published = publish()
    for tensor in published.graph.initializer:
        if tensor.name == "w2":
            tensor.CopyFrom(numpy_helper.from_array(np.full((1, 48, 1, 1), 1e5, np.float32), "w2"))

    with pytest.raises(GraphUnsupported, match="w2 does not fit half precision"):
        rework(published, replace(PLAN, is_fp16=True))
