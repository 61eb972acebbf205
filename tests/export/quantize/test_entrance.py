"""The pixels' normalisation becomes one convolution, with the same answers."""

import numpy as np

from export.quantize.entrance import with_quick_entrance
from tests.support.graphs import PIXELS, answer, graph_of, operators, pixels, residual


def test_pixels_are_normalised_by_one_convolution() -> None:
    model = residual()
    quick = with_quick_entrance(model)
    assert operators(quick)[:3] == ["Transpose", "Cast", "Conv"]
    np.testing.assert_allclose(answer(quick, pixels()), answer(model, pixels()), rtol=1e-5, atol=1e-5)


def test_what_is_no_figure_for_each_channel_stays() -> None:
    scale = np.random.default_rng(0).normal(size=(1, 3, 6, 6))
    body = PIXELS + "pooled = GlobalAveragePool (x)\nlogits = Flatten (pooled)"
    model = graph_of(body, classes=3, pixel_scale=scale, pixel_shift=np.zeros((1, 3, 1, 1)))
    assert operators(with_quick_entrance(model)) == operators(model)
