"""What a layer loses at each level, on calibration images."""

import pytest
from torch import nn

from harmonic.compression.sensitivity import fully_harmonic, losses, with_levels
from harmonic.errors import CompressionError
from harmonic.graph import parameters
from tests.support.compression import calibration_images, network


@pytest.fixture
def bench():
    return calibration_images()


def test_losses_cover_every_level_below_the_layers_own(bench):
    model = fully_harmonic(network("harm_wrn10_1", level=(None, 3, 2)))
    found = {(loss.layer, loss.level) for loss in losses(model, bench)}
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
        layer = with_levels(model, {loss.layer: loss.level}).get_submodule(loss.layer)
        assert (loss.filters, loss.parameters) == (len(layer.frequencies), parameters(layer))


def test_a_network_without_spatial_convolutions_is_refused(bench):
    with pytest.raises(CompressionError, match="no spatial convolution"):
        fully_harmonic(nn.Sequential(nn.Conv2d(3, 3, 1)))
