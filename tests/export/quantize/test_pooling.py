"""A mean over a map becomes a pool; other means stay."""

import numpy as np
import pytest

from export.quantize.pooling import with_pools
from tests.support.graphs import PIXELS, answer, graph_of, operators, pixels, residual


def test_the_mean_before_the_head_becomes_a_pool_with_the_same_answers() -> None:
    model = residual()
    pooled = with_pools(model)
    assert operators(pooled)[-3:] == ["GlobalAveragePool", "Flatten", "Gemm"]
    np.testing.assert_allclose(answer(pooled, pixels()), answer(model, pixels()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("axes", "wanted", "classes"), [((2, 3), "GlobalAveragePool", 3), ((1, 2), "ReduceMean", 6)])
def test_only_rows_and_columns_together_are_a_map(axes: tuple[int, int], wanted: str, classes: int) -> None:
    body = PIXELS + "mean = ReduceMean <keepdims = 1> (x, axes)\nlogits = Flatten (mean)"
    scale, shift = np.full((1, 3, 1, 1), 0.02), np.zeros((1, 3, 1, 1))
    model = graph_of(body, classes, pixel_scale=scale, pixel_shift=shift, axes=np.array(axes))
    pooled = with_pools(model)
    assert operators(pooled)[-2:] == [wanted, "Flatten"]
    np.testing.assert_allclose(answer(pooled, pixels()), answer(model, pixels()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "moved"),
    [
        ("pads = [1, 1, 1, 1], count_include_pad = 1", True),
        ("strides = [2, 2]", True),
        ("pads = [1, 1, 1, 1], strides = [2, 2], count_include_pad = 1", True),
        ("pads = [1, 1, 1, 1]", False),
        ("ceil_mode = 1, strides = [2, 2]", False),
    ],
)
def test_a_mean_over_a_window_becomes_a_convolution_where_its_weights_are_equal(options: str, moved: bool) -> None:
    body = PIXELS + f"p = AveragePool <kernel_shape = [3, 3], {options}> (x)\nm = GlobalAveragePool (p)"
    scale, shift = np.full((1, 3, 1, 1), 0.02), np.full((1, 3, 1, 1), -2.0)
    model = graph_of(body + "\nlogits = Flatten (m)", 3, pixel_scale=scale, pixel_shift=shift)
    pooled = with_pools(model)
    assert ("Conv" in operators(pooled)) is moved
    assert ("AveragePool" in operators(pooled)) is not moved
    np.testing.assert_allclose(answer(pooled, pixels()), answer(model, pixels()), rtol=1e-5, atol=1e-5)
