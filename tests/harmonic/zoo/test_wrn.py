import math

import pytest
import torch
from torch import nn

from harmonic import zoo
from harmonic.errors import SpectrumError, ZooError
from harmonic.layers import BandNormConv2d, HarmonicConv2d
from tests.support.published import PROGRESSIVE, PUBLISHED


def parameters(name, classes, **arguments):
    with torch.device("meta"):
        return sum(p.numel() for p in zoo.create(name, classes, **arguments).parameters())


@pytest.mark.parametrize(("size", "classes"), PUBLISHED)
def test_parameter_counts_are_the_published_ones(size, classes):
    full, three, two, progressive = PUBLISHED[size, classes]
    assert [parameters(f"{kind}{size}", classes) for kind in ("wrn", "harm1_wrn", "harm_wrn")] == [full] * 3
    by_level = [parameters(f"harm_wrn{size}", classes, level=level) for level in (3, 2, PROGRESSIVE, None)]
    assert by_level == [three, two, progressive, full]


def test_the_stl_root_has_the_same_parameters():
    assert parameters("harm_wrn16_8", 10, root_stride=2) == PUBLISHED["16_8", 10][0]


def test_depth_and_width_may_be_any():
    assert parameters("wrn22_3", 10) < parameters("wrn34_3", 10)
    widths = [parameters(f"harm_wrn10_{width}", 10) for width in ("1", "1.5", "2")]
    assert widths == sorted(set(widths))


@pytest.mark.parametrize("name", ["wrn10_0.5", "harm_wrn10_1.5", "harm1_wrn16_1.3"])
def test_fractional_widths_answer(name):
    assert zoo.create(name, 5)(torch.randn(2, 3, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize(("name", "root", "inner"), [
    ("wrn10_1", nn.Conv2d, nn.Conv2d),
    ("harm1_wrn10_1", BandNormConv2d, nn.Conv2d),
    ("harm_wrn10_1", BandNormConv2d, HarmonicConv2d),
])  # fmt: skip
def test_each_variant_is_spectral_where_it_says(name, root, inner):
    spatial = [m for m in zoo.create(name, 10).modules() if getattr(m, "kernel_size", (1, 1)) == (3, 3)]
    assert [type(m) for m in spatial] == [root] + [inner] * 6


def test_the_root_keeps_the_full_spectrum_at_every_level():
    spectral = [m for m in zoo.create("harm_wrn10_1", 10, level=2).modules() if hasattr(m, "frequencies")]
    assert [len(m.frequencies) for m in spectral] == [9] + [3] * 6


def test_progressive_levels_go_by_group():
    spectral = [m for m in zoo.create("harm_wrn16_1", 10, level=PROGRESSIVE).modules() if hasattr(m, "frequencies")]
    assert [len(m.frequencies) for m in spectral] == [9] + [9] * 4 + [6] * 4 + [3] * 4


def test_a_level_from_json_is_a_list():
    assert parameters("harm_wrn28_10", 10, level=[None, 3, 2]) == PUBLISHED["28_10", 10][3]


@pytest.mark.parametrize(("stride", "side"), [(1, 32), (2, 96), (1, 40), (2, 50), (1, 5)])
def test_any_input_size_is_pooled_whole(stride, side):
    assert zoo.create("harm_wrn10_1", 7, root_stride=stride)(torch.randn(2, 3, side, side)).shape == (2, 7)


def test_the_shortcut_takes_the_activated_input_only_where_channels_change():
    """One block by hand, channel change and all."""
    torch.manual_seed(0)
    block = zoo.create("wrn10_1", 4).eval().groups[1][0].double()
    x = torch.randn(2, 16, 8, 8, dtype=torch.float64)
    active = torch.relu(block.norm0(x))
    inner = block.conv1(torch.relu(block.norm1(block.conv0(active))))
    torch.testing.assert_close(block(x), inner + block.shortcut(active))
    same = zoo.create("wrn10_1", 4).eval().groups[0][0].double()
    inner = same.conv1(torch.relu(same.norm1(same.conv0(torch.relu(same.norm0(x))))))
    torch.testing.assert_close(same(x), inner + x)


def test_weights_start_fan_in_and_norms_at_one():
    torch.manual_seed(0)
    model = zoo.create("harm_wrn16_8", 10, level=3)
    for module in model.modules():
        if isinstance(module, HarmonicConv2d):
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / (module.in_channels * 6)), rel=0.1)
        elif isinstance(module, BandNormConv2d):
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / (3 * 9)), rel=0.15)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()
    assert model.head.weight.std().item() == pytest.approx(math.sqrt(2 / 512), rel=0.1)


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    model, x = zoo.create("harm_wrn10_1", 3, dropout=0.5), torch.randn(2, 3, 8, 8)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


@pytest.mark.parametrize("depth", [0, 1, 4, 9, 11, 17, 27])
def test_a_depth_that_is_not_6n_plus_4_is_refused(depth):
    with pytest.raises(ZooError, match="6n"):
        zoo.create(f"wrn{depth}_1", 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
        ({"dropout": "much"}, "dropout"),
        ({"dropout": None}, "dropout"),
        ({"root_stride": 3}, "root_stride"),
        ({"root_stride": "2"}, "root_stride"),
        ({"root_stride": [1]}, "root_stride"),
        ({"level": 0}, "level"),
        ({"level": 6}, "level"),
        ({"level": "x"}, "level"),
        ({"level": "abc"}, "level"),
        ({"level": 1.5}, "level"),
        ({"level": True}, "level"),
        ({"level": {}}, "level"),
        ({"level": [None, 3]}, "3 groups"),
        ({"level": [None, 3, 7]}, "level"),
        ({"level": [None, 3, [2]]}, "level"),
        ({"pretrained": True}, "does not take"),
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments, message):
    with pytest.raises((ZooError, SpectrumError), match=message):
        zoo.create("harm_wrn10_1", 10, **arguments)


@pytest.mark.parametrize("width", ["0", "0.0", "0.01"])
def test_a_width_without_channels_is_refused(width):
    with pytest.raises(ZooError, match="no channels"):
        zoo.create(f"wrn10_{width}", 10)
