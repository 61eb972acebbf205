"""What a layer loses at each level, on calibration images."""

import pytest
from torch import nn

from harmonic.compression.cuts import bands, takes_sets
from harmonic.compression.sensitivity import fully_harmonic, losses, with_cuts
from harmonic.conversion import harmonic_layers
from harmonic.errors import CompressionError
from harmonic.graph import parameters
from tests.support.compression import calibration_images, network


@pytest.fixture
def bench():
    return calibration_images()


def test_losses_cover_every_level_below_the_layers_own(bench):
    model = fully_harmonic(network("harm_wrn10_1", level=(None, 3, 2)))
    found = {(loss.layer, loss.cut) for loss in losses(model, bench)}
    assert {level for layer, level in found if layer == "root"} == {1, 2, 3, 4}
    assert {level for layer, level in found if layer == "groups.1.0.conv0"} == {1, 2}
    assert {level for layer, level in found if layer == "groups.2.0.conv0"} == {1}


def test_keeping_more_frequencies_of_a_layer_never_costs_more_parameters(bench):
    measured = losses(fully_harmonic(network()), bench)
    for layer in {loss.layer for loss in measured}:
        counts = [loss.parameters for loss in measured if loss.layer == layer]
        assert counts == sorted(counts)


def test_sizes_are_those_of_the_truncated_layers(bench):
    model = fully_harmonic(network("harm_wrn10_1", level=(None, 3, 2)))
    for loss in losses(model, bench, refitted=False):
        layer = with_cuts(model, {loss.layer: loss.cut}).get_submodule(loss.layer)
        assert (loss.bands, loss.parameters) == (bands(layer), parameters(layer))


@pytest.mark.parametrize("sets", ["layer", "channel"])
def test_sets_of_a_layer_have_the_sizes_that_they_say_and_more_lose_no_more(bench, sets):
    model = fully_harmonic(network("harm_wrn10_1", level=(None, 3, 2)))
    measured = losses(model, bench, sets=sets)
    layers = harmonic_layers(model)
    for name in {loss.layer for loss in measured if takes_sets(layers[loss.layer])}:
        found = [loss for loss in measured if loss.layer == name]
        assert [loss.bands for loss in found] == sorted({loss.bands for loss in found})
        assert all(
            loss.parameters == parameters(with_cuts(model, {name: loss.cut}).get_submodule(name)) for loss in found
        )
        assert found[-1].divergence <= found[0].divergence


def test_losses_between_two_that_are_measured_lie_between_them(bench):
    measured = [loss for loss in losses(fully_harmonic(network()), bench, sets="channel") if loss.layer == "conv1"]
    assert len(measured) == 23
    ends = sorted((measured[4].divergence, measured[8].divergence))
    assert all(ends[0] <= loss.divergence <= ends[1] for loss in measured[4:9])


def test_a_network_without_spatial_convolutions_is_refused(bench):
    with pytest.raises(CompressionError, match="no spatial convolution"):
        fully_harmonic(nn.Sequential(nn.Conv2d(3, 3, 1)))
