import numpy as np
import torch
from torch import nn

from harmonic.bundles.classifier import Classifier
from harmonic.pixels import PixelSpec
from tests.support.laws import assert_close


def test_pixels_are_normalised_channel_by_channel():
    spec = PixelSpec(height=2, width=3, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 2, 3, 3), dtype=np.uint8))
    wanted = (images.double() / 255 - torch.tensor(spec.mean).double()) / torch.tensor(spec.std).double()
    assert_close(Classifier(nn.Identity(), spec)(images), wanted.permute(0, 3, 1, 2))


def test_the_normalisation_is_no_part_of_the_state():
    model = Classifier(nn.Linear(2, 2), PixelSpec(height=2, width=2))
    assert set(model.state_dict()) == {"network.weight", "network.bias"}


def test_logits_are_float32_whatever_the_network_computes_in():
    class Half(nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3)).half()

    images = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    assert Classifier(Half(), PixelSpec(height=4, width=4))(images).dtype == torch.float32
