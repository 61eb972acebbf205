"""Any network can be trained on balanced classes and answer for the true ones."""

import pytest
import torch
from torch import nn

from harmonic import zoo
from harmonic.errors import ZooError
from harmonic.pixels import PixelSpec
from harmonic.training.prior import correct_prior, output_bias
from tests.support.laws import CLASSES, images, randomised, small_pixels, stand_in, stand_in_names

SHARES = torch.tensor([0.7, 0.2, 0.1])
CONVOLUTIONS_AND_RELU = ("torchvision/{name}",)  # SqueezeNet's logits are cut off at nought: no bias corrects them


@pytest.mark.parametrize("name", [name for name in stand_in_names() if name not in CONVOLUTIONS_AND_RELU])
def test_a_corrected_prior_multiplies_the_odds_by_the_shares(name):
    network, x = randomised(stand_in(name)).eval(), images(3, name)
    if small_pixels(name).fit == "spectral":
        x[:, -1] = x.shape[-1]
    with torch.no_grad():
        even = network(x).softmax(1)

        correct_prior(network, small_pixels(name), SHARES)

        expected = even * SHARES / (even * SHARES).sum(1, keepdim=True)
        torch.testing.assert_close(network(x).softmax(1), expected, rtol=1e-4, atol=1e-5)


def test_looking_for_the_bias_changes_neither_network_nor_modes():
    network = zoo.create("harm_lesion", CLASSES, width=4).train()
    network.layers[0].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    assert output_bias(network, small_pixels("harm_lesion"), CLASSES) is network.head.bias

    assert network.training
    assert not network.layers[0].training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("end", [[nn.Linear(4, 3, bias=False)], [nn.Linear(4, 3), nn.ReLU()]], ids=["bare", "cut off"])
def test_a_network_that_no_bias_corrects_is_refused(end):
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), *end)

    assert output_bias(network, PixelSpec(height=4, width=4), 3) is None
    with pytest.raises(ZooError, match="no bias"):
        correct_prior(network, PixelSpec(height=4, width=4), SHARES)
