"""One linear layer on the means of several stages' maps, held to the same thing spelt out with hooks."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from harmonic import zoo
from harmonic.conversion import harmonic_layers, harmonise
from harmonic.errors import FeatureError, ZooError
from harmonic.graph import BODY, joined_stages
from tests.support.laws import randomised

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return randomised(harmonise(torchvision.models.resnet18(num_classes=10)))


def test_its_answers_are_those_of_torchvisions_maps(resnet: nn.Module) -> None:
    joined = joined_stages(resnet.eval(), 4)
    assert joined.backbone.layers == ("layer2", "layer3", "layer4")
    stages = create_feature_extractor(resnet, ["layer2", "layer3", "layer4"])
    with torch.inference_mode():
        means = torch.cat([found.mean(dim=(2, 3)) for found in stages(IMAGES).values()], dim=1)
        expected = nn.functional.linear(means, joined.head.weight, joined.head.bias)
        torch.testing.assert_close(joined(IMAGES), expected)


def test_layers_keep_their_names_inside_and_the_given_network_its_weights(resnet: nn.Module) -> None:
    before = copy.deepcopy(resnet.state_dict())
    joined = joined_stages(resnet, 4, ["layer1", "layer3"])
    names = {f"{BODY}.{name}" for name in harmonic_layers(resnet) if not name.startswith("layer4")}
    assert set(harmonic_layers(joined)) == names
    nn.init.zeros_(joined.get_submodule(f"{BODY}.conv1").weight)
    assert all(torch.equal(resnet.state_dict()[name], tensor) for name, tensor in before.items())


def test_both_modes_learn_and_answer(resnet: nn.Module) -> None:
    joined = copy.deepcopy(joined_stages(resnet, 3)).train()
    mean = joined.get_submodule(f"{BODY}.bn1").running_mean.clone()
    joined(IMAGES).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in joined.parameters())
    assert not torch.equal(joined.get_submodule(f"{BODY}.bn1").running_mean, mean)
    with torch.inference_mode():
        torch.testing.assert_close(joined.eval()(IMAGES[:1]), joined(IMAGES)[:1], rtol=1e-4, atol=1e-4)


def test_the_zoo_builds_it_again_with_the_spectrum_of_its_layers() -> None:
    spectrum = {f"{BODY}.groups.1.0.conv0": 2}
    made = zoo.create("harm_wrn10_1", 3, joined=["groups.1", "groups.2"], spectrum=spectrum)
    assert harmonic_layers(made)[f"{BODY}.groups.1.0.conv0"].level == 2
    assert made(IMAGES).shape == (2, 3)
    small = zoo.create("cifar_harm_vgg7_0.25", 3, joined=["blocks.1", "blocks"])
    assert small(IMAGES[..., :32, :32]).shape == (2, 3)


def test_what_cannot_be_joined_is_said() -> None:
    flat = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    with pytest.raises(FeatureError, match="maps of one resolution only"):
        joined_stages(flat, 2, size=(3, 32, 32))
    with pytest.raises(FeatureError, match="has no layer 'layer9'"):
        zoo.create("torchvision/resnet18", 3, joined=["layer9"])
    for wrong in ("layer1", [1]):
        with pytest.raises(ZooError, match="joined is a list of layers by name"):
            zoo.create("torchvision/resnet18", 3, joined=wrong)
