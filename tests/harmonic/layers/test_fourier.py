"""Scale-equivariant convolutions: the defining property in float64, and the equalities that make them cheap."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from harmonic.errors import SpectrumError
from harmonic.layers.fourier import FourierConv2d
from tests.support.equivariance import EXACT, equivariance_error


def convolution(taps: int = 5, grid: int = 28) -> FourierConv2d:
    torch.manual_seed(0)
    return FourierConv2d(3, 4, taps, grid).double()


@pytest.mark.parametrize("grid", [14, 28])
@pytest.mark.parametrize("smaller", [7, 13, 21, 25])
def test_the_convolution_commutes_with_shrinking(grid, smaller):
    assert equivariance_error(convolution(grid=grid), 27, smaller) < EXACT


@pytest.mark.parametrize("grid", [14, 18])
@pytest.mark.parametrize(("size", "smaller"), [(20, 19), (20, 15), (28, 20), (28, 21), (28, 15), (28, 9), (27, 20)])
def test_it_commutes_at_even_sizes_above_the_grid_too(grid, size, smaller):
    """The shell at half the grid is told apart from its mirror image there, so it is kept."""
    assert equivariance_error(convolution(grid=grid), size, smaller) < EXACT


def test_at_the_grids_own_size_the_convolution_is_circular():
    layer, x = convolution(), torch.randn(2, 3, 28, 28, dtype=torch.float64)

    circular = F.conv2d(F.pad(x, (4, 0, 4, 0), mode="circular"), layer.weight.flip(-1, -2))

    assert torch.allclose(layer(x), circular, atol=1e-12)


@pytest.mark.parametrize(("size", "grid"), [(28, 28), (21, 28), (33, 28), (34, 28), (27, 14), (20, 14), (9, 28)])
def test_the_convolutions_plain_form_gives_its_answers(size, grid):
    layer, x = convolution(grid=grid), torch.randn(2, 3, size, size, dtype=torch.float64)

    assert torch.allclose(layer.at_size(size)(x), layer(x), atol=1e-12)


def test_the_convolution_has_no_plain_form_at_even_sizes_below_its_grid():
    with pytest.raises(SpectrumError, match="odd"):
        convolution().at_size(20)


@pytest.mark.parametrize("wrong", [(5, 27), (0, 28), (30, 28)])
def test_an_impossible_convolution_is_refused(wrong):
    with pytest.raises(SpectrumError):
        FourierConv2d(1, 1, *wrong)


def test_the_penalty_is_the_published_one():
    layer = FourierConv2d(1, 1, 5, 28)
    nn.init.zeros_(layer.weight)
    layer.weight.data[0, 0, 0, 0] = 1.0
    place = torch.arange(5) / 4 - 0.5
    hill = 30 * torch.exp(-10 * (place[:, None] ** 2 + place**2))

    assert layer.penalty().item() == pytest.approx((hill.norm() + 25).item(), rel=1e-5)
