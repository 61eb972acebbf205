"""Levels that lose least within a budget: what is missed least goes first, and the budget holds."""

import pytest
import torch

from harmonic.compression.levels import Budget, levels_for, parse_budget
from harmonic.compression.sensitivity import fully_harmonic, losses, with_levels
from harmonic.conversion import harmonic_layers
from harmonic.errors import CompressionError
from harmonic.graph import parameters
from tests.support.compression import calibration_images, network


@pytest.fixture
def bench():
    return calibration_images()


def test_frequencies_that_a_layer_does_not_use_go_first(bench):
    model = fully_harmonic(network())
    idle = "layer3.0.conv2"
    with torch.no_grad():
        model.get_submodule(idle).weight[:, :, 1:] = 0
    measured = losses(model, bench)
    assert all(loss.divergence < 1e-9 for loss in measured if loss.layer == idle)
    levels = levels_for(model, measured, parameters(model) - 64 * 64 * 8 + 200)
    assert levels[idle] == 1
    assert all(level is None for name, level in levels.items() if name != idle)


def test_a_budget_that_no_levels_meet_is_told_with_the_least_possible(bench):
    model = fully_harmonic(network())
    least = parameters(with_levels(model, dict.fromkeys(harmonic_layers(model), 1)))
    with pytest.raises(CompressionError, match=f"the least is {least:,}"):
        levels_for(model, losses(model, bench), 100)


@pytest.mark.parametrize(("text", "kind", "value"), [("params=0.6", "params", 0.6), ("accuracy=-1", "accuracy", -1.0)])
def test_budgets_are_read(text, kind, value):
    assert parse_budget(text) == Budget(kind, value)


@pytest.mark.parametrize(
    "text", ["", "params", "params=0", "params=1.5", "accuracy=1", "size=3", "params=nan", "params=x"]
)
def test_other_budgets_are_refused(text):
    with pytest.raises(CompressionError, match="a budget is"):
        parse_budget(text)
