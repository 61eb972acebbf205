"""The lesion networks: colour counts, shapes are free, priors are corrected as Bayes says."""

import pytest
import torch

from harmonic import zoo
from harmonic.errors import ZooError
from harmonic.layers import BandNormConv2d, HarmonicConv2d


@pytest.mark.parametrize("name", ["harm_lesion", "plain_lesion"])
def test_permuting_the_colours_changes_the_answer(name):
    torch.manual_seed(0)
    network, x = zoo.create(name, 7, width=4).eval(), torch.randn(2, 3, 1, 1).expand(-1, -1, 64, 64)

    assert (network(x) - network(x.flip(1))).abs().max() > 1e-3


def test_only_the_first_layer_normalises_its_filters():
    layers = [m for m in zoo.create("harm_lesion", 7).modules() if isinstance(m, HarmonicConv2d | BandNormConv2d)]

    assert [type(layer) for layer in layers] == [BandNormConv2d] + [HarmonicConv2d] * 5


def test_the_twins_have_equally_many_parameters():
    harmonic, plain = (
        sum(p.numel() for p in zoo.create(name, 7).parameters()) for name in ("harm_lesion", "plain_lesion")
    )

    assert harmonic == plain == 288_359


def test_untrained_logits_are_of_ordinary_size():
    assert zoo.create("harm_lesion", 7).eval()(torch.randn(2, 3, 64, 64)).abs().max() < 100


def test_the_bank_follows_the_network_and_stays_out_of_its_state():
    network = zoo.create("harm_lesion", 7, width=4).double()

    assert network(torch.zeros(2, 3, 64, 64, dtype=torch.float64)).dtype == torch.float64
    assert not any("bank" in name for name in network.state_dict())


@pytest.mark.parametrize("wrong", [{"width": 0}, {"width": 1.5}, {"dropout": 1.0}])
def test_an_impossible_network_is_refused(wrong):
    with pytest.raises(ZooError):
        zoo.create("harm_lesion", 7, **wrong)
