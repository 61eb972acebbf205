"""Banks other than the DCT: orthogonal, folding exactly, and taken through conversion, bundles and levels alike."""

import math
from itertools import product

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

from export.fold import fold
from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.bundles.adopt import converted
from harmonic.conversion import LayerChoice, LayerPlan, apply, convert, harmonise
from harmonic.errors import SpectrumError, ZooError
from harmonic.layers import BandNormConv2d, HarmonicConv2d
from harmonic.layers.banks import dct_bank, filter_bank, frequencies, waves
from tests.support.laws import (
    assert_close,
    assert_same_function,
    family,
    images,
    randomised,
    small_pixels,
    stand_in_names,
)

EPSILON = torch.finfo(torch.float32).eps
BANKS = [*product(["dct", "gaussian"], [1, 2, 3, 5, 7, (3, 5), 11]), *product(["hadamard"], [1, 2, 4, 8, (2, 4), 16])]
HARMONIC = [name for name in stand_in_names() if name.startswith(("harm", "stl10_harm"))]


@pytest.mark.parametrize(("kind", "size"), BANKS)
@pytest.mark.parametrize("norm", ["l1", "orthonormal"])
def test_every_bank_is_orthogonal_and_normalised(kind, size, norm):
    bank = filter_bank(kind, size, norm=norm).double()
    gram = bank.flatten(1) @ bank.flatten(1).T
    assert (gram - gram.diag().diag()).abs().max() <= 4 * EPSILON
    lengths = bank.abs().sum(dim=(1, 2)) if norm == "l1" else gram.diag().sqrt()
    torch.testing.assert_close(lengths, torch.ones_like(lengths), rtol=0, atol=8 * EPSILON)


@pytest.mark.parametrize(("kind", "taps"), [(kind, size) for kind, size in BANKS if isinstance(size, int)])
def test_wave_u_changes_sign_u_times(kind, taps):
    signs = [np.sign(wave[np.abs(wave) > 1e-9]) for wave in waves(kind, taps)]
    assert [int((np.diff(sign) != 0).sum()) for sign in signs] == list(range(taps))


@pytest.mark.parametrize("taps", [2, 4, 8, 32])
def test_hadamard_waves_are_plus_and_minus_one(taps):
    assert np.abs(waves("hadamard", taps)).tolist() == np.ones((taps, taps)).tolist()


@pytest.mark.parametrize("taps", [3, 5, 7])
def test_gaussian_filters_span_what_the_derivatives_span_at_every_level(taps):
    """The derivatives by differences of the Gaussian itself, on a fine step: an oracle without a polynomial."""
    sigma, step = taps / 4, 0.05
    x = np.arange(taps) - (taps - 1) / 2

    def derivative(order):
        shifts = [(k - order / 2) * step for k in range(order + 1)]
        weights = [(-1) ** (order - k) * math.comb(order, k) for k in range(order + 1)]
        return sum(w * np.exp(-((x + s) ** 2) / (2 * sigma**2)) for w, s in zip(weights, shifts, strict=True))

    lines = [derivative(order) / np.abs(derivative(order)).max() for order in range(min(taps, 4))]
    for level in range(1, len(lines) + 1):
        wanted = np.stack([np.outer(lines[u], lines[v]).ravel() for u, v in frequencies(taps, level)])
        bank = filter_bank("gaussian", taps, level).double().flatten(1).numpy()
        fitted = np.linalg.lstsq(bank.T, wanted.T, rcond=None)[0]
        assert np.abs(bank.T @ fitted - wanted.T).max() < 2e-3  # second-order error of the differences


@pytest.mark.parametrize("taps", [3, 5, 7, (4, 3)])
def test_hadamard_filters_of_other_sides_are_refused(taps):
    with pytest.raises(SpectrumError, match="1, 2, 4, 8"):
        filter_bank("hadamard", taps)


@pytest.mark.parametrize("kind", ["haar", "", None, 3])
def test_an_unknown_bank_is_refused_with_the_known_ones(kind):
    with pytest.raises(SpectrumError, match="dct, hadamard, gaussian"):
        filter_bank(kind, 3)


def test_the_dct_bank_is_the_bank_called_dct():
    assert torch.equal(dct_bank((3, 7), 4, dc=False), filter_bank("dct", (3, 7), 4, dc=False))


@pytest.mark.parametrize("kind", [HarmonicConv2d, BandNormConv2d])
@pytest.mark.parametrize(
    "geometry",
    [
        {"bank": "gaussian", "kernel_size": 3, "padding": 1, "level": 3},
        {"bank": "gaussian", "kernel_size": (5, 3), "padding": "same", "padding_mode": "reflect", "groups": 2},
        {"bank": "hadamard", "kernel_size": 4, "stride": 4, "level": 4},
        {"bank": "hadamard", "kernel_size": (2, 8), "padding": 1, "dc": False, "bias": False},
    ],
)
def test_layers_fold_exactly_borders_included(kind, geometry):
    torch.manual_seed(0)
    layer = randomised(kind(4, 6, **geometry)).double().eval()
    assert_same_function(layer, layer.as_conv2d(), torch.randn(2, 4, 17, 19).double())
    assert geometry["bank"] in repr(layer)


@pytest.mark.parametrize("name", HARMONIC)
def test_every_harmonic_network_takes_another_bank_and_folds(name, tmp_path):
    architecture, arguments = family(name).stand_in
    torch.manual_seed(0)
    plain_bank = zoo.create(architecture, 3, **arguments)
    torch.manual_seed(0)
    model = randomised(zoo.create(architecture, 3, bank="gaussian", **arguments)).eval()
    assert all(torch.equal(p, model.get_parameter(n)) for n, p in plain_bank.named_parameters() if p.ndim >= 4)
    x = images(2, name)
    with torch.no_grad():
        assert not torch.allclose(model(x), randomised(plain_bank).eval()(x))
    assert_same_function(model, fold(model), x)
    card = bundle.Card(
        architecture=architecture,
        arguments={**arguments, "bank": "gaussian"},
        classes=("a", "b", "c"),
        pixels=small_pixels(name),
    )
    bundle.save(bundle.Bundle(card, model), tmp_path / "bundle")
    with torch.no_grad():
        assert torch.equal(bundle.load(tmp_path / "bundle").model(x), model(x))


def test_a_bank_that_does_not_fit_the_network_is_refused():
    with pytest.raises(SpectrumError, match="1, 2, 4, 8"):
        zoo.create("harm_wrn10_1", 3, bank="hadamard")
    with pytest.raises(ZooError, match="no harmonic layer of its own"):
        zoo.create("wrn10_1", 3, bank="gaussian")


def test_the_full_band_keeps_answers_in_every_bank():
    torch.manual_seed(0)
    model = randomised(torchvision.models.resnet18(num_classes=3)).double().eval()
    other = harmonise(model, bank="gaussian", norm_root=True)
    assert {m.bank_kind for m in other.modules() if isinstance(m, HarmonicConv2d | BandNormConv2d)} == {"gaussian"}
    assert_same_function(model, other, torch.randn(1, 3, 64, 64).double())


def test_layers_without_such_a_bank_stay_and_are_told():
    torch.manual_seed(0)
    model = timm.create_model("convnext_atto", num_classes=3).double().eval()
    conversion = convert(model, LayerChoice(bank="hadamard"))
    sides = {tuple(layer.kernel_size) for layer in conversion.layers}
    assert sides == {(4, 4), (2, 2)}
    assert all("1, 2, 4, 8" in reason for reason in conversion.skipped.values())
    assert len(conversion.skipped) == 12  # the depth-wise 7 x 7 of every block
    assert_same_function(model, conversion.model, torch.randn(1, 3, 64, 64).double())


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"bank": "hadamard"}, "1, 2, 4, 8"),
        ({"bank": "haar"}, "dct, hadamard, gaussian"),
        ({"bank": "hadamard", "select": ["0"]}, "can become harmonic is called '0'"),
    ],
)
def test_a_conversion_that_no_layer_takes_is_refused(choices, message):
    with pytest.raises(SpectrumError, match=message):
        harmonise(nn.Sequential(nn.Conv2d(3, 4, 3)), size=(3, 8, 8), **choices)


@pytest.mark.parametrize(("bank", "side"), [("gaussian", 5), ("hadamard", 4)])
def test_fewer_filters_are_the_least_squares_fit(bank, side):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, side, bias=False).double()
    small = harmonise(nn.Sequential(conv), levels={"*": 3}, bank=bank)[0]
    filters = filter_bank(bank, side, 3).double().flatten(1)
    wanted = np.linalg.lstsq(filters.T.numpy(), conv.weight.detach().flatten(2).flatten(0, 1).T.numpy(), rcond=None)[0]
    assert_close(small.coefficients().flatten(0, 1).T.detach(), torch.from_numpy(wanted))


def test_a_level_keeps_the_bank_and_another_bank_keeps_the_answers():
    torch.manual_seed(0)
    model = harmonise(nn.Sequential(nn.Conv2d(3, 4, 5)).double().eval(), bank="gaussian")
    truncated = apply(harmonise(model, bank="gaussian"), {"0": LayerPlan(3)})
    assert (truncated[0].bank_kind, truncated[0].level) == ("gaussian", 3)
    back = harmonise(model, bank="dct")
    assert back[0].bank_kind == "dct"
    assert_same_function(model, back, torch.randn(2, 3, 9, 9).double())


def test_a_converted_bundle_keeps_its_bank(tmp_path):
    torch.manual_seed(0)
    network = zoo.create("cifar_resnet20", 3).eval()
    card = bundle.Card(
        architecture="cifar_resnet20", classes=("a", "b", "c"), pixels=zoo.native_pixels("cifar_resnet20")
    )
    made, _ = converted(bundle.Bundle(card, network), LayerChoice(bank="gaussian", levels=(None, 3, 2)))
    bundle.save(made, tmp_path / "made")
    loaded = bundle.load(tmp_path / "made")
    assert loaded.card.arguments["spectrum"]["conv1"] == {
        "level": None,
        "norm": False,
        "bias": False,
        "bank": "gaussian",
    }
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded.model(x), made.model(x))
    again, _ = converted(loaded, LayerChoice(levels=2))
    assert {m.bank_kind for m in again.model.modules() if isinstance(m, HarmonicConv2d)} == {"gaussian"}
    bundle.save(again, tmp_path / "again")
    with torch.no_grad():
        assert torch.equal(bundle.load(tmp_path / "again").model(x), again.model(x))
