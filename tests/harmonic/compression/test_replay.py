"""A pass that is run again from a layer on gives what the changed network gives, and leaves the network as it was."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from harmonic.compression.candidates import truncated_weights
from harmonic.compression.norms import outer_norms
from harmonic.compression.replay import Replay
from harmonic.compression.sensitivity import fully_harmonic, with_cuts
from harmonic.compression.way import Way
from harmonic.conversion import harmonic_layers
from tests.support.compression import InPlace, calibration_images, network


@pytest.fixture
def batch():
    return calibration_images().batches(torch.device("cpu"))[0]


def replayed(model, batch):
    way = Way.of(model, batch[:1], harmonic_layers(model).values(), outer_norms(model).values())
    return Replay(model, batch, way)


def log_probabilities(model, batch):
    with torch.no_grad():
        return F.log_softmax(model(batch).double(), dim=1)


@pytest.mark.parametrize(
    "name", ["cifar_resnet8", "harm_wrn10_1", "torchvision/squeezenet1_1", "timm/test_efficientnet"]
)
def test_a_truncated_layer_answers_as_a_truncated_network(name, batch):
    model = fully_harmonic(network(name))
    batch = F.interpolate(batch, 32)
    before = copy.deepcopy(model.state_dict())
    replay = replayed(model, batch)
    for layer in list(harmonic_layers(model))[::3]:
        weights = truncated_weights(model.get_submodule(layer), 2)
        expected = log_probabilities(with_cuts(model, {layer: 2}), batch)
        assert torch.allclose(
            replay.with_weights(model.get_submodule(layer), weights, move_norms=False), expected, atol=1e-5
        )
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.allclose(log_probabilities(model, batch), replay.answers)


def test_norms_that_move_bring_the_means_back(batch):
    model = fully_harmonic(network())
    replay = replayed(model, batch)
    layer = harmonic_layers(model)["layer1.0.conv1"]
    shifted = layer.weight + 0.5, None
    far, near = (
        F.kl_div(replay.with_weights(layer, shifted, move), replay.answers, reduction="batchmean", log_target=True)
        for move in (False, True)
    )
    assert near < far
    assert torch.allclose(log_probabilities(model, batch), replay.answers)


def test_a_layer_that_runs_twice_runs_twice(batch):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.head = nn.Linear(3, 3)

        def forward(self, x):
            return self.head(self.conv(self.conv(x).relu_()).mean((2, 3)))

    torch.manual_seed(0)
    model = fully_harmonic(Twice())
    weights = truncated_weights(model.conv, 2)
    expected = log_probabilities(with_cuts(model, {"conv": 2}), batch)
    assert torch.allclose(
        replayed(model, batch).with_weights(model.conv, weights, move_norms=True), expected, atol=1e-5
    )


def test_what_is_written_into_is_remembered_as_it_was(batch):
    torch.manual_seed(0)
    model = fully_harmonic(InPlace())
    weights, replay = truncated_weights(model.conv, 2), replayed(model, batch)
    expected = log_probabilities(with_cuts(model, {"conv": 2}), batch)
    for _ in range(2):
        assert torch.allclose(replay.with_weights(model.conv, weights, move_norms=True), expected, atol=1e-5)
