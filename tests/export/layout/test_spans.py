"""A kernel says by itself which filters it was made of."""

import numpy as np
import pytest
import torch
from torch import nn

from export.fold import fold
from export.layout import drawn, span
from harmonic.layers import BandNormConv2d, HarmonicConv2d
from tests.support.laws import randomised


@pytest.mark.parametrize("bank", ["dct", "gaussian"])
@pytest.mark.parametrize("level", [1, 2, 3, 4, None])
def test_the_filters_of_a_truncated_layer_are_found(bank: str, level: int | None) -> None:
    torch.manual_seed(0)
    layer = HarmonicConv2d(4, 6, 5, level=level, bank=bank)
    found = span(layer.as_conv2d().weight.detach().numpy())
    assert found.frequencies == layer.frequencies
    assert found.taps == 25
    np.testing.assert_allclose(found.kernels(), layer.kernel().detach().numpy(), atol=1e-7)


@pytest.mark.parametrize("bank", ["dct", "gaussian"])
def test_a_drawn_span_is_found_again_in_its_kernels(bank: str) -> None:
    kept = ((0, 0), (0, 2), (1, 0))
    made = drawn(bank, (3, 5), kept, 6, 4)
    found = span(made.kernels())
    assert (found.bank, found.frequencies, found.taps) == (bank, kept, 15)
    np.testing.assert_allclose(found.coefficients, made.coefficients, atol=1e-9)


def test_folding_norms_in_leaves_the_filters_as_they_are() -> None:
    net = nn.Sequential(HarmonicConv2d(4, 6, level=2, padding=1), nn.BatchNorm2d(6))
    folded = fold(randomised(net).eval())
    assert span(folded[0].weight.detach().numpy()).frequencies == ((0, 0), (0, 1), (1, 0))
    layer = randomised(BandNormConv2d(4, 6, level=2)).eval()
    assert span(layer.as_conv2d().weight.detach().numpy()).frequencies == ((0, 0), (0, 1), (1, 0))


def test_a_small_output_keeps_a_filter_that_only_it_holds() -> None:
    kernels = HarmonicConv2d(4, 6, level=1).as_conv2d().weight.detach().numpy().copy()
    kernels[3] = 1e-7 * HarmonicConv2d(4, 6).as_conv2d().weight.detach().numpy()[3]
    assert len(span(kernels).frequencies) == 9


def test_kernels_without_structure_hold_every_filter() -> None:
    kernels = np.random.default_rng(0).normal(size=(3, 2, 3, 3)).astype(np.float32)
    found = span(kernels)
    assert len(found.frequencies) == found.taps == 9
    np.testing.assert_allclose(found.kernels(), kernels, atol=1e-6)
