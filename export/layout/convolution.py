"""A convolution that is to be computed, by whichever graph."""

from dataclasses import dataclass

from jaxtyping import Float
from numpy import ndarray

from export.layout.spans import Span
from export.layout.writer import POINT, Geometry, Pair


@dataclass(frozen=True, eq=False)
class Convolution:
    """What is to be computed. size: rows and columns of the input."""

    span: Span
    size: Pair
    geometry: Geometry = POINT
    groups: int = 1
    bias: Float[ndarray, " out"] | None = None

    @property
    def outputs(self) -> int:
        """Output channels."""
        return len(self.span.coefficients)

    @property
    def inputs(self) -> int:
        """Input channels."""
        return int(self.span.coefficients.shape[1] * self.groups)

    @property
    def filters(self) -> int:
        """How many filters its kernels hold."""
        return len(self.span.frequencies)

    @property
    def scattered(self) -> bool:
        """Whether some input channels hold other filters than the rest."""
        return not self.span.bands.all()
