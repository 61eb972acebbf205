"""Laws of spectral layers, to which a new kind is held by registering; and one from outside that works everywhere."""

import copy

import pytest
import torch
from torch import nn

from export.fold import fold
from harmonic.conversion import LayerChoice, as_plain, convert, spectrum
from harmonic.errors import SpectrumError
from harmonic.graph import macs, root, trace
from harmonic.graph.backbone import features_only
from harmonic.layers import is_spectral
from harmonic.layers.protocol import (
    SpectralLayer,
    WithSpectrum,
    has_spectrum,
    is_convolution,
    spectral_kinds,
    spectral_layer,
    stand_in,
    whole_layers,
)
from tests.support import pages
from tests.support.haar import HaarConv2d, haar_net
from tests.support.laws import assert_close, randomised

every_kind = pytest.mark.parametrize("kind", spectral_kinds(), ids=lambda kind: kind.__name__)


def lively(kind):
    """A small layer of a kind, with statistics of its own, in evaluation mode and double precision."""
    torch.manual_seed(0)
    return randomised(stand_in(kind)).double().eval()


def images(layer):
    return torch.randn(2, layer.in_channels, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def network():
    torch.manual_seed(0)
    return randomised(haar_net(3)).eval()


PICTURES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_kinds_of_this_house_are_registered():
    names = {kind.__name__ for kind in spectral_kinds()}
    assert {"HarmonicConv2d", "BandNormConv2d", "HammingConv2d", "HaarConv2d"} <= names


@every_kind
def test_a_kind_has_what_the_protocol_wants(kind):
    layer = lively(kind)
    assert isinstance(layer, SpectralLayer)
    assert is_convolution(layer)
    assert images(layer).shape[1] == layer.in_channels
    assert layer(images(layer)).shape[1] == layer.out_channels


@every_kind
def test_the_plain_form_answers_the_same_and_leaves_the_layer_as_it_was(kind):
    layer = lively(kind)
    before = copy.deepcopy(layer.state_dict())
    plain = layer.as_conv2d()
    assert type(plain) is nn.Conv2d
    assert (plain.kernel_size, plain.groups) == (layer.kernel_size, layer.groups)
    assert_close(plain(images(layer)), layer(images(layer)))
    assert all(torch.equal(before[key], value) for key, value in layer.state_dict().items())


@every_kind
def test_a_spectrum_has_a_coefficient_for_every_filter(kind):
    layer = lively(kind)
    if not has_spectrum(layer):
        assert not isinstance(layer, WithSpectrum)
        return
    filters = len(layer.frequencies)
    assert layer.coefficients().shape == (layer.out_channels, layer.in_channels // layer.groups, filters)
    assert layer.bank.shape == (filters, *layer.kernel_size)
    products = layer.bank.flatten(1) @ layer.bank.flatten(1).T
    assert_close(products, torch.diag(products.diagonal()), ulps=2**30)  # a bank may be made in float32


def test_what_is_no_layer_cannot_be_registered():
    with pytest.raises(SpectrumError, match="Nothing is no spectral layer"):
        spectral_layer()(type("Nothing", (nn.Module,), {}))
    with pytest.raises(SpectrumError, match="Loose is no spectral layer"):
        spectral_layer()(type("Loose", (), {"as_conv2d": lambda self: nn.Conv2d(1, 1, 1)}))
    assert all(kind.__name__ not in ("Nothing", "Loose") for kind in spectral_kinds())


def test_a_layer_is_seen_whole():
    names = [name for name, _ in whole_layers(nn.Sequential(haar_net(3)))]
    assert [name for name in names if name.startswith("0.0")] == ["0.0"]
    assert [name for name, _ in whole_layers(HaarConv2d(3, 4))] == [""]


def test_another_kind_is_traced():
    calls = trace(network(), (3, 16, 16))
    assert [call.name for call in calls] == ["0", "3", "5", "10"]
    assert root(calls).name == "0"
    assert macs(network(), (3, 16, 16)) == 8 * 8 * 8 * 3 * 4 + 8 * 8 * 8 * 8 * 9 + 4 * 4 * 8 * 8 * 4 + 8 * 3


def test_another_kind_stands_in_a_backbone():
    made = network()
    backbone = features_only(made, size=(3, 16, 16))
    assert (backbone.channels, backbone.reductions, backbone.layers) == ((8, 8), (2, 4), ("4", "7"))
    assert sum(is_spectral(layer) for layer in backbone.modules()) == 2
    assert_close(backbone(PICTURES)[0], made[:5](PICTURES))


def test_another_kind_has_a_spectrum():
    first, plain, second = spectrum(network())
    assert (first["layer"], plain["layer"], second["layer"]) == ("0", "3", "5")
    assert (first["bank"], plain["bank"]) == ("haar", "dct")
    assert sum(first["weight"]) == pytest.approx(1)
    # The filters have equal lengths, so that shares of energy are those of squared coefficients.
    squares = network()[0].coefficients().detach().double().square().sum(dim=(0, 1))
    assert first["energy"] == pytest.approx((squares / squares.sum()).tolist())


def test_another_kind_folds_with_the_norm_behind_it():
    made = network()
    folded = fold(made)
    assert [type(folded[place]) for place in (0, 1, 5, 6)] == [nn.Conv2d, nn.Identity, nn.Conv2d, nn.Identity]
    assert_close(folded(PICTURES), made(PICTURES))
    assert_close(as_plain(made)(PICTURES), made(PICTURES))


def test_conversion_takes_no_part_of_another_kind():
    conversion = convert(network(), LayerChoice(levels={"*": 2}))
    assert [layer.name for layer in conversion.layers] == ["3"]
    assert isinstance(conversion.model[0], HaarConv2d)


def test_a_kind_that_nobody_registered_is_not_folded_in_silence():
    class Forgotten(nn.Conv2d):
        def as_conv2d(self):
            return nn.Conv2d(3, 3, 3)

    with pytest.raises(SpectrumError, match=r"layer 0, a Forgotten, .* @spectral_layer\(\)"):
        as_plain(nn.Sequential(Forgotten(3, 3, 3), nn.ReLU()))


STORY = """
from pathlib import Path
import numpy as np
import torch
from export.pipeline import Order, export
from export.predictor import version_predictor
from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.evaluation import NetworkPredictor
from tests.support import pages
from tests.support.haar import PIXELS, HaarConv2d, register_haar_net
from tests.support.laws import randomised

register_haar_net()
card = bundle.Card(architecture="haar_net", classes=("a", "b", "c"), pixels=PIXELS)
network = randomised(zoo.create("haar_net", 3)).eval()
bundle.save(bundle.Bundle(card, network), Path("FOLDER") / "bundle")
loaded = bundle.load(Path("FOLDER") / "bundle")
assert isinstance(loaded.model[0], HaarConv2d)
pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
wanted = NetworkPredictor(network, card.classes, PIXELS)(pixels)
assert np.array_equal(NetworkPredictor(loaded.model, card.classes, PIXELS)(pixels), wanted)
published = export(Order(loaded, Path("FOLDER"), "haar", max_batch=4))
np.testing.assert_allclose(version_predictor(str(published.folder))(pixels), wanted, atol=1e-5)
print('"haar"' in (published.folder / "spectrum.json").read_text())
"""


def test_another_kind_is_bundled_and_exported(tmp_path):
    """In a process of its own, since the name of an architecture is taken for good."""
    assert pages.run(STORY.replace("FOLDER", str(tmp_path)), tmp_path) == ["True"]
