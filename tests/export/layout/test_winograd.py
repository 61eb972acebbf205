"""At a few points, outputs in a row are what a convolution says."""

import numpy as np
import pytest

from export.layout.winograd import MOST_POINTS, points

PAIRS = [(outputs, taps) for outputs in range(1, 7) for taps in range(1, 7) if 2 <= outputs + taps - 1 <= MOST_POINTS]


@pytest.mark.parametrize(("outputs", "taps"), PAIRS)
def test_the_products_at_the_points_give_the_convolution(outputs: int, taps: int) -> None:
    found, rng = points(outputs, taps), np.random.default_rng(0)
    pixels, kernel = rng.normal(size=outputs + taps - 1), rng.normal(size=taps)
    answers = found.answers @ ((found.kernel @ kernel) * (found.inputs @ pixels))
    np.testing.assert_allclose(answers, np.correlate(pixels, kernel), atol=1e-12)
    assert len(found.kernel) == outputs + taps - 1


@pytest.mark.parametrize(("outputs", "taps"), [pair for pair in PAIRS if sum(pair) > 3])
def test_what_is_added_at_one_point_is_added_to_every_output(outputs: int, taps: int) -> None:
    found = points(outputs, taps)
    np.testing.assert_array_equal(found.answers[:, found.constant], 1)


def test_more_points_than_there_are_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="4 outputs of 5 taps want 8 points; 2 to 6"):
        points(4, 5)
