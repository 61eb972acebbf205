"""What `bundle.save` writes `bundle.load` can build: other networks are refused, and new architectures have a door."""

import pytest
import torch

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.errors import BundleError
from harmonic.layers import HarmonicConv2d
from harmonic.pixels import PixelSpec
from tests.support import pages


@pytest.fixture
def made():
    torch.manual_seed(0)
    arguments = {"level": [None, 3, 2]}
    card = bundle.Card(
        architecture="harm_wrn10_1", arguments=arguments, classes=("a", "b", "c"), pixels=PixelSpec(height=32, width=32)
    )
    return bundle.Bundle(card, zoo.create("harm_wrn10_1", 3, **arguments))


def another(network):
    network.register_buffer("one", torch.zeros(4))


def without_norm(network):
    network.root = HarmonicConv2d(3, 16, 3, padding=1, bias=False)


def in_another_bank(network):
    for layer in network.modules():
        if isinstance(layer, HarmonicConv2d):
            layer.bank_norm = "orthonormal"
    network.float().to(torch.float32)


def diverged(network):
    with torch.no_grad():
        network.head.weight[0, 0] = float("nan")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (another, "is another network.*1 left over: one.*zoo.register"),
        (without_norm, "missing: root.norm"),
        (in_another_bank, "constants that differ: groups.0.0.conv0.bank"),
        (diverged, "1 with values that are not finite: head.weight"),
    ],
)
def test_a_network_that_could_not_be_loaded_again_is_refused(made, tmp_path, change, message):
    change(made.model)
    with pytest.raises(BundleError, match=message):
        bundle.save(made, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_saving_draws_no_random_number(made, tmp_path):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    bundle.save(made, tmp_path / "bundle")
    assert torch.equal(torch.rand(3), wanted)


OUTSIDE = """
from pathlib import Path
import torch
from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.layers import HarmonicConv2d
from harmonic.pixels import PixelSpec

pixels = PixelSpec(height=4, width=4)

@zoo.register("mine{depth}", pixels=pixels, listed=("mine1",), stand_in="mine1")
def mine(depth, classes):
    layers = [HarmonicConv2d(3, 3, padding=1) for _ in range(depth)]
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(48, classes))

card = bundle.Card(architecture="mine2", classes=("a", "b"), pixels=pixels)
network = zoo.create("mine2", 2)
bundle.save(bundle.Bundle(card, network), Path("FOLDER"))
x = torch.randn(1, 3, 4, 4)
print(torch.equal(bundle.load(Path("FOLDER")).model(x), network(x)))
"""


def test_an_architecture_from_outside_is_saved_and_loaded(tmp_path):
    """In a process of its own, since a name is taken for good."""
    assert pages.run(OUTSIDE.replace("FOLDER", str(tmp_path / "new")), tmp_path) == ["True"]
    with pytest.raises(BundleError, match="no architecture 'mine2'"):
        bundle.load(tmp_path / "new")


def test_a_weight_in_two_places_is_saved_in_both(made, tmp_path):
    made.model.groups[0][0].norm1.weight = made.model.groups[0][0].norm0.weight
    bundle.save(made, tmp_path / "bundle")
    first = bundle.load(tmp_path / "bundle").model.groups[0][0]
    assert torch.equal(first.norm1.weight, first.norm0.weight)
