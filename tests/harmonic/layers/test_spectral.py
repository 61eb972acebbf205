import copy
import inspect
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from harmonic.errors import SpectrumError
from harmonic.layers.banks import dct_bank, frequencies
from harmonic.layers.spectral import BandNormConv2d, HarmonicConv2d, synthesise
from tests.support.laws import assert_close, randomised

GEOMETRIES = [
    {"in_channels": 3, "out_channels": 64, "kernel_size": 7, "stride": 4, "padding": 3, "bias": False},
    {"in_channels": 3, "out_channels": 64, "kernel_size": 7, "stride": 2, "padding": 3, "bias": False},
    {"in_channels": 3, "out_channels": 16, "padding": 1, "bias": False},
    {"in_channels": 8, "out_channels": 8, "padding": 1, "stride": 2, "level": 2},
    {"in_channels": 8, "out_channels": 12, "padding": 2, "dilation": 2, "level": 3, "groups": 2},
    {"in_channels": 6, "out_channels": 9, "padding": 1, "level": 4, "groups": 3},
    {"in_channels": 6, "out_channels": 6, "padding": 1, "groups": 6, "dc": False},
    {"in_channels": 4, "out_channels": 5, "kernel_size": (1, 5), "padding": (0, 2), "stride": (2, 1)},
    {"in_channels": 4, "out_channels": 5, "padding": "same", "dilation": 2, "level": 3},
    {"in_channels": 4, "out_channels": 5, "padding": "valid"},
    {"in_channels": 4, "out_channels": 5, "kernel_size": 5, "padding": 2, "padding_mode": "reflect", "level": 4},
    {"in_channels": 4, "out_channels": 5, "padding": (1, 2), "padding_mode": "circular", "stride": 2},
    {"in_channels": 4, "out_channels": 5, "padding": "same", "padding_mode": "replicate", "kernel_size": (3, 4)},
    {"in_channels": 64, "out_channels": 64, "padding": 1},
]
LAYERS = [HarmonicConv2d, BandNormConv2d]


def layer(kind, dtype=torch.float32, **geometry):
    torch.manual_seed(0)
    made = randomised(kind(**geometry)).eval().to(dtype)
    if made.bias is not None:
        nn.init.normal_(made.bias)
    return made


def batch(made, dtype=torch.float32, count=2, side=13):
    draw = torch.Generator().manual_seed(1)
    return torch.randn((count, made.in_channels, side, side + 2), generator=draw).to(dtype)


def loop_kernel(made):
    """The kernel by the formula, one number at a time, in float64."""
    rows, columns = made.kernel_size
    kernel = np.zeros((made.out_channels, made.in_channels // made.groups, rows, columns))
    coefficients = made.coefficients().detach().double().numpy()
    for f, (u, v) in enumerate(frequencies(made.kernel_size, made.level, made.dc)):
        wave = np.array(
            [
                [
                    math.cos(math.pi * (x + 0.5) * u / rows) * math.cos(math.pi * (y + 0.5) * v / columns)
                    for y in range(columns)
                ]
                for x in range(rows)
            ]
        )
        kernel += coefficients[:, :, f, None, None] * wave / np.abs(wave).sum()
    return torch.from_numpy(kernel)


def test_kernels_are_weighted_sums_of_filters():
    coefficients = torch.randn(4, 3, 6)
    wanted = (coefficients[..., None, None] * dct_bank(3, 3)).sum(dim=2)
    assert_close(synthesise(coefficients, dct_bank(3, 3)), wanted)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_harmonic_layer_is_a_convolution_with_the_kernel_of_the_formula(geometry):
    made = layer(HarmonicConv2d, **geometry)
    plain_arguments = {name: value for name, value in geometry.items() if name not in ("level", "dc")}
    plain = nn.Conv2d(**{"kernel_size": 3, **plain_arguments}).double().requires_grad_(False)
    plain.weight.copy_(loop_kernel(made))
    if plain.bias is not None:
        plain.bias.copy_(made.bias)
    assert_close(made(batch(made)), plain(batch(made, torch.float64)))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_band_norm_layer_is_bank_then_norm_then_pointwise(geometry):
    """Band by band, each an ordinary one-channel convolution."""
    made = layer(BandNormConv2d, torch.float64, **geometry)
    x, bank = batch(made, torch.float64), dct_bank(made.kernel_size, made.level, made.dc).double()
    bands = []
    for n in range(made.in_channels):
        for psi in bank:
            one = nn.Conv2d(
                1, 1, made.kernel_size, made.stride, made.padding, made.dilation, 1, False, made.padding_mode
            ).double()
            one.weight.data = psi[None, None]
            bands.append(one(x[:, n : n + 1]))
    stacked = torch.cat(bands, dim=1)
    mean, var = made.norm.running_mean[:, None, None], made.norm.running_var[:, None, None]
    wanted = F.conv2d((stacked - mean) / (var + 1e-5).sqrt(), made.weight, made.bias, groups=made.groups)
    assert_close(made(x), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("kind", LAYERS)
def test_the_plain_form_gives_the_same_answers_borders_included(kind, geometry, dtype):
    made = layer(kind, dtype, **geometry)
    x = batch(made, dtype)
    found, wanted = made.as_conv2d()(x), made(x)
    assert_close(found, wanted)
    assert_close(found[..., :1, :], wanted[..., :1, :])
    assert_close(found[..., -1:], wanted[..., -1:])


@pytest.mark.parametrize("kind", LAYERS)
def test_the_plain_form_is_a_new_module_and_leaves_the_layer_alone(kind):
    made = layer(kind, in_channels=3, out_channels=4)
    before = copy.deepcopy(made.state_dict())
    plain = made.as_conv2d()
    assert type(plain) is nn.Conv2d
    nn.init.zeros_(plain.weight)
    nn.init.zeros_(plain.bias)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_a_band_norm_gives_a_bias_even_to_a_layer_without_one():
    made = layer(BandNormConv2d, in_channels=3, out_channels=4, bias=False)
    plain = made.as_conv2d()
    shift = made.weight[:, :, 0, 0] @ (made.norm.running_mean / (made.norm.running_var + 1e-5).sqrt())
    assert_close(plain.bias.detach(), -shift.detach())


def test_a_band_norm_in_training_has_no_plain_form():
    with pytest.raises(SpectrumError, match=r"eval\(\)"):
        BandNormConv2d(3, 4).train().as_conv2d()


def test_a_harmonic_layer_in_training_has_a_plain_form_in_training():
    made = HarmonicConv2d(3, 4).train()
    assert made.as_conv2d().training
    assert_close(made.as_conv2d()(batch(made)), made(batch(made)))


@pytest.mark.parametrize("level", [None, 1, 2, 3, 4])
def test_least_squares_gives_the_weights_back(level):
    made = layer(HarmonicConv2d, in_channels=5, out_channels=7, level=level)
    kernel = made.as_conv2d().weight.detach().double().flatten(0, 1).flatten(1).numpy()
    bank = dct_bank(3, level).double().flatten(1).numpy()
    found = np.linalg.lstsq(bank.T, kernel.T, rcond=None)[0].T
    np.testing.assert_allclose(found.ravel(), made.weight.detach().flatten(), atol=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_state_has_the_published_names_and_shapes_and_no_bank(kind):
    made = kind(6, 8, 3, level=3, groups=2)
    shapes = {name: tuple(value.shape) for name, value in made.state_dict().items()}
    if kind is HarmonicConv2d:
        assert shapes == {"weight": (8, 3, 6, 1, 1), "bias": (8,)}
    else:
        assert shapes == {
            "weight": (8, 18, 1, 1),
            "bias": (8,),
            "norm.running_mean": (36,),
            "norm.running_var": (36,),
            "norm.num_batches_tracked": (),
        }
    assert [name for name, _ in made.named_parameters()] == ["weight", "bias"]
    assert dict(made.named_buffers())["bank"].shape == (6, 3, 3)


def test_both_layers_order_their_weights_alike():
    """weight4[o, n * nf + f] = weight5[o, n, f]: a norm that does nothing makes the two layers one."""
    merged, banded = (layer(kind, torch.float64, in_channels=6, out_channels=4, groups=2) for kind in LAYERS)
    banded.norm.running_mean.zero_()
    banded.norm.running_var.fill_(1 - banded.norm.eps)
    with torch.no_grad():
        banded.weight.copy_(merged.weight.reshape(banded.weight.shape))
        banded.bias.copy_(merged.bias)
    assert_close(banded(batch(merged, torch.float64)), merged(batch(merged, torch.float64)))


@pytest.mark.parametrize("kind", LAYERS)
def test_a_step_of_training_reaches_every_parameter(kind):
    made = kind(3, 4, padding=1).train()
    made(batch(made)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in made.parameters())


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_live_on_the_meta_device(kind):
    with torch.device("meta"):
        made = kind(512, 512)
        assert made(torch.empty(1, 512, 8, 8)).shape == (1, 512, 6, 6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", LAYERS)
def test_dtype_moves_take_the_bank_along(kind, dtype):
    made = layer(kind, dtype, in_channels=3, out_channels=4)
    assert made.bank.dtype == dtype
    assert made.as_conv2d().weight.dtype == dtype
    wanted = layer(kind, torch.float64, in_channels=3, out_channels=4)
    assert_close(made(batch(made, dtype)), wanted(batch(made, torch.float64)))


def test_a_layer_says_what_matters():
    made = HarmonicConv2d(16, 32, 3, level=2, stride=2, groups=4)
    assert repr(made) == "HarmonicConv2d(16 -> 32, k=3, level=2, 3/9 filters, stride=2, groups=4)"
    assert repr(HarmonicConv2d(3, 4, (3, 5))) == "HarmonicConv2d(3 -> 4, k=3x5, 15/15 filters)"


@pytest.mark.parametrize("norm", ["l1", "orthonormal"])
@pytest.mark.parametrize("kind", LAYERS)
def test_the_plain_form_follows_the_norm_of_the_filters(kind, norm):
    made = layer(kind, in_channels=3, out_channels=4, norm=norm)
    assert torch.equal(made.bank, dct_bank(3, norm=norm))
    assert_close(made.as_conv2d()(batch(made)), made(batch(made)))


@pytest.mark.parametrize("kind", LAYERS)
def test_help_names_every_argument(kind):
    named = inspect.signature(kind).parameters
    assert {"in_channels", "kernel_size", "stride", "padding_mode", "level", "bank", "norm", "init"} <= named.keys()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 0}, "level must be"),
        ({"level": 6}, "1 to 5"),
        ({"level": "x"}, "level must be"),
        ({"level": (None, 3, 2)}, "level must be"),
        ({"level": 1, "dc": False}, "empty bank"),
        ({"kernel_size": 0}, "filter's size"),
        ({"kernel_size": (3, 3, 3)}, "filter's size"),
        ({"kernel_size": 2.5}, "filter's size"),
        ({"groups": 2}, "groups=2 must divide in_channels=3"),
        ({"groups": 0}, "groups"),
        ({"groups": 1.5}, "groups"),
        ({"in_channels": 0}, "in_channels"),
        ({"in_channels": -3}, "in_channels"),
        ({"out_channels": 0}, "out_channels"),
        ({"out_channels": 4.0}, "out_channels"),
        ({"init": "xavier"}, "init must be"),
        ({"norm": "l2"}, "norm must be"),
        ({"stride": 0}, "stride"),
        ({"stride": 2, "padding": "same"}, "strided"),
        ({"padding": "round"}, "padding"),
        ({"padding": -1}, "padding"),
        ({"dilation": 0}, "dilation"),
        ({"padding_mode": "mirror"}, "padding_mode"),
    ],
)
def test_a_layer_that_cannot_exist_is_refused(kind, arguments, message):
    with pytest.raises(SpectrumError, match=message):
        kind(**{"in_channels": 3, "out_channels": 4, **arguments})
