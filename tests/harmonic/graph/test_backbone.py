"""Backbones as people use them: both modes, copies, chosen layers, and the head is gone."""

import copy
import pickle
from collections import OrderedDict

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.ops import FeaturePyramidNetwork

import harmonic
from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.conversion import harmonise
from harmonic.errors import FeatureError
from harmonic.graph.backbone import features_only
from tests.support.laws import family, stand_in
from tests.support.maps import STAGES, assert_same_maps, hooked, image, lively


def small_resnet(classes=10):
    """timm's ResNet for tests, harmonic, with an inner norm in its root."""
    return harmonise(timm.create_model("test_resnet", num_classes=classes), levels=3, norm_root=True)


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return lively(small_resnet())


@pytest.fixture(scope="module")
def backbone(resnet):
    return features_only(resnet)


def test_the_head_is_gone():
    made = features_only(torchvision.models.resnet50())
    assert sum(p.numel() for p in made.parameters()) == 25_557_032 - 2048 * 1000 - 1000
    assert not any("fc" in key for key in made.state_dict())


def test_a_bundles_network_is_a_backbone(tmp_path):
    architecture, arguments = family("harm_wrn{depth}_{width}").stand_in
    card = bundle.Card(
        architecture=architecture, arguments=arguments, classes=("a", "b", "c"), pixels=zoo.native_pixels(architecture)
    )
    bundle.save(bundle.Bundle(card, stand_in("harm_wrn{depth}_{width}")), tmp_path / "bundle")
    made = features_only(bundle.load(tmp_path / "bundle").model, size=(3, 32, 32))
    assert made.channels == (16, 32, 64)
    assert not made.training


def test_images_of_other_sizes_pass(backbone):
    with torch.no_grad():
        maps = backbone(image(320, 1, 256))
    assert [tuple(found.shape) for found in maps] == [
        (1, 32, 160, 128),
        (1, 32, 80, 64),
        (1, 48, 40, 32),
        (1, 192, 20, 16),
        (1, 96, 10, 8),
    ]


def test_the_given_network_is_unchanged_by_what_becomes_of_its_backbone(resnet):
    before = copy.deepcopy(resnet.state_dict())
    made = features_only(resnet).train()
    sum(found.square().mean() for found in made(image())).backward()
    assert not resnet.training
    assert all(p.grad is None for p in resnet.parameters())
    assert all(torch.equal(value, before[key]) for key, value in resnet.state_dict().items())


def test_it_starts_in_the_networks_mode(resnet):
    assert not features_only(resnet).training
    assert features_only(copy.deepcopy(resnet).train()).training


def test_training_gives_the_networks_own_maps_and_moves_its_statistics(resnet):
    model = copy.deepcopy(resnet).train()
    made = features_only(model)
    assert_same_maps(made(image()), hooked(model, ("act1", *STAGES), image()))
    after, own = made.body.state_dict(), model.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in after.items())
    moved = [key for key, value in after.items() if not torch.equal(value, resnet.state_dict()[key])]
    assert "layer4.0.bn2.running_mean" in moved
    assert "conv1.0.norm.running_mean" in moved


def test_what_is_random_in_training_alone_is_so_here():
    model = lively(timm.create_model("test_resnet", drop_path_rate=0.5)).train()
    made = features_only(model)
    torch.manual_seed(5)
    wanted = hooked(model, STAGES, image())
    torch.manual_seed(5)
    assert_same_maps(made(image())[1:], wanted)
    assert not torch.equal(made(image(count=16))[-1], made(image(count=16))[-1])
    made.eval()
    assert torch.equal(made(image())[-1], made(image())[-1])


def test_a_gradient_reaches_every_parameter(backbone):
    made = copy.deepcopy(backbone).train()
    made(image())[-1].square().mean().backward()
    assert [key for key, p in made.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_pyramid_network_runs_on_it(backbone):
    pyramid = FeaturePyramidNetwork(list(backbone.channels), 16)
    with torch.no_grad():
        maps = pyramid(OrderedDict(zip(backbone.layers, backbone(image()), strict=True)))
    assert [tuple(found.shape) for found in maps.values()] == [(2, 16, 32 // r, 32 // r) for r in backbone.reductions]


def test_its_state_loads_into_another(resnet, backbone):
    torch.manual_seed(9)
    other = features_only(small_resnet(classes=2)).eval()
    other.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        assert_same_maps(other(image()), backbone(image()))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_a_copy_has_weights_of_its_own_and_both_modes(duplicate):
    torch.manual_seed(0)
    made = features_only(lively(timm.create_model("test_resnet", drop_path_rate=0.5)))
    twin = duplicate(made)
    assert (twin.channels, twin.reductions, twin.layers) == (made.channels, made.reductions, made.layers)
    assert not twin.training
    with torch.no_grad():
        wanted = made(image())
        assert_same_maps(twin(image()), wanted)
        assert not torch.equal(twin.train()(image(count=16))[-1], twin(image(count=16))[-1])
        for parameter in twin.parameters():
            parameter.zero_()
        assert_same_maps(made(image()), wanted)


def test_layers_can_be_named_in_any_order(resnet):
    made = features_only(resnet, layers=["layer3", "layer1.0.conv2", "maxpool"])
    assert (made.channels, made.reductions) == ((192, 32, 32), (16, 4, 4))
    assert not any(key.startswith("body.layer4") for key in made.state_dict())
    with torch.no_grad():
        assert_same_maps(made(image()), hooked(resnet, ("layer3", "layer1.0.conv2", "maxpool"), image()))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["layer9"], "no layer 'layer9'. Near: layer"),
        (["layer1", "global_pool"], "'global_pool' gives no map"),
        (["fc"], r"'fc' gives no map .* but \(1, 10\)"),
        ("layer1", "layers is a list of names, not 'layer1'"),
        ([], "layers is a list of names"),
    ],
)
def test_layers_that_do_not_fit_are_refused(resnet, layers, message):
    with pytest.raises(FeatureError, match=message):
        features_only(resnet, layers=layers)


def test_a_network_of_one_size_is_refused():
    with torch.device("meta"):
        model = torchvision.models.vit_b_32()
    with pytest.raises(FeatureError, match="A backbone takes images of any size"):
        features_only(model)


def test_it_says_what_it_gives(backbone):
    assert "reductions=(2, 4, 8, 16, 32)" in repr(backbone)
    assert harmonic.features_only is features_only
    assert isinstance(backbone, harmonic.Backbone)
    assert isinstance(backbone, nn.Module)
