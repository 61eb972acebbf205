"""Every published network has its published parameters, and every listed one can be built, named and saved."""

import inspect
import json

import pytest
import torch
from torch import nn

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.conversion import harmonic_layers
from harmonic.errors import SpectrumError, ZooError
from harmonic.graph import macs, parameters
from harmonic.layers import BandNormConv2d, HarmonicConv2d
from harmonic.pixels import PixelSpec
from tests.support.commands import done
from tests.support.published import PROGRESSIVE, PUBLISHED


def on_meta(name: str, /, classes: int, **arguments) -> nn.Module:
    with torch.device("meta"):
        return zoo.create(name, classes, **arguments)


POOLS = ("none", "avg", "max")
COUNTS = [
    *((name, {"pool": p}, 25_557_032) for name in ("resnet50", "harm1_resnet50", "harm_resnet50") for p in POOLS),
    ("harm_resnet50", {"root": "linear", "pool": "max"}, 25_557_032),
    ("harm_resnet50", {"root": "plain"}, 25_557_032),
    ("harm_resnet50", {"level": (None, None, 3, 2)}, 19_658_792),
    ("harm_resnet50", {"level": 3}, 21_784_616),
    ("harm_resnet50", {"level": 2}, 18_012_200),
    ("harm_resnet50", {"level": 1}, 15_497_256),
    ("resnet101", {"pool": "max"}, 44_549_160),
    ("harm_resnet101", {}, 44_549_160),
    ("resnet152", {}, 60_192_808),
    ("harm_resnet152", {}, 60_192_808),
    ("resnet18", {}, 11_689_512),
    ("harm_resnet18", {}, 11_689_512),
    ("resnet34", {}, 21_797_672),
    ("harm_resnet34", {}, 21_797_672),
    ("vgg16", {}, 138_357_544),
    ("vgg16_bn", {}, 138_365_992),
    ("harm_vgg16", {}, 138_357_544),
    ("harm_vgg16_bn", {}, 138_365_992),
    ("se_resnext101_32x4d", {}, 48_955_416),
    ("harm_se_resnext101_32x4d", {}, 48_955_416),
    ("harm_se_resnext101_64x4d", {}, 88_232_984),
]
# What the original stores as frozen parameters: a bank a layer, in band-normalised layers one for each input channel.
FROZEN = [
    ("resnet50", {}, 0),
    ("harm1_resnet50", {}, 7_203),
    ("harm_resnet50", {}, 8_499),
    ("harm_resnet50", {"level": (None, None, 3, 2)}, 8_175),
    ("harm_resnet101", {}, 9_876),
    ("harm_resnet152", {}, 11_253),
    ("harm_se_resnext101_32x4d", {}, 9_876),
    ("harm_se_resnext101_64x4d", {}, 9_876),
]


@pytest.mark.parametrize(("name", "classes"), PUBLISHED)
def test_an_stl_wide_resnet_has_the_parameters_published_for_cifar(name, classes):
    full, three, two, progressive = PUBLISHED[name, classes]
    assert parameters(on_meta(f"stl10_wrn{name}", classes)) == full
    assert parameters(on_meta(f"stl10_harm_wrn{name}", classes)) == full
    assert parameters(on_meta(f"stl10_harm_wrn{name}", classes, level=3)) == three
    assert parameters(on_meta(f"stl10_harm_wrn{name}", classes, level=2)) == two
    assert parameters(on_meta(f"stl10_harm_wrn{name}", classes, level=PROGRESSIVE)) == progressive


@pytest.mark.parametrize("root", ["norm", "linear"])
def test_a_wide_resnet_with_a_harmonic_root_has_the_published_parameters(root):
    assert parameters(on_meta("harm1_wrn28_10", 10, root=root)) == 36_479_194


@pytest.mark.parametrize(("name", "arguments", "count"), COUNTS)
def test_an_imagenet_network_has_the_published_parameters(name, arguments, count):
    assert parameters(on_meta(name, 1000, **arguments)) == count


@pytest.mark.parametrize(("name", "arguments", "count"), FROZEN)
def test_an_imagenet_network_has_the_published_filters(name, arguments, count):
    layers = harmonic_layers(on_meta(name, 1000, **arguments)).values()
    banks = (layer.bank.numel() * (layer.in_channels if isinstance(layer, BandNormConv2d) else 1) for layer in layers)
    assert sum(banks) == count


@pytest.mark.parametrize(
    ("name", "side", "millions"),
    [
        ("harm_resnet50", 224, 4000.7),
        ("harm_resnet101", 224, 7712.9),
        ("harm_wrn28_10", 32, 5243.3),
        ("stl10_harm_wrn16_8", 96, 3483.3),
        ("harm_se_resnext101_64x4d", 320, 31_373),
    ],
)
def test_a_network_costs_the_published_multiplications(name, side, millions):
    model = on_meta(name, 10 if "wrn" in name else 1000)
    assert macs(model, (3, side, side)) / 1e6 == pytest.approx(millions, abs=1 if millions > 10_000 else 0.05)


@pytest.mark.parametrize(
    ("name", "pool", "stride"),
    [("harm_se_resnext101_32x4d", nn.MaxPool2d, 2), ("harm_se_resnext101_64x4d", nn.Identity, 4)],
)
def test_the_two_published_se_resnexts_differ_at_the_root(name, pool, stride):
    model = on_meta(name, 1000)
    assert isinstance(model.maxpool, pool)
    assert model.conv1.stride == (stride, stride)
    assert sum(isinstance(m, HarmonicConv2d | BandNormConv2d) for m in model.modules()) == 34
    assert [model.get_submodule(f"layer{s}.0.conv2").weight.shape[1] for s in (1, 2, 3, 4)] == [4, 8, 16, 32]


@pytest.mark.parametrize("pool", POOLS)
def test_every_root_brings_224_pixels_to_56(pool):
    model = on_meta("harm_resnet18", 1000, pool=pool)
    stem = nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool)
    assert stem(torch.zeros(1, 3, 224, 224, device="meta")).shape == (1, 64, 56, 56)


def test_drop_connect_rises_with_the_block_as_published():
    model = zoo.create("se_resnext14_8x4d", 3, drop_connect=0.4)
    rates = [model.get_submodule(f"layer{s}.0").drop_path for s in (2, 3, 4)]
    assert [layer.drop_prob for layer in rates] == pytest.approx([0.1, 0.2, 0.3])


def test_fresh_harmonic_layers_keep_their_own_initialisation():
    torch.manual_seed(0)
    model = zoo.create("harm_resnet18", 10)
    block, root = model.get_submodule("layer3.0.conv1"), model.conv1
    assert float(block.weight.detach().std()) == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)
    assert float(root.weight.detach().std()) == pytest.approx((2 / 64) ** 0.5, rel=0.05)


@pytest.mark.parametrize("template", [family.template for family in zoo.families()])
def test_a_family_tells_what_it_is_and_lists_only_its_own_names(template):
    family = next(family for family in zoo.families() if family.template == template)
    assert family.summary.endswith(".")
    assert all(zoo.find(name) is family for name in (*family.listed, family.stand_in[0]))
    assert set(family.published) <= set(family.listed)
    assert "classes" in inspect.signature(family.build).parameters


def test_the_list_has_every_name_with_its_figures():
    rows = {row["name"]: row for row in json.loads(done("models", "--json"))}
    assert set(rows) == set(zoo.listed_names())
    assert all(row["parameters"] > 0 for row in rows.values())
    of_many_sizes = {name for name in rows if name.startswith(("fourier", "scale"))}
    assert {name for name, row in rows.items() if row["macs"] is None} == of_many_sizes
    assert rows["harm_resnet50"]["published"] == "23.11 / 6.63"


@pytest.mark.parametrize("name", ["torchvision/squeezenet1_1", "timm/test_efficientnet", "harm_wrn10_1", "wrn10_1"])
def test_a_spectrum_makes_layers_of_any_network_harmonic(name):
    plain = on_meta(name, 5)
    last = [
        n for n, m in plain.named_modules() if isinstance(m, nn.Conv2d | HarmonicConv2d) and m.kernel_size == (3, 3)
    ][-1]
    model = on_meta(name, 5, spectrum={last: 2})
    assert model.get_submodule(last).level == 2
    assert parameters(model) < parameters(plain)


def test_a_converted_network_is_built_again_from_its_card(tmp_path):
    arguments = {"spectrum": {"conv_stem": {"level": None, "norm": True, "bias": True}, "blocks.0.0.conv": 3}}
    torch.manual_seed(0)
    model = zoo.create("timm/test_efficientnet", 2, **arguments).eval()
    card = bundle.Card(
        architecture="timm/test_efficientnet",
        arguments=arguments,
        classes=("a", "b"),
        pixels=PixelSpec(height=32, width=32),
    )
    bundle.save(bundle.Bundle(card, model), tmp_path / "bundle")
    loaded = bundle.load(tmp_path / "bundle")
    assert json.loads((tmp_path / "bundle" / "bundle.json").read_text())["arguments"] == arguments
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(x), model(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("harm_resnet51", {}, "depth is one of"),
        ("harm_resnet50", {"level": (3, 2)}, "4 stages"),
        ("harm_resnet50", {"level": 0}, "level must be"),
        ("harm_resnet50", {"pool": "median"}, "pool is one of"),
        ("harm_resnet50", {"root": "bark"}, "root is one of"),
        ("harm_resnet50", {"levels": 3}, "does not take"),
        ("harm_wrn16_2", {"root": "plain"}, "root is norm or linear"),
        ("harm_vgg12", {}, "depth is one of"),
        ("harm_vgg11", {"hidden": 0}, "hidden"),
        ("harm_vgg11", {"init": "xavier"}, "init is one of"),
        ("se_resnext99_8x4d", {}, "depth is one of"),
        ("se_resnext14_0x4d", {}, "cardinality"),
        ("se_resnext14_8x4d", {"drop_connect": 1.0}, "drop_connect"),
        ("cifar_resnet21", {}, "6n \\+ 2"),
        ("cifar_resnet999999998", {}, "a depth of 999999998 is too large to build; the largest is 2000"),
        ("cifar_vgg7_0.01", {}, "width 0.01 leaves no channels"),
        ("cifar_harm_vgg7_1", {"level": (3, 2)}, "each of the 3 blocks"),
        ("cifar_vgg7_1", {"level": 2}, "does not take"),
        ("wrn16_9999", {}, "a width of 9999.0 is too large"),
        ("se_resnext14_8888x4d", {}, "a cardinality of 8888 is too large"),
        ("timm/resnet18", {"options": {"checkpoint_path": "x.pth"}}, "'checkpoint_path': it is not among those"),
        ("timm/resnet18", {"options": {"pretrained_cfg": {"file": "x.pth"}}}, "'pretrained_cfg': it is not among"),
        ("timm/resnet18", {"options": {"cache_dir": "/tmp"}}, "'cache_dir': it is not among"),
        ("timm/resnet18", {"options": {"norm_layer": print}}, "norm_layer is a number, word, list or table"),
        ("timm/resnet18", {"options": ["drop_rate"]}, "options are a table"),
        ("torchvision/resnet18", {"options": {"weights": "DEFAULT"}}, "'weights': it is not among"),
        ("torchvision/resnet18", {"options": {"progress": True}}, "'progress': it is not among"),
        ("torchvision/resnet_of_nobody", {}, "no classifier"),
        ("timm/resnet_of_nobody", {}, "no classifier"),
        ("harm_wrn10_1", {"spectrum": {"nowhere": 2}}, "no layer"),
        ("harm_wrn10_1", {"spectrum": {"root": 2}}, "inner norm"),
        ("harm_wrn10_1", {"spectrum": {"head": 2}}, "cannot become harmonic"),
        ("wrn10_1", {"spectrum": 3}, "by name, not 3"),
        ("wrn10_1", {"name": "wrn16_1"}, "does not take \\['name'\\]"),
        ("timm/resnet18", {"options": {"nonsense": 3}}, "timm/resnet18 cannot be built with .*nonsense"),
        ("torchvision/resnet18", {"options": {"nonsense": 3}}, "torchvision/resnet18 cannot be built with .*nonsense"),
        ("wrn10_1", {"spectrum": {"root": "low"}}, "must be a level"),
        ("wrn10_1", {"spectrum": {"root": {"lvl": 2}}}, "must be a level"),
        ("wrn10_1", {"spectrum": {"root": {"norm": "yes"}}}, "true or false"),
    ],
)
def test_what_cannot_be_built_is_told(name, arguments, message):
    with pytest.raises((ZooError, SpectrumError), match=message):
        on_meta(name, 10, **arguments)


def test_networks_of_the_hubs_bring_their_own_input():
    assert zoo.native_pixels("torchvision/inception_v3").height == 299
    assert zoo.native_pixels("timm/convnext_atto").interpolation == "bicubic"
    assert zoo.native_pixels("harm_wrn16_2").height == 32


def test_a_deep_network_without_norms_starts_with_a_signal_where_its_init_preserves_it():
    torch.manual_seed(0)
    network = zoo.create("harm_vgg16", 10, hidden=8, init="preserving").train()
    with torch.no_grad():
        assert network.features(torch.randn(2, 3, 64, 64)).std() > 0.1
