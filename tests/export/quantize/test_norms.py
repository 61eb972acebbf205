"""Norms move into what surrounds them, and no answer changes by it: the law over graphs that can and cannot take it."""

import numpy as np
import onnx
import pytest

from export.quantize.norms import without_norms
from export.quantize.pooling import with_pools
from tests.support.graphs import PIXELS, answer, graph_of, operators, pixels, residual


def _same(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without norms, once it is found to answer alike."""
    moved = without_norms(model)
    np.testing.assert_allclose(answer(moved, pixels()), answer(model, pixels()), rtol=2e-5, atol=2e-5)
    assert "BatchNormalization" not in operators(moved)
    return moved


def test_the_norms_of_a_pre_activation_network_cost_no_node() -> None:
    model = with_pools(residual())
    moved = _same(model)
    assert len(moved.graph.node) == len(model.graph.node) - 2
    assert operators(moved).count("Conv") == operators(model).count("Conv")


@pytest.mark.parametrize(
    "gamma", [np.array([0.8, -1.3, 0.5, 1.1]), np.array([0.8, 0.0, 0.5, 1.1]), np.array([0.8, 1e-4, 0.5, 1.1])]
)
def test_a_scale_that_is_negative_zero_or_tiny_makes_a_depthwise_convolution(gamma: np.ndarray) -> None:
    model = with_pools(residual(gamma=gamma))
    moved = _same(model)
    assert operators(moved).count("Conv") == operators(model).count("Conv") + 1


def test_a_norm_whose_sum_somebody_else_reads_raw_stays_where_it_is_as_a_convolution() -> None:
    body = """
    a = Conv <pads = [1, 1, 1, 1]> (x, w0)
    n = BatchNormalization (a, gamma, beta, mean, variance)
    r = Relu (n)
    raw = Sigmoid (a)
    s = Add (r, raw)
    pooled = GlobalAveragePool (s)
    flat = Flatten (pooled)
    logits = Gemm <transB = 1> (flat, head)
    """
    _same(_planes(body))


@pytest.mark.parametrize("activation", ["Sigmoid", "LeakyRelu", "Identity"])
def test_only_a_relu_lets_a_scale_through(activation: str) -> None:
    body = f"""
    a = Conv <pads = [1, 1, 1, 1]> (x, w0)
    n = BatchNormalization (a, gamma, beta, mean, variance)
    r = {activation} (n)
    b = Conv <pads = [1, 1, 1, 1]> (r, w1)
    pooled = GlobalAveragePool (b)
    flat = Flatten (pooled)
    logits = Gemm <transB = 1> (flat, head)
    """
    _same(_planes(body))


def test_scales_pass_pools_groups_and_flattened_maps() -> None:
    body = """
    a = Conv <pads = [1, 1, 1, 1]> (x, w0)
    n = BatchNormalization (a, gamma, beta, mean, variance)
    r = Relu (n)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
    grouped = Conv <group = 2, pads = [1, 1, 1, 1]> (p, w_grouped)
    m = BatchNormalization (grouped, gamma, beta, mean, variance)
    q = Relu (m)
    flat = Flatten (q)
    logits = Gemm <transB = 1> (flat, wide_head)
    """
    model = _planes(body)
    assert operators(_same(model)).count("Conv") == 2


def test_a_norm_whose_answer_is_the_graphs_own_is_kept_exact() -> None:
    body = """
    a = Conv <pads = [1, 1, 1, 1]> (x, w0)
    r = Relu (a)
    n = BatchNormalization (r, gamma, beta, mean, variance)
    pooled = GlobalAveragePool (n)
    logits = Flatten (pooled)
    """
    model = _planes(body, classes=4)
    _same(model)


def test_a_bias_that_two_convolutions_share_moves_for_one_of_them_alone() -> None:
    # `residual` gives `b1` to the convolution inside its first block and to the one whose sum is normed last.
    _same(with_pools(residual(b1=np.array([0.5, -0.2, 0.1, 0.9]))))


def _planes(body: str, classes: int = 2) -> onnx.ModelProto:
    rng = np.random.default_rng(3)
    constants = {
        "pixel_scale": np.full((1, 3, 1, 1), 0.02),
        "pixel_shift": np.full((1, 3, 1, 1), -2.0),
        "w0": rng.normal(size=(4, 3, 3, 3)),
        "w1": rng.normal(size=(4, 4, 3, 3)),
        "w_grouped": rng.normal(size=(4, 2, 3, 3)),
        "gamma": np.array([0.8, 1.3, 0.5, 1.1]),
        "beta": rng.normal(size=4),
        "mean": rng.normal(size=4),
        "variance": np.array([0.7, 1.2, 0.4, 2.0]),
        "head": rng.normal(size=(2, 4)),
        "wide_head": rng.normal(size=(2, 36)),
    }
    return graph_of(PIXELS + body, classes=classes, **constants)
