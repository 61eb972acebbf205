"""How many images a measurement takes: fewer where a network is large, so that measuring takes minutes, not hours."""

from torch import nn

from harmonic.graph import macs
from harmonic.pixels import PixelSpec

_MULTIPLICATIONS = 250e9  # of one pass over all the images of a measurement
_FEWEST = 64  # still tell apart what layers lose


def affordable(network: nn.Module, spec: PixelSpec, most: int) -> int:
    """Up to so many images of that input; fewer for networks that multiply much for each."""
    rows, columns, channels = spec.shape
    return min(most, max(_FEWEST, int(_MULTIPLICATIONS / macs(network, (channels, rows, columns)))))
