"""What has run before a layer is known, with all that makes it unfit to stand for itself."""

import pytest
import torch
from torch import nn

from harmonic.compression.norms import outer_norms
from harmonic.compression.sensitivity import fully_harmonic
from harmonic.compression.way import Way
from harmonic.conversion import harmonic_layers
from tests.support.compression import InPlace, network


def way_of(model, side=16):
    return Way.of(model, torch.randn(1, 3, side, side), harmonic_layers(model).values(), outer_norms(model).values())


@pytest.fixture(scope="module")
def resnet():
    return fully_harmonic(network())


def test_before_a_layer_come_the_largest_parts_that_are_done(resnet):
    done = way_of(resnet).before[resnet.get_submodule("layer2.0.conv2")]
    names = {module: name for name, module in resnet.named_modules()}
    assert [names[module] for module in done][-3:] == ["layer1", "layer2.0.conv1", "layer2.0.bn1"]


def test_norms_move_only_behind_a_layer(resnet):
    behind = way_of(resnet).behind[resnet.get_submodule("layer3.0.conv1")]
    names = {module: name for name, module in resnet.named_modules()}
    assert {names[norm] for norm in behind} >= {"layer3.0.bn1", "layer3.0.bn2"}
    assert not any(names[norm].startswith(("bn1", "layer1", "layer2")) for norm in behind)


def test_what_writes_into_its_input_runs_again_and_its_input_is_copied():
    torch.manual_seed(0)
    model = fully_harmonic(InPlace())
    way = way_of(model)
    assert way.before[model.conv] == [model.stem]
    assert way.written == {model.stem}


def test_a_part_that_runs_twice_is_none_that_is_done():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.conv = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.conv(self.stem(self.stem(x))).mean((2, 3))

    model = fully_harmonic(Twice())
    assert way_of(model).before[model.conv] == []
