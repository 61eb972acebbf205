"""What of a graph becomes int8: layers with weights and what lies between them; neither the pixels nor the logits."""

import numpy as np

from export.quantize.graph import Graph
from export.quantize.norms import without_norms
from export.quantize.plan import plan, weighted
from export.quantize.pooling import with_pools
from tests.support.graphs import PIXELS, graph_of, residual

PREPARED = without_norms(with_pools(residual()))


def test_every_layer_with_weights_is_int8_and_the_normalisation_is_not() -> None:
    made = plan(Graph(PREPARED))
    assert set(weighted(PREPARED)) <= made.nodes
    assert not {"Transpose0", "Cast1", "Mul2", "Add3"} & made.nodes
    assert len(weighted(PREPARED)) == 5


def test_logits_stay_floats_and_pixels_are_written_once_normalised() -> None:
    made = plan(Graph(PREPARED))
    assert "logits" not in made.tensors
    assert made.tensors[0] == "x"


def test_a_relu_ends_its_convolution_but_not_a_sum_that_others_read() -> None:
    made = plan(Graph(PREPARED))
    assert {"inner_relu", "stream", "second_relu", "root", "root_relu"} <= set(made.tensors)
    assert "inner" not in made.tensors
    relus = {node.name for node in PREPARED.graph.node if node.op_type == "Relu"}
    assert len(relus - made.absorbed) == 2  # behind the root and behind the stream, which the next sums read too


def test_a_kept_layer_is_not_in_the_plan_and_its_neighbours_are() -> None:
    first, *others = weighted(PREPARED)
    made = plan(Graph(PREPARED), [first])
    assert first not in made.nodes
    assert set(others) <= made.nodes
    assert "x" not in made.tensors


def test_arithmetic_on_shapes_is_no_part_of_it() -> None:
    body = (
        PIXELS
        + """
    a = Conv (x, w)
    size = Shape <start = 0, end = 1> (a)
    shape = Concat <axis = 0> (size, rest)
    flat = Reshape (a, shape)
    logits = Gemm (flat, head)
    """
    )
    figures = {"pixel_scale": np.full((1, 3, 1, 1), 0.02), "pixel_shift": np.zeros((1, 3, 1, 1))}
    weights = {"w": np.ones((2, 3, 6, 6)), "head": np.ones((2, 2)), "rest": np.array([2])}
    made = plan(Graph(graph_of(body, **figures, **weights)))
    assert not {"size", "shape"} & set(made.tensors)
    assert "a" in made.tensors
