"""Small networks and calibration images for the tests of compression."""

import numpy as np
import torch
from torch import nn

from harmonic import zoo
from harmonic.bundles import Bundle, Card
from harmonic.compression import Bench
from harmonic.pixels import PixelSpec

SPEC = PixelSpec(height=16, width=16)
CLASSES = ("a", "b", "c")


def network(name: str = "cifar_resnet8", **arguments) -> nn.Module:
    torch.manual_seed(0)
    model = zoo.create(name, 3, **arguments)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    return model.eval()


def given(model: nn.Module, architecture: str = "cifar_resnet8", arguments: dict | None = None) -> Bundle:
    return Bundle(Card(architecture=architecture, arguments=arguments or {}, classes=CLASSES, pixels=SPEC), model)


def calibration_images() -> Bench:
    """24 images of noise with labels."""
    rng = np.random.default_rng(0)
    return Bench(rng.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8), SPEC, rng.integers(0, 3, 24))


class InPlace(nn.Module):
    """Its activation writes into what the other branch reads, too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True)
        self.conv, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 3)

    def forward(self, x):
        x = self.stem(x)
        y = self.relu(x)
        return self.head((self.conv(y) + x).mean((2, 3)))
