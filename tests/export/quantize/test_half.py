"""A graph in 16-bit floats takes the same images, gives the same kind of logits, and is half as large."""

import numpy as np
import onnx

from export.quantize.half import halved
from tests.support.graphs import answer, pixels, residual


def test_a_half_graph_answers_nearly_alike_between_the_same_ends() -> None:
    model = residual(w3=np.random.default_rng(0).normal(scale=0.2, size=(4, 4, 3, 3)))
    half = halved(model)
    assert (half.graph.input, half.graph.output) == (model.graph.input, model.graph.output)
    kinds = {constant.data_type for constant in half.graph.initializer}
    assert onnx.TensorProto.FLOAT not in kinds
    wanted = answer(model, pixels())
    np.testing.assert_allclose(answer(half, pixels()), wanted, atol=0.01 * np.abs(wanted).max())
    assert answer(half, pixels()).dtype == np.float32
    assert all(constant.data_type != onnx.TensorProto.FLOAT16 for constant in model.graph.initializer)
