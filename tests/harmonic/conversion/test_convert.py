"""Conversion keeps answers with the full band, fits best with fewer frequencies, and says what it did."""

import copy
import math

import pytest
import torch
import torchvision
from torch import Tensor, nn

from harmonic.conversion.convert import as_plain, convert, harmonise
from harmonic.conversion.plans import LayerChoice
from harmonic.errors import SpectrumError
from harmonic.graph import macs
from harmonic.layers import BandNormConv2d, HarmonicConv2d, dct_bank

timm = pytest.importorskip("timm")

TORCHVISION = {
    "convnext_tiny": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "regnet_y_400mf": 64,
    "resnet18": 64,
    "resnext50_32x4d": 64,
    "shufflenet_v2_x0_5": 64,
    "squeezenet1_1": 64,
}
TIMM = {
    "convnext_atto": 64,
    "cs3darknet_s": 64,
    "edgenext_xx_small": 64,
    "ghostnet_050": 64,
    "hrnet_w18_small": 64,
    "mixnet_s": 64,
    "regnetx_002": 64,
    "repvgg_a0": 64,
    "res2net50_26w_4s": 64,
    "resnest14d": 64,
    "seresnet18": 64,
    "tf_efficientnet_b0": 72,
    "tf_mobilenetv3_small_100": 72,
    "vovnet39a": 64,
}


def randomised(model: nn.Module) -> nn.Module:
    """Statistics and affine parameters away from their start, and weights as spread as the kaiming rule wants."""
    generator = torch.Generator().manual_seed(2)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
            layer.running_mean.normal_(0, 0.3, generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
    return model.eval()


def torchvision_network(name: str) -> nn.Module:
    torch.manual_seed(0)
    quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return randomised(torchvision.models.get_model(name, weights=None, num_classes=7, **quick))


def images(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


def assert_same_answers(first: nn.Module, second: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        expected, found = first(x), second(x)
    rounding = 1000 * torch.finfo(x.dtype).eps * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=rounding)


def plain_spatial(model: nn.Module) -> list[str]:
    return [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1]


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_torchvision_network_answers_the_same_with_the_full_band(name):
    model = torchvision_network(name).double()
    converted = harmonise(model)
    assert not plain_spatial(converted)
    assert_same_answers(model, converted, images(1, 3, TORCHVISION[name], TORCHVISION[name], dtype=torch.float64))


@pytest.mark.parametrize("name", TIMM)
def test_a_timm_network_answers_the_same_with_the_full_band(name):
    torch.manual_seed(0)
    model = randomised(timm.create_model(name, num_classes=7)).double()
    converted = harmonise(model)
    assert not plain_spatial(converted)
    assert_same_answers(model, converted, images(1, 3, TIMM[name], TIMM[name], dtype=torch.float64))


@pytest.mark.parametrize("name", ["resnet18", "inception_v3", "efficientnet_b0"])
def test_single_precision_answers_the_same_to_its_own_rounding(name):
    model = torchvision_network(name)
    assert_same_answers(model, harmonise(model), images(2, 3, 96, 96))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, (1, 7), padding=(0, 3)),
        nn.Conv2d(4, 6, (7, 1), stride=(2, 1), bias=False),
        nn.Conv2d(4, 6, 5, padding=2, groups=2),
        nn.Conv2d(4, 8, 3, padding=1, groups=4),
        nn.Conv2d(4, 6, 3, dilation=2, padding=2),
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 6, (3, 5), padding="same"),
        nn.Conv2d(4, 6, 7, stride=4, padding=3),
        nn.Conv2d(4, 6, 4, stride=4),
    ],
    ids=lambda conv: conv.extra_repr(),
)
@pytest.mark.parametrize("norm_root", [False, True])
def test_every_kind_of_convolution_keeps_its_answers(conv, norm_root):
    torch.manual_seed(0)
    model = nn.Sequential(conv).double().eval()
    converted = harmonise(model, norm_root=norm_root, size=(4, 17, 19))
    assert isinstance(converted[0], BandNormConv2d if norm_root else HarmonicConv2d)
    assert_same_answers(model, converted, images(2, 4, 17, 19, dtype=torch.float64))


def test_the_given_network_is_unchanged():
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=3).eval()
    before = copy.deepcopy(model)
    harmonise(model, levels=2, norm_root=True, size=(3, 64, 64))
    assert [type(m) for m in model.modules()] == [type(m) for m in before.modules()]
    torch.testing.assert_close(dict(model.state_dict()), dict(before.state_dict()), rtol=0, atol=0)


def test_fewer_frequencies_are_the_least_squares_fit():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 5, bias=False).double()
    truncated = harmonise(nn.Sequential(conv), levels={"0": 3})[0].as_conv2d().weight.flatten(0, 1).flatten(1)
    bank = dct_bank(5, 3).double().flatten(1)
    fitted = torch.linalg.lstsq(bank.T, conv.weight.detach().flatten(0, 1).flatten(1).T).solution
    torch.testing.assert_close(truncated, (bank.T @ fitted).T, rtol=0, atol=1e-12)


def test_truncating_in_two_steps_is_truncating_in_one():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)).eval()
    stepwise = harmonise(harmonise(model, levels={"*": 4}), levels={"*": 2})
    assert_same_answers(harmonise(model, levels={"*": 2}), stepwise, images(2, 3, 9, 9))


def test_the_papers_progressive_levels_have_the_papers_count():
    with torch.device("meta"):
        model = torchvision.models.resnet50()
    converted = harmonise(model, levels=(None, None, 3, 2))
    assert sum(p.numel() for p in converted.parameters()) == 19_658_792


def test_one_level_leaves_the_root_whole_unless_it_is_asked_for():
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    kept = {layer.name: layer.filters for layer in convert(model, LayerChoice(levels=2)).layers}
    assert kept.pop("conv1") == 49
    assert set(kept.values()) == {3}
    assert convert(model, LayerChoice(levels=2, root_level=5)).layers[0].filters == 15
    assert [layer.filters for layer in convert(model, LayerChoice(root_level=5)).layers][:2] == [15, 9]


def test_the_root_is_what_runs_first_not_what_stands_first():
    class Reversed(nn.Module):
        def __init__(self):
            super().__init__()
            self.second = nn.Conv2d(4, 4, 3)
            self.first = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.second(self.first(x))

    converted = harmonise(Reversed(), select="root", norm_root=True, size=(3, 16, 16))
    assert isinstance(converted.first, BandNormConv2d)
    assert isinstance(converted.second, nn.Conv2d)


def test_levels_and_layers_are_chosen_by_pattern():
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    report = convert(model, LayerChoice(select=["layer3.*", "layer4.*"], levels={"*": 3, "layer4.1.*": 1})).layers
    assert {layer.name: layer.plan.level for layer in report if "4" in layer.name.split(".")[0]} == {
        "layer4.0.conv1": 3,
        "layer4.0.conv2": 3,
        "layer4.1.conv1": 1,
        "layer4.1.conv2": 1,
    }
    assert not any(layer.name.startswith(("conv1", "layer1", "layer2")) for layer in report)


def test_a_measured_inner_norm_standardises_its_bands_and_keeps_the_answers():
    torch.manual_seed(0)
    model = randomised(torchvision.models.resnet18(num_classes=3))
    batches = [images(4, 3, 64, 64) * 3 + 1, images(4, 3, 64, 64)]
    converted = harmonise(model, norm_root=True, images=batches, size=(3, 64, 64))
    assert_same_answers(model, converted, batches[0])
    bands = torch.cat([converted.conv1.bands(batch) for batch in batches])
    seen = converted.conv1.norm(bands).transpose(0, 1).flatten(1)
    torch.testing.assert_close(seen.mean(1), torch.zeros(len(seen)), rtol=0, atol=1e-4)
    torch.testing.assert_close(seen.std(1), torch.ones(len(seen)), rtol=1e-3, atol=0)


def test_the_report_counts_filters_parameters_and_energy():
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 16, 3)
    (layer,) = convert(nn.Sequential(conv), LayerChoice(levels={"0": 2})).layers
    fitted = harmonise(nn.Sequential(conv), levels={"0": 2})[0].as_conv2d()
    assert (layer.filters, layer.of) == (3, 9)
    assert (layer.parameters_before, layer.parameters_after) == (8 * 16 * 9 + 16, 8 * 16 * 3 + 16)
    assert math.isclose(
        layer.energy, float((fitted.weight.square().sum() / conv.weight.square().sum()).detach()), rel_tol=1e-5
    )


def test_a_layer_that_stands_in_two_places_stays_one_layer():
    shared = nn.Conv2d(3, 3, 3, padding=1)
    model = nn.Sequential(shared, nn.ReLU(), shared).eval()
    converted = harmonise(model)
    assert converted[0] is converted[2]
    assert_same_answers(model, converted, images(1, 3, 8, 8))


def test_convolutions_with_another_forward_are_skipped_with_the_reason():
    from timm.layers import StdConv2d

    class Odd(nn.Conv2d):
        def forward(self, x):
            return super().forward(x).square()

    model = nn.Sequential(
        StdConv2d(3, 4, 3), Odd(4, 4, 3), nn.ConvTranspose2d(4, 4, 3), nn.Conv2d(4, 4, 3),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)),
    ).eval()  # fmt: skip
    conversion = convert(model)
    assert [layer.name for layer in conversion.layers] == ["3"]
    assert set(conversion.skipped) == {"0", "1", "2", "4"}
    assert "StdConv2d" in conversion.skipped["0"]
    assert_same_answers(model, conversion.model, images(1, 3, 16, 16))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"levels": (3, 2)}, "4 stages"),
        ({"levels": 0}, "level must be"),
        ({"levels": {"*": -1}}, "level must be"),
        ({"levels": {"nowhere": 2}}, "nowhere"),
        ({"select": ["nowhere"]}, "nowhere"),
        ({"select": "some"}, "select"),
        ({"levels": "3"}, "levels"),
        ({"levels": {"conv1": 2}, "root_level": 5}, "name the root"),
        ({"levels": 2, "size": (5, 64, 64)}, "does not run"),
    ],
)
def test_choices_that_fit_nothing_are_told(choices, message):
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    with pytest.raises(SpectrumError, match=message):
        harmonise(model, **choices)


def test_a_network_without_spatial_convolutions_is_refused():
    with pytest.raises(SpectrumError, match="no spatial convolution"):
        harmonise(nn.Sequential(nn.Conv2d(3, 3, 1)))


def test_frozen_parameters_stay_frozen_and_types_stay():
    model = nn.Sequential(nn.Conv2d(3, 4, 3)).to(torch.bfloat16).train()
    model[0].weight.requires_grad_(False)
    converted = harmonise(model)
    assert not converted[0].weight.requires_grad
    assert converted[0].bias.requires_grad
    assert converted[0].weight.dtype == torch.bfloat16
    assert converted.training
    assert converted(images(1, 3, 8, 8).bfloat16()).dtype == torch.bfloat16


def test_a_converted_network_goes_back_to_its_first_weights():
    torch.manual_seed(0)
    model = randomised(torchvision.models.resnet18(num_classes=3)).double()
    back = as_plain(harmonise(model))
    torch.testing.assert_close(dict(back.state_dict()), dict(model.state_dict()), rtol=0, atol=1e-12)


def test_a_converted_network_costs_the_published_multiplications():
    with torch.device("meta"):
        model = torchvision.models.resnet50()
        model.conv1 = nn.Conv2d(3, 64, 7, stride=4, padding=3, bias=False)
        model.maxpool = nn.Identity()
    assert round(macs(harmonise(model), (3, 224, 224)) / 1e6, 1) == 4000.7
