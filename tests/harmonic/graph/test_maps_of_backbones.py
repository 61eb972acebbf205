"""The maps of backbones are the networks' own, family by family."""

from functools import partial

import pytest
import timm
import torch
import torchvision
from torch.nn import functional as F

from harmonic import zoo
from harmonic.conversion import as_plain, harmonise
from harmonic.errors import FeatureError
from harmonic.graph.backbone import features_only
from harmonic.layers import SpectralConv2d
from tests.support.laws import assert_close, small_pixels, stand_in, stand_in_names
from tests.support.maps import STAGES, assert_same_maps, hooked, image, lively

IMAGENET = (4, 8, 16, 32)
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
