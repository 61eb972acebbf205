"""The span that 8 bits cover: all that was seen, or what makes the error least."""

import numpy as np
import onnx
import pytest

from export.quantize.ranges import merged, observed
from tests.support.graphs import PIXELS, graph_of, pixels


def _model(scale: float, shift: float) -> onnx.ModelProto:
    body = PIXELS + "cubed = Mul (x, x)\npooled = GlobalAveragePool (cubed)\nlogits = Flatten (pooled)"
    figures = {"pixel_scale": np.full((1, 3, 1, 1), scale), "pixel_shift": np.full((1, 3, 1, 1), shift)}
    return graph_of(body, 3, **figures)


def test_all_that_was_seen_in_any_batch_is_covered_and_zero_too() -> None:
    images = np.full((4, 6, 6, 3), 100, dtype=np.uint8)
    images[3, 2, 2, 1] = 200
    spans = observed(_model(0.1, -5.0), ["x", "cubed"], [images[:2], images[2:]], cover="all")
    assert spans["x"] == pytest.approx((0.0, 15.0))
    assert spans["cubed"] == pytest.approx((0.0, 225.0))


def test_a_single_far_value_is_cut_where_that_makes_the_error_less() -> None:
    images = np.random.default_rng(0).integers(0, 26, (600, 6, 6, 3), dtype=np.uint8)
    far = images.copy()
    far[0, 0, 0, 0] = 60
    (span,) = observed(_model(0.1, 0.0), ["x"], [far] + [images] * 40).values()
    assert 2.4 <= span[1] < 6.0
    plain = np.random.default_rng(0).integers(0, 256, (64, 6, 6, 3), dtype=np.uint8)
    (whole,) = observed(_model(0.1, 0.0), ["x"], [plain]).values()
    assert whole[1] == pytest.approx(25.5, rel=0.03)


def test_a_tensor_that_is_always_zero_has_a_span_that_can_be_written() -> None:
    (span,) = observed(_model(0.0, 0.0), ["x"], [pixels()]).values()
    assert span[0] < span[1]


def test_what_a_pool_gives_has_the_span_of_what_it_is_given() -> None:
    assert merged({"a": (0.0, 4.0), "b": (0.0, 3.0)}, {"b": "a"})["b"] == (0.0, 4.0)
