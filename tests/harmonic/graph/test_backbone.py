"""Backbones: the maps are the network's own, at every size and in both modes, and the head is gone."""

import copy
import pickle
from collections import OrderedDict
from functools import partial

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.ops import FeaturePyramidNetwork

import harmonic
from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.conversion import as_plain, harmonise
from harmonic.errors import FeatureError
from harmonic.graph.backbone import features_only
from harmonic.layers import SpectralConv2d
from tests.support.laws import assert_close, family, randomised, small_pixels, stand_in, stand_in_names

STAGES = ("layer1", "layer2", "layer3", "layer4")
IMAGENET = (4, 8, 16, 32)


def image(size=32, count=2, other=None):
    return torch.randn(count, 3, size, other or size, generator=torch.Generator().manual_seed(3))


def hooked(model, layers, x):
    """What the network's own layers give while it runs."""
    seen = {}
    handles = [
        model.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
        for name in layers
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return [seen[name] for name in layers]


def assert_same_maps(found, wanted):
    assert len(found) == len(wanted)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, wanted, strict=True))


def lively(model):
    torch.manual_seed(1)
    return randomised(model).eval()


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


NETWORKS = {
    "torchvision resnet50": (
        torchvision.models.resnet50,
        {},
        ((2, 64, "relu"), *zip(IMAGENET, (256, 512, 1024, 2048), STAGES, strict=True)),
    ),
    "harm_resnet50": (
        lambda: zoo.create("harm_resnet50", 10, level=(None, None, 3, 2)),
        {},
        tuple(zip(IMAGENET, (256, 512, 1024, 2048), STAGES, strict=True)),
    ),
    "harm_se_resnext50_32x4d": (
        lambda: zoo.create("harm_se_resnext50_32x4d", 10),
        {},
        ((2, 64, "act1"), *zip(IMAGENET, (256, 512, 1024, 2048), STAGES, strict=True)),
    ),
    "harm_vgg16_bn": (
        lambda: zoo.create("harm_vgg16_bn", 10, hidden=8),
        {},
        (
            (1, 64, "features.5"),
            (2, 128, "features.12"),
            (4, 256, "features.22"),
            (8, 512, "features.32"),
            (16, 512, "features.42"),
            (32, 512, "features"),
        ),
    ),
    "converted densenet121": (
        lambda: harmonise(torchvision.models.densenet121(), levels=3),
        {},
        (
            (2, 64, "features.relu0"),
            (4, 256, "features.transition1.relu"),
            (8, 512, "features.transition2.relu"),
            (16, 1024, "features.transition3.relu"),
            (32, 1024, "relu"),
        ),
    ),
    "converted squeezenet1_1": (
        lambda: harmonise(torchvision.models.squeezenet1_1(), levels=2),
        {},
        ((2, 64, "features.1"), (4, 128, "features.4"), (8, 256, "features.7"), (16, 512, "features")),
    ),
    "cifar_resnet20": (
        lambda: zoo.create("cifar_resnet20", 10),
        {"size": (3, 32, 32)},
        ((1, 16, "layer1"), (2, 32, "layer2"), (4, 64, "layer3")),
    ),
}
OWN_LAYERS = {
    "torchvision resnet50": (torchvision.models.resnet50, ("relu", *STAGES)),
    "harm_resnet18": (partial(zoo.create, "harm_resnet18", 10, level=(None, None, 3, 2)), STAGES),
    "harm_se_resnext14": (partial(zoo.create, "harm_se_resnext14_8x4d", 10), ("act1", *STAGES)),
    "harm_vgg11_bn": (
        partial(zoo.create, "harm_vgg11_bn", 10, hidden=8),
        ("features.2", "features.6", "features.13", "features.20", "features.27", "features.28"),
    ),
    "converted squeezenet": (
        lambda: harmonise(torchvision.models.squeezenet1_1(), levels=2),
        ("features.1", "features.4", "features.7", "features.12"),
    ),
    "cifar_resnet8": (partial(zoo.create, "cifar_resnet8", 10), ("layer1", "layer2", "layer3")),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_have_the_papers_channels_and_reductions(name):
    build, options, wanted = NETWORKS[name]
    with torch.device("meta"):
        model = build()
    made = features_only(model, **options)
    assert tuple(zip(made.reductions, made.channels, made.layers, strict=True)) == wanted


@pytest.mark.parametrize("name", OWN_LAYERS)
def test_maps_are_exactly_what_the_networks_own_layers_give(name):
    build, layers = OWN_LAYERS[name]
    torch.manual_seed(0)
    model = lively(build())
    with torch.no_grad():
        assert_same_maps(features_only(model)(image()), hooked(model, layers, image()))


def test_a_pre_activation_network_gives_its_activated_maps():
    model = lively(zoo.create("harm_wrn10_1", 10))
    made = features_only(model, size=(3, 32, 32))
    assert (made.channels, made.reductions) == ((16, 32, 64), (1, 2, 4))
    with torch.no_grad():
        norms = hooked(model, ("groups.1.0.norm0", "groups.2.0.norm0", "norm"), image())
        assert_same_maps(made(image()), [F.relu(normed) for normed in norms])


def test_a_densenet_gives_its_activated_blocks():
    model = lively(torchvision.models.DenseNet(8, (2, 2, 2, 2), 8))
    made = features_only(model)
    assert (made.channels, made.reductions) == ((8, 24, 28, 30, 31), (2, 4, 8, 16, 32))
    layers = ("features.relu0", *(f"features.transition{n}.relu" for n in (1, 2, 3)), "features.norm5")
    with torch.no_grad():
        *wanted, last = (seen.clone() for seen in hooked(model, layers, image()))
        assert_same_maps(made(image()), [*wanted, F.relu(last)])


@pytest.mark.parametrize("name", ["test_resnet", "test_byobnet"])
def test_maps_are_those_of_timms_own_backbones(name):
    def seeded(**options):
        torch.manual_seed(4)
        return timm.create_model(name, pretrained=False, **options).eval()

    ours, theirs = features_only(seeded()), seeded(features_only=True)
    assert list(ours.channels) == theirs.feature_info.channels()
    assert list(ours.reductions) == theirs.feature_info.reduction()
    with torch.no_grad():
        assert_same_maps(ours(image()), theirs(image()))


@pytest.mark.parametrize("template", [name for name in stand_in_names() if not name.startswith("fourier")])
def test_every_backbone_gives_what_it_says_and_folds_with_the_same_maps(template):
    rows, columns, channels = small_pixels(template).shape
    made = features_only(lively(stand_in(template)), size=(channels, rows, columns))
    x = torch.randn(1, channels, rows, columns, generator=torch.Generator().manual_seed(1))
    plain = as_plain(made)
    assert not any(isinstance(layer, SpectralConv2d) for layer in plain.modules())
    assert made.reductions == tuple(sorted(set(made.reductions)))
    with torch.no_grad():
        for folded, found, width, side in zip(plain(x), made(x), made.channels, made.reductions, strict=True):
            assert found.shape[:2] == (1, width)
            assert all(
                abs(cells - pixels / side) <= 1 for cells, pixels in zip(found.shape[2:], x.shape[2:], strict=True)
            )
            assert found.std() > 0
            assert_close(folded, found, ulps=2**12)


@pytest.mark.parametrize("template", [name for name in stand_in_names() if name.startswith("fourier")])
def test_networks_that_look_at_the_images_size_are_refused(template):
    rows, columns, channels = small_pixels(template).shape
    with pytest.raises(FeatureError, match="FourierNet cannot be traced"):
        features_only(stand_in(template), size=(channels, rows, columns))


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
