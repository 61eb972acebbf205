"""Statistics are those of one look at all values, whatever the batches, and move by differences alone."""

import pytest
import torch
from torch import nn

from harmonic.compression.norms import move_statistics, outer_norms, statistics
from tests.support.compression import network


@pytest.mark.parametrize("offset", [0.0, 3.0, 5000.0])
def test_statistics_of_batches_are_those_of_all_values(offset):
    """Far from nothing, where a difference of float32 sums would tell noise, too."""
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(7, 4, 6, 5, generator=draw) * torch.tensor([1.0, 0.1, 10, 1])[:, None, None] + offset
    mean, variance = statistics([values[:3], values[3:]])
    assert torch.allclose(mean, values.double().mean((0, 2, 3)), rtol=1e-6, atol=1e-6)
    assert torch.allclose(variance, values.double().var((0, 2, 3), correction=0), rtol=1e-3)


def test_a_channel_that_never_varies_has_no_variance():
    _, variance = statistics([torch.full((2, 3, 8, 8), 0.1)])
    assert (variance.abs() < 1e-12).all()


def test_statistics_move_by_the_difference_and_variances_stay_above_nothing():
    norm = nn.BatchNorm2d(2).eval()
    now, was = torch.tensor([1.0, 2.0]).double(), torch.tensor([0.5, 2.5]).double()
    move_statistics(norm, (now, now), (was, was + torch.tensor([0.0, 9.0])))
    assert torch.allclose(norm.running_mean, torch.tensor([0.5, -0.5]))
    assert torch.allclose(norm.running_var, torch.tensor([1.5, 0.05]))
    move_statistics(norm, (now, now), (was, was), spread=False)
    assert torch.allclose(norm.running_var, torch.tensor([1.5, 0.05]))


def test_norms_within_layers_are_not_counted():
    assert not any("conv" in name for name in outer_norms(network("harm_wrn10_1")))
