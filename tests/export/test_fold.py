"""Folding keeps the answers and leaves nothing spectral behind."""

import copy

import pytest
import torch
from torch import nn

from export.errors import FoldError
from export.fold import fold
from harmonic import zoo
from harmonic.graph.backbone import features_only
from harmonic.layers import BandNormConv2d, BandSet, BandSetConv2d, HarmonicConv2d, is_spectral
from tests.support.laws import assert_same_function, images, randomised, small_pixels, stand_in, stand_in_names


@pytest.mark.parametrize("name", stand_in_names())
def test_folding_keeps_the_answers(name: str) -> None:
    model = randomised(stand_in(name)).eval()
    assert_same_function(model, fold(model), images(2, name))


@pytest.mark.parametrize("name", stand_in_names())
def test_folding_leaves_the_network_as_it_was(name: str) -> None:
    model = randomised(stand_in(name)).train()
    before = copy.deepcopy(model.state_dict())
    fold(model)
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", stand_in_names())
def test_nothing_spectral_is_left(name: str) -> None:
    assert not any(is_spectral(layer) for layer in fold(stand_in(name)).modules())


def test_a_norm_that_alone_reads_a_convolution_is_taken_up_by_it() -> None:
    folded = fold(zoo.create("harm_wrn16_2", 10))
    norms = [name for name, layer in folded.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    # What stays follows a residual sum, where no convolution could take it up.
    assert norms == [
        "groups.0.1.norm0",
        "groups.1.0.norm0",
        "groups.1.1.norm0",
        "groups.2.0.norm0",
        "groups.2.1.norm0",
        "norm",
    ]


class _SharedConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        response = self.conv(x)
        return self.norm(response) + response


class _Branching(_SharedConvolution):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) if x.sum() > 0 else self.norm(self.conv(-x))


@pytest.mark.parametrize("kind", [_SharedConvolution, _Branching])
def test_a_norm_that_cannot_be_taken_up_stays(kind: type[nn.Module]) -> None:
    model = randomised(kind()).eval()
    folded = fold(model)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert_same_function(model, folded, torch.randn(2, 3, 9, 9))


class _Maximum(nn.Module):
    """A convolution, the largest of every 2 x 2, a norm; as modules or as functions."""

    def __init__(self, pool: nn.Module | None, lowest_scale: float) -> None:
        super().__init__()
        self.conv, self.pool, self.norm = nn.Conv2d(3, 4, 3), pool, nn.BatchNorm2d(4)
        with torch.no_grad():
            self.norm.weight[2] = lowest_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        response = self.conv(x)
        return self.norm(self.pool(response) if self.pool else nn.functional.max_pool2d(response, 2))


@pytest.mark.parametrize("pool", [None, nn.MaxPool2d(3, 2, padding=1)])
@pytest.mark.parametrize(("lowest_scale", "left"), [(0.5, False), (0.0, False), (-0.5, True)])
def test_a_norm_goes_through_a_maximum_only_if_it_keeps_the_order(
    pool: nn.Module | None, lowest_scale: float, left: bool
) -> None:
    model = _Maximum(pool, lowest_scale).eval()
    model.norm.running_mean.normal_()
    folded = fold(model)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules()) == left
    assert_same_function(model, folded, torch.randn(2, 3, 9, 9))


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.Dropout(), nn.ReLU()])
def test_a_norm_goes_through_nothing_else(pool: nn.Module) -> None:
    model = _Maximum(pool, 0.5).eval()
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in fold(model).modules())


def test_the_norms_of_a_shallow_network_are_all_taken_up() -> None:
    folded = fold(zoo.create("cifar_harm_vgg7_0.125", 10))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())


def test_a_whole_sequence_of_spectral_layers_and_norms_becomes_convolutions() -> None:
    layers = [
        BandNormConv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        HarmonicConv2d(8, 4, 5, level=3),
        nn.BatchNorm2d(4),
        BandSetConv2d(4, 6, kept=BandSet(36, (0, 2, 9, 17, 30))),
        nn.BatchNorm2d(6),
    ]
    model = randomised(nn.Sequential(*layers)).eval()
    folded = fold(model)
    assert [type(layer) for layer in folded] == [nn.Conv2d, nn.Identity] * 3
    assert_same_function(model, folded, torch.randn(2, 3, 9, 11))


class _TwoNames(nn.Module):
    """Its convolution and its norm stand under two names each; the later names are the ones that run."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = conv, nn.BatchNorm2d(4)
        self.again = nn.Sequential(self.conv, self.norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.again(x)
        return answer


@pytest.mark.parametrize("kind", [BandNormConv2d, HarmonicConv2d, nn.Conv2d])
def test_a_layer_under_two_names_is_folded_under_both(kind: type[nn.Module]) -> None:
    model = randomised(_TwoNames(kind(3, 4, 3))).eval()
    folded = fold(model)
    assert not any(is_spectral(layer) or isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert folded.conv is folded.again[0]
    assert_same_function(model, folded, torch.randn(2, 3, 9, 9))


def test_a_layer_that_runs_twice_is_folded_once() -> None:
    layer = HarmonicConv2d(3, 3, 3, padding=1)
    model = randomised(nn.Sequential(layer, nn.BatchNorm2d(3), nn.ReLU(), layer)).eval()
    folded = fold(model)
    assert type(folded[0]) is nn.Conv2d
    assert folded[0] is folded[3]
    assert_same_function(model, folded, torch.randn(2, 3, 9, 9))


def test_a_norm_is_not_taken_up_by_a_weight_that_others_share() -> None:
    first, second = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
    second.weight = first.weight
    model = randomised(nn.Sequential(first, nn.BatchNorm2d(3), nn.ReLU(), second)).eval()
    assert_same_function(model, fold(model), torch.randn(2, 3, 9, 9))


def test_a_band_norm_without_statistics_is_refused_by_name() -> None:
    layer = BandNormConv2d(3, 4, 3)
    layer.norm = nn.BatchNorm2d(27, affine=False, track_running_stats=False)
    with pytest.raises(FoldError, match=r"layer 0: .*running statistics"):
        fold(nn.Sequential(layer, nn.ReLU()))


def test_a_bare_layer_is_refused_with_the_way_out() -> None:
    with pytest.raises(FoldError, match=r"as_conv2d\(\)"):
        fold(HarmonicConv2d(3, 4))


@pytest.mark.parametrize("name", ["harm_resnet{depth}", "harm_wrn{depth}_{width}", "hamming_resnet18"])
def test_a_backbone_folds_too(name: str) -> None:
    height, width, channels = small_pixels(name).shape
    backbone = features_only(randomised(stand_in(name)).eval(), size=(channels, height, width))
    folded = fold(backbone)
    assert not any(is_spectral(layer) for layer in folded.modules())
    for place in range(len(backbone.channels)):
        assert_same_function(lambda x, n=place: backbone(x)[n], lambda x, n=place: folded(x)[n], images(2, name))
