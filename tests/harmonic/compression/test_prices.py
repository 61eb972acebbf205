"""What levels make of a network's size, told beforehand, is what it is afterwards."""

import pytest

from harmonic.compression.prices import byte_prices, mac_prices, parameter_prices
from harmonic.compression.sensitivity import fully_harmonic, with_levels
from harmonic.conversion import harmonic_layers
from harmonic.graph import macs, parameters
from tests.support.compression import network

SIZE = (3, 16, 16)
NETWORKS = [("cifar_resnet8", {}), ("harm_wrn10_1", {"level": (None, 3, 2)}), ("timm/test_resnet", {})]


@pytest.fixture(params=NETWORKS, ids=[name for name, _ in NETWORKS])
def whole(request):
    name, arguments = request.param
    return fully_harmonic(network(name, **arguments))


def own(model):
    return {name: layer.level for name, layer in harmonic_layers(model).items()}


@pytest.mark.parametrize("level", [1, 2])
def test_parameters_and_bytes_are_those_of_the_truncated_network(whole, level):
    small = with_levels(whole, dict.fromkeys(own(whole), level))
    assert parameter_prices(whole).total(own(small)) == parameters(small)
    state = small.state_dict().values()
    assert byte_prices(whole).total(own(small)) == sum(tensor.numel() * tensor.element_size() for tensor in state)


def test_prices_cover_every_level_below_the_layers_own_and_that(whole):
    wanted = {(name, level) for name, level in own(whole).items()}
    wanted |= {(n, k) for n, layer in harmonic_layers(whole).items() for k in range(1, layer.level or 5)}
    for prices in (parameter_prices(whole), byte_prices(whole), mac_prices(whole, SIZE)):
        assert set(prices.layers) == wanted


@pytest.mark.parametrize("name", ["cifar_resnet8", "timm/test_resnet"])
def test_a_network_with_all_frequencies_multiplies_as_the_plain_one_does(name):
    whole = fully_harmonic(network(name))
    assert mac_prices(whole, SIZE).total(own(whole)) == macs(network(name), SIZE)


def test_multiplications_of_a_layer_are_those_of_its_cheaper_form():
    """64 -> 64 channels at 4 x 4: nine taps fused; one filter a channel and its weights at level 1 (specification of
    the decomposed form: P (N nf K^2 + M N nf))."""
    whole = fully_harmonic(network())
    prices = mac_prices(whole, SIZE).layers
    assert prices["layer3.0.conv2", None] == 16 * 64 * 64 * 9
    assert prices["layer3.0.conv2", 1] == 16 * (64 * 9 + 64 * 64)
    assert prices["layer3.0.conv2", 2] == 16 * (64 * 3 * 9 + 64 * 64 * 3)
    assert prices["layer3.0.conv2", 4] == 16 * 64 * 64 * 9  # 8 of 9 filters: dearer than one convolution
