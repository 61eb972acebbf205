"""What cuts make of a network's size, told beforehand, is what it is afterwards."""

import pytest
import torch

from harmonic.compression.cuts import as_set, counts, kept, own_cuts, takes_sets
from harmonic.compression.prices import byte_prices, least, mac_prices, parameter_prices
from harmonic.compression.sensitivity import fully_harmonic, with_cuts
from harmonic.conversion import harmonic_layers
from harmonic.graph import macs, parameters
from harmonic.layers import BandSet
from tests.support.compression import network

SIZE = (3, 16, 16)
NETWORKS = [("cifar_resnet8", {}), ("harm_wrn10_1", {"level": (None, 3, 2)}), ("timm/test_resnet", {})]


@pytest.fixture(params=NETWORKS, ids=[name for name, _ in NETWORKS])
def whole(request):
    name, arguments = request.param
    return fully_harmonic(network(name, **arguments))


def some_bands(model, share=0.4):
    """A set of every layer that takes one, level 2 of the others."""
    return {
        name: as_set(layer, torch.rand(kept(layer, None).shape, generator=torch.Generator().manual_seed(0)) < share)
        if takes_sets(layer)
        else 2
        for name, layer in harmonic_layers(model).items()
    }


def stored(model):
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


@pytest.mark.parametrize("level", [1, 2])
def test_parameters_and_bytes_are_those_of_the_truncated_network(whole, level):
    small = with_cuts(whole, dict.fromkeys(own_cuts(whole), level))
    assert parameter_prices(whole).total(own_cuts(small)) == parameters(small)
    assert byte_prices(whole).total(own_cuts(small)) == stored(small)


def test_a_set_weighs_what_it_keeps_and_the_digits_that_say_what_that_is(whole):
    cuts = some_bands(whole)
    small = with_cuts(whole, cuts)
    digits = sum(len(cut.as_json()["kept"]) for cut in cuts.values() if isinstance(cut, BandSet))
    for one in (whole, small):  # told beforehand, and of the network as it is
        assert parameter_prices(one).total(cuts) == parameters(small)
        assert byte_prices(one).total(cuts) == stored(small) + digits


@pytest.mark.parametrize("sets", ["levels", "layer", "channel"])
def test_the_least_is_less_with_smaller_sets_and_is_met(whole, sets):
    prices = parameter_prices(whole)
    assert least(whole, prices, sets) <= least(whole, prices, "levels") < parameters(whole)
    if sets == "channel":
        layers = [layer for layer in harmonic_layers(whole).values() if takes_sets(layer)]
        assert all(counts(layer, sets)[0] <= kept(layer, 1).sum() for layer in layers)


@pytest.mark.parametrize("name", ["cifar_resnet8", "timm/test_resnet"])
def test_a_network_with_all_frequencies_multiplies_as_the_plain_one_does(name):
    whole = fully_harmonic(network(name))
    assert mac_prices(whole, SIZE).total(own_cuts(whole)) == macs(network(name), SIZE)


def test_multiplications_of_a_layer_are_those_of_its_cheaper_form():
    """64 -> 64 channels at 4 x 4: nine taps fused; one filter a channel and its weights at level 1 (specification of
    the decomposed form: P (N nf K^2 + M N nf))."""
    whole = fully_harmonic(network())
    price = mac_prices(whole, SIZE).of
    assert price("layer3.0.conv2", None) == 16 * 64 * 64 * 9
    assert price("layer3.0.conv2", 1) == 16 * (64 * 9 + 64 * 64)
    assert price("layer3.0.conv2", 2) == 16 * (64 * 3 * 9 + 64 * 64 * 3)
    assert price("layer3.0.conv2", 4) == 16 * 64 * 64 * 9  # 8 of 9 filters: dearer than one convolution


def test_a_set_multiplies_once_for_every_band_and_its_filter(whole):
    """As the form does that writes it: each band's filter, then its weights; or one convolution if that is cheaper."""
    whole = fully_harmonic(network())
    layer = whole.get_submodule("layer3.0.conv2")
    numbers = torch.arange(64 * 9) % 64 == 0
    cut = as_set(layer, numbers)
    assert mac_prices(whole, SIZE).of("layer3.0.conv2", cut) == 16 * (9 * 9 + 64 * 9)
    nearly = as_set(layer, torch.arange(64 * 9) > 3)
    assert mac_prices(whole, SIZE).of("layer3.0.conv2", nearly) == 16 * 64 * 64 * 9
