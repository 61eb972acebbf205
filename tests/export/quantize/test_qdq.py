"""An int8 graph answers nearly as its float graph, in ONNX Runtime's int8 kernels and in float alike."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.quantize.graph import Graph
from export.quantize.norms import without_norms
from export.quantize.plan import plan, weighted
from export.quantize.pooling import with_pools
from export.quantize.qdq import quantised
from export.quantize.ranges import observed
from export.runtime import ort, session_options
from tests.support.graphs import answer, operators, pixels, residual

PREPARED = without_norms(with_pools(residual()))
SPANS = observed(PREPARED, plan(Graph(PREPARED)).tensors, [pixels(32, seed=5)])


def _int8(kept: tuple[str, ...] = ()) -> onnx.ModelProto:
    return quantised(PREPARED, plan(Graph(PREPARED), kept), SPANS)


def _codes(model: onnx.ModelProto) -> list[np.ndarray]:
    arrays = [numpy_helper.to_array(constant) for constant in model.graph.initializer]
    return [array for array in arrays if array.dtype == np.int8 and array.ndim > 1]


def test_the_answers_are_nearly_the_float_graphs() -> None:
    wanted = answer(PREPARED, pixels())
    spread = float(wanted.std())
    assert np.abs(answer(_int8(), pixels()) - wanted).max() < 0.1 * spread
    assert np.abs(answer(_int8(), pixels()) - wanted).max() > 0  # it is another graph


def test_onnx_runtime_finds_int8_kernels_for_every_layer_and_sum(tmp_path) -> None:
    options = session_options()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(_int8().SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = operators(onnx.load(tmp_path / "fused.onnx"))
    assert (found.count("QLinearConv"), found.count("QLinearAdd"), found.count("QGemm")) == (4, 2, 1)
    assert not {"Conv", "Gemm", "Relu", "BatchNormalization"} & set(found)
    assert found.count("QuantizeLinear") == 1  # the pixels; everything else stays in 8 bits


def test_run_as_it_is_written_the_same_graph_answers_alike() -> None:
    options = session_options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(_int8().SerializeToString(), options, providers=["CPUExecutionProvider"])
    (plain,) = session.run(None, {"images": pixels()})
    fused = answer(_int8(), pixels())
    apart = np.abs(fused - plain).max()
    assert apart < 0.25 * np.abs(fused - answer(PREPARED, pixels())).max() + 1e-4


def test_weights_have_a_scale_for_each_output_and_use_all_of_their_bits() -> None:
    for codes in _codes(_int8()):
        largest = np.abs(codes.astype(int)).reshape(len(codes), -1).max(axis=1)
        assert (largest == 127).all()


def test_a_kept_layer_has_its_float_weights() -> None:
    first, *_ = weighted(PREPARED)
    kept = _int8((first,))
    layer = next(node for node in kept.graph.node if node.name == first)
    constants = {constant.name: constant.data_type for constant in kept.graph.initializer}
    assert constants[layer.input[1]] == onnx.TensorProto.FLOAT
    assert len(_codes(kept)) == len(_codes(_int8())) - 1


@pytest.mark.parametrize("bias", [0.0, 1e6])
def test_outputs_without_weights_and_huge_biases_are_still_numbers(bias: float) -> None:
    weights = np.zeros((4, 3, 3, 3))
    model = without_norms(with_pools(residual(w0=weights, b0=np.array([bias, -1.0, 0.5, 2.0]))))
    spans = observed(model, plan(Graph(model)).tensors, [pixels()])
    found = answer(quantised(model, plan(Graph(model)), spans), pixels())
    wanted = answer(model, pixels())
    assert np.abs(found - wanted).max() <= 0.05 * np.abs(wanted).max()
