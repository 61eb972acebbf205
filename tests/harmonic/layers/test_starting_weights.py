"""The weights with which spectral layers start."""

import math

import pytest
import torch

from harmonic.layers.spectral import BandNormConv2d, HarmonicConv2d
from tests.support.laws import assert_close

LAYERS = [HarmonicConv2d, BandNormConv2d]


@pytest.mark.parametrize(
    ("kind", "init", "deviation"),
    [
        (HarmonicConv2d, "fan_out", math.sqrt(2 / (64 * 9))),
        (HarmonicConv2d, "fan_in", math.sqrt(2 / (48 * 9))),
        (BandNormConv2d, "fan_out", math.sqrt(2 / 64)),
        (BandNormConv2d, "fan_in", math.sqrt(2 / (48 * 9))),
    ],
)
def test_weights_start_with_the_published_deviation_and_bias_at_zero(kind, init, deviation):
    torch.manual_seed(0)
    made = kind(48, 64, init=init)
    assert made.weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert made.weight.mean().item() == pytest.approx(0, abs=deviation * 0.02)
    assert not made.bias.any()


def test_fresh_layers_scale_unit_noise_as_published():
    torch.manual_seed(0)
    x = torch.randn(4, 64, 24, 24)
    stds = [HarmonicConv2d(64, 64, 3, level=level)(x).std().item() for level in (None, 3, 2, 1)]
    assert stds == pytest.approx([0.56, 0.55, 0.53, 0.47], rel=0.05)
    assert BandNormConv2d(64, 64)(x).std().item() == pytest.approx(4.2, rel=0.05)


def test_a_layer_keeps_the_way_it_was_made_when_it_is_reset():
    torch.manual_seed(0)
    made = HarmonicConv2d(48, 64, init="fan_in")
    made.reset_parameters()
    assert made.weight.std().item() == pytest.approx(math.sqrt(2 / (48 * 9)), rel=0.02)


@pytest.mark.parametrize("norm", ["l1", "orthonormal"])
@pytest.mark.parametrize("level", [None, 3, 1])
@pytest.mark.parametrize("kind", LAYERS)
def test_preserving_weights_keep_the_variance_of_noise_through_a_relu(kind, level, norm):
    torch.manual_seed(0)
    made = kind(64, 128, 3, level=level, norm=norm, init="preserving").train()
    answered = made(torch.randn(4, 64, 24, 24)).relu()
    assert answered.square().mean().item() == pytest.approx(1, rel=0.1)


def test_an_orthonormal_full_band_starts_like_a_plain_convolution():
    """The bank is a rotation then: kernels have the coefficients' own length."""
    made = HarmonicConv2d(5, 7, norm="orthonormal")
    kernel, coefficients = made.as_conv2d().weight, made.weight
    assert_close(kernel.detach().square().sum(dim=(2, 3)), coefficients.detach().square().sum(dim=(2, 3, 4)))
