"""What tests of scale-equivariant layers share: ideal shrinking, and how far a layer is from commuting with it."""

import torch
from torch import Tensor, nn

from harmonic.layers import Matrices
from harmonic.pixels import resampler

EXACT = 1e-10


def shrunk(x: Tensor, size: int) -> Tensor:
    return x if x.shape[-1] == size else Matrices(resampler(x.shape[-1], size))(x)


def equivariance_error(layer: nn.Module, size: int, smaller: int) -> float:
    x = torch.randn(2, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = layer(shrunk(x, smaller))
        found = shrunk(layer(x), expected.shape[-1])
    return float(((found - expected).square().sum() / expected.square().sum()).sqrt())
