"""Convolutions of one dimension by the values of polynomials at a few points (Winograd 1980; Lavin and Gray 2016).

Knows nothing of graphs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

# The order in which points are taken: what stands first is least rounded. The last point is always infinity.
_POINTS = (0, 1, -1, 2, -2)
MOST_POINTS = len(_POINTS) + 1


@dataclass(frozen=True, eq=False)
class Points:
    """Some outputs in a row, of kernels with so many taps: outputs = answers @ ((kernel @ taps) * (inputs @ pixels)).

    Where only one thing is multiplied with another, that is `points` products for all outputs.
    """

    inputs: Float[ndarray, "points pixels"]
    kernel: Float[ndarray, "points taps"]
    answers: Float[ndarray, "outputs points"]

    @property
    def constant(self) -> int:
        """The point whose product is added to every output once: a bias may be added there."""
        return next(number for number, column in enumerate(self.answers.T) if (column == 1).all())


def points(outputs: int, taps: int) -> Points:
    """The fewest points at which so many outputs can be told: outputs + taps - 1, which is at most `MOST_POINTS`.

    A product of two polynomials is told by its values; the transposed map of that is a convolution.
    """
    count = outputs + taps - 1
    if not 2 <= count <= MOST_POINTS:
        raise ValueError(f"{outputs} outputs of {taps} taps want {count} points; 2 to {MOST_POINTS} can be had")
    # The coefficients of the polynomial that is 1 at one point and 0 at the others are what weighs the pixels.
    inputs = np.linalg.inv(_values(count, count)).T
    return Points(np.where(np.abs(inputs) < 1e-12, 0.0, inputs), _values(count, taps), _values(count, outputs).T)


def _values(count: int, terms: int) -> Float[ndarray, "points terms"]:
    """Of 1, z, z^2, ... at the points; at infinity, the factor of the highest."""
    finite = [[float(point) ** power for power in range(terms)] for point in _POINTS[: count - 1]]
    return np.array([*finite, [0.0] * (terms - 1) + [1.0]])
