"""Windowed convolutions and the ResNets made of them."""

import math

import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from export.emit import emit
from export.fold import fold
from harmonic import zoo
from harmonic.errors import SpectrumError, ZooError
from harmonic.layers.hamming import FactorisedConv2d, HammingConv2d, hamming_window
from harmonic.zoo.wrn import CIFAR10

ONE_DIMENSIONAL = {
    1: [1],
    3: [0.08, 1, 0.08],
    5: [0.08, 0.54, 1, 0.54, 0.08],
    7: [0.08, 0.31, 0.77, 1, 0.77, 0.31, 0.08],
    9: [0.08, 0.2147, 0.54, 0.8653, 1, 0.8653, 0.54, 0.2147, 0.08],
}


@pytest.mark.parametrize("taps", ONE_DIMENSIONAL)
def test_the_window_has_the_textbook_values_and_is_symmetric(taps):
    row = hamming_window((1, taps), power=1)[0]

    assert row.tolist() == pytest.approx(ONE_DIMENSIONAL[taps], abs=5e-5)
    assert torch.equal(row, row.flip(0))
    assert row[taps // 2] == 1


@pytest.mark.parametrize(("power", "corner", "edge"), [(0.5, 0.08, math.sqrt(0.08)), (1.0, 0.0064, 0.08)])
def test_the_square_window_is_a_power_of_the_outer_product(power, corner, edge):
    window = hamming_window(7, power)

    assert [window[0, 0].item(), window[0, 3].item(), window[3, 3].item()] == pytest.approx([corner, edge, 1])
    assert torch.allclose(window, hamming_window((7, 1), power) * hamming_window((1, 7), power))


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 2.5}, {"size": 7, "power": 0}, {"size": 7, "power": math.inf}])
def test_an_impossible_window_is_refused(wrong):
    with pytest.raises(SpectrumError):
        hamming_window(**wrong)


@pytest.mark.parametrize(
    "arguments",
    [
        {"padding": 3},
        {"kernel_size": 3, "stride": 2, "padding": 1, "groups": 2},
        {"kernel_size": (1, 9), "padding": (0, 4), "bias": False},
        {"kernel_size": 5, "dilation": 2, "padding": "same", "window_power": 1.0},
    ],
)
def test_folding_the_window_changes_no_bit(arguments):
    layer, x = HammingConv2d(4, 6, **arguments), torch.randn(2, 4, 13, 11)

    plain = layer.as_conv2d()

    assert type(plain) is nn.Conv2d
    assert torch.equal(plain(x), layer(x))
    assert torch.equal(plain.weight, layer.weight * layer.window)


def test_groups_and_bias_are_what_they_say():
    layer = HammingConv2d(4, 6, 3, groups=2, bias=False)

    assert layer.weight.shape == (6, 2, 3, 3)
    assert layer.bias is None
    with pytest.raises(SpectrumError, match="groups=3"):
        HammingConv2d(4, 6, 3, groups=3)


def test_the_window_scales_gradients_and_stays_out_of_the_state():
    layer, x = HammingConv2d(1, 1, 3, bias=False), torch.ones(1, 1, 3, 3)

    layer(x).sum().backward()

    assert torch.allclose(layer.weight.grad[0, 0], layer.window)
    assert list(layer.state_dict()) == ["weight"]


def test_a_state_that_stores_its_window_is_accepted():
    layer = HammingConv2d(2, 2, 3)
    state = {**layer.state_dict(), "hamming2d": torch.zeros(3, 3)}

    layer.load_state_dict(state, strict=True)

    assert layer.window[1, 1] == 1


@pytest.mark.parametrize("conv", [nn.Conv2d, HammingConv2d])
@pytest.mark.parametrize("size", [(9, 7), (8, 11)])
def test_a_factorised_pair_has_the_square_kernels_output_size(conv, size):
    x = torch.randn(2, 4, *size)

    factorised = FactorisedConv2d(4, 6, 7, stride=2, padding=3, groups=2, conv=conv)

    assert factorised(x).shape == nn.Conv2d(4, 6, 7, stride=2, padding=3)(x).shape
    assert set(factorised.state_dict()) == {"conv1.weight", "conv2.weight", "conv2.bias"}


def test_a_factorised_pair_is_one_square_windowed_kernel_of_rank_one():
    pair, x = FactorisedConv2d(1, 1, 5, padding=2, bias=False), torch.randn(1, 1, 9, 9)
    weight = pair.conv1.weight * pair.conv2.weight

    whole = F.conv2d(x, weight * hamming_window(5), padding=2)

    assert torch.allclose(pair(x), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({"kernel": 3, "window": False}, 11_173_962),
        ({"kernel": 3, "window": False, "factorised": True}, 8_039_370),
        ({"kernel": 7}, 60_005_962),
        ({"kernel": 7, "width": 0.4375}, 11_491_462),
        ({"kernel": 7, "width": 0.4375, "window": False}, 11_491_462),
        ({"kernel": 7, "factorised": True, "width": 0.78125}, 11_300_060),
        ({"kernel": 7, "factorised": True}, 18_509_514),
        ({"kernel": 5}, 30_706_762),
    ],
)
def test_the_networks_have_the_published_parameter_counts(arguments, parameters):
    with torch.device("meta"):
        network = zoo.create("hamming_resnet18", 10, **arguments)

    assert sum(p.numel() for p in network.parameters()) == parameters


def test_windowed_and_plain_networks_start_from_the_same_weights():
    states = []
    for window in (False, True):
        torch.manual_seed(7)
        states.append(zoo.create("hamming_resnet18", 10, kernel=7, width=0.0625, window=window).state_dict())

    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("window", [False, True])
def test_every_variant_draws_from_the_same_distribution(window):
    torch.manual_seed(0)
    network = zoo.create("hamming_resnet18", 10, kernel=7, width=0.4375, window=window)

    weight = network.layer3[1].conv1.weight

    assert weight.std().item() == pytest.approx(math.sqrt(2 / (112 * 49)), rel=0.01)


def test_every_kernel_keeps_the_image_size():
    for kernel in (3, 5, 7, 9):
        network = zoo.create("hamming_resnet18", 10, kernel=kernel, width=0.0625)
        assert network.conv1(torch.zeros(1, 3, 32, 32)).shape[2:] == (32, 32)


@pytest.mark.parametrize("wrong", [{"kernel": 4}, {"kernel": 11}, {"width": 0}, {"width": math.nan}])
def test_an_impossible_network_is_refused(wrong):
    with pytest.raises(ZooError):
        zoo.create("hamming_resnet18", 10, **wrong)


def test_the_exported_graph_multiplies_no_window(tmp_path):
    network = zoo.create("hamming_resnet18", 3, kernel=7, width=0.0625).eval()

    emit(fold(network), CIFAR10, tmp_path / "model.onnx")

    graph = onnx.load(tmp_path / "model.onnx").graph
    stored = {tensor.name for tensor in graph.initializer}
    kernels = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    assert len(kernels) == 20
    assert stored.issuperset(kernels)  # a window still to be applied would be a Mul between the two
