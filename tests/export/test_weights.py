"""Weights in 16 bits: half the bytes, the same arithmetic, and every step that reads weights gets float32 again."""

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from export.weights import in_16_bits, in_32_bits
from tests.support.graphs import answer, graph_of, operators, pixels, residual

_FLAT = "flat = Flatten (planes)\nfloats = Cast <to = 1> (flat)\nlogits = MatMul (floats, w)"


def _wide(weights: np.ndarray) -> onnx.ModelProto:
    return graph_of(f"planes = Transpose <perm = [0, 3, 1, 2]> (images)\n{_FLAT}", classes=weights.shape[1], w=weights)


def _weights(scale: float = 0.01) -> np.ndarray:
    return np.random.default_rng(0).normal(scale=scale, size=(108, 5)).astype(np.float32)


def _constants(model: onnx.ModelProto) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def test_large_constants_are_rounded_and_the_graph_computes_with_the_rounded_ones_in_float32() -> None:
    weights = _weights()
    model = _wide(weights)
    half = in_16_bits(model)
    assert _constants(half) == {"w_fp16": TensorProto.FLOAT16}
    assert len(half.SerializeToString()) < 0.6 * len(model.SerializeToString())
    rounded = answer(_wide(weights.astype(np.float16).astype(np.float32)), pixels())
    np.testing.assert_array_equal(answer(half, pixels()), rounded)
    assert 0 < np.abs(rounded - answer(model, pixels())).max() < 1e-2 * np.abs(rounded).max()


def test_the_graph_that_is_given_stays_as_it_is() -> None:
    model = _wide(_weights())
    before = model.SerializeToString()
    in_16_bits(model)
    assert model.SerializeToString() == before
    half = in_16_bits(model)
    before = half.SerializeToString()
    in_32_bits(half)
    assert half.SerializeToString() == before


def test_small_constants_and_those_beyond_float16_stay_float32() -> None:
    assert in_16_bits(residual()) == residual()
    beyond = _weights()
    beyond[3, 2] = 7e4
    assert _constants(in_16_bits(_wide(beyond))) == {"w": TensorProto.FLOAT}


def test_a_widened_graph_has_the_nodes_and_names_of_the_first_one_and_the_rounded_values() -> None:
    weights = _weights()
    again = in_32_bits(in_16_bits(_wide(weights)))
    assert operators(again) == operators(_wide(weights))
    (constant,) = again.graph.initializer
    assert constant.name == "w"
    np.testing.assert_array_equal(numpy_helper.to_array(constant), weights.astype(np.float16).astype(np.float32))
    onnx.checker.check_model(again, full_check=True)


def test_a_constant_that_several_nodes_share_is_cast_once() -> None:
    model = _wide(_weights())
    model.graph.node.append(onnx.helper.make_node("MatMul", ["floats", "w"], ["again"], name="again"))
    half = in_16_bits(model)
    assert operators(half).count("Cast") == operators(model).count("Cast") + 1


def test_a_cast_of_ones_own_stays() -> None:
    half = numpy_helper.from_array(np.zeros(300, np.float16), "own")
    model = _wide(_weights())
    model.graph.initializer.append(half)
    model.graph.node.insert(0, onnx.helper.make_node("Cast", ["own"], ["other"], name="other", to=TensorProto.FLOAT))
    assert in_32_bits(model) == model
