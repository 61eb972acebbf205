"""Conversion of networks whose weights are no plain parameters of one layer: shared, complex, computed."""

import pytest
import torch
from torch import nn

from export.errors import FoldError
from export.fold import fold
from harmonic.conversion.convert import as_plain, convert, harmonise
from harmonic.errors import SpectrumError
from tests.support.laws import assert_close

IMAGES = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(1))


def tied() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    network[2].weight = network[0].weight
    return network.eval()


def test_layers_that_share_a_weight_share_it_still():
    network = tied()
    made = harmonise(network)
    assert made[2].weight is made[0].weight
    assert made[3].weight is not made[0].weight
    assert_close(made(IMAGES).detach(), network(IMAGES).detach())
    assert sum(p.numel() for p in made.parameters()) == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("choice", [{"levels": {"0": 2}}, {"select": ["0"]}])
def test_layers_that_share_a_weight_follow_one_plan(choice):
    with pytest.raises(SpectrumError, match="layers 0, 2 share one weight"):
        harmonise(tied(), **choice)


def test_complex_convolutions_stay_with_the_reason():
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, dtype=torch.complex64))
    assert convert(network).skipped == {"1": "its weight is complex"}


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_a_weight_norm_is_told_by_name():
    network = nn.Sequential(nn.utils.weight_norm(nn.Conv2d(4, 4, 3)), nn.Conv2d(4, 4, 3))
    network(IMAGES)
    for refused, kind in ((convert, SpectrumError), (as_plain, SpectrumError), (fold, FoldError)):
        with pytest.raises(kind, match="remove_weight_norm"):
            refused(network)
