"""A small network is measured on all the images, a large one on fewer."""

import torch

from harmonic import zoo
from harmonic.compression.effort import affordable
from tests.support.compression import SPEC, network


def test_small_networks_take_all_images_and_large_ones_fewer():
    with torch.device("meta"):
        large = zoo.create("torchvision/resnet50", 10)
    assert affordable(network(), SPEC, 250) == 250
    assert affordable(large, zoo.native_pixels("torchvision/resnet50"), 250) == 64
