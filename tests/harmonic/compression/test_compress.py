"""Levels are chosen by what they cost on images: the budget holds, and what is missed least goes first."""

import itertools
import json

import numpy as np
import pytest
import torch
from torch import nn

from harmonic import zoo
from harmonic.bundles import Bundle, Card, bundle
from harmonic.compression.compress import (
    Bench,
    Budget,
    compress_bundle,
    fully_harmonic,
    harmonic_layers,
    levels_for,
    losses,
    parse_budget,
    with_levels,
)
from harmonic.compression.knapsack import Option, cheapest_within
from harmonic.errors import CompressionError
from harmonic.graph import parameters
from harmonic.pixels import PixelSpec

SPEC = PixelSpec(height=16, width=16)
CLASSES = ("a", "b", "c")


def network(name: str = "cifar_resnet8", **arguments) -> nn.Module:
    torch.manual_seed(0)
    model = zoo.create(name, 3, **arguments)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    return model.eval()


@pytest.fixture
def bench():
    rng = np.random.default_rng(0)
    return Bench(rng.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8), SPEC, rng.integers(0, 3, 24))


def test_the_knapsack_finds_what_trying_everything_finds():
    rng = np.random.default_rng(3)
    items = {
        f"item{i}": [Option(int(w), float(c)) for w, c in zip(rng.integers(1, 50, 4), rng.random(4), strict=True)]
        for i in range(5)
    }
    for budget in (60, 90, 140, 240):
        choices = itertools.product(*(range(4) for _ in items))
        valid = [c for c in choices if sum(o[i].weight for o, i in zip(items.values(), c, strict=True)) <= budget]
        best = min((sum(o[i].cost for o, i in zip(items.values(), c, strict=True)) for c in valid), default=None)
        found = cheapest_within(items, budget)
        if best is None:
            assert found is None
        else:
            assert sum(items[name][i].weight for name, i in found.items()) <= budget
            assert sum(items[name][i].cost for name, i in found.items()) == pytest.approx(best)


def test_the_knapsack_keeps_a_budget_that_is_too_fine_for_its_steps():
    items = {f"item{i}": [Option(100_003, 0.0), Option(10_007, 1.0)] for i in range(40)}
    found = cheapest_within(items, 1_000_000)
    assert sum(items[name][i].weight for name, i in found.items()) <= 1_000_000


def test_losses_cover_every_level_below_the_layers_own(bench):
    model = fully_harmonic(network("harm_wrn10_1", level=(None, 3, 2)))
    found = {(loss.layer, loss.level) for loss in losses(model, bench)}
    assert {level for layer, level in found if layer == "root"} == {1, 2, 3, 4}
    assert {level for layer, level in found if layer == "groups.1.0.conv0"} == {1, 2}
    assert {level for layer, level in found if layer == "groups.2.0.conv0"} == {1}


def test_keeping_more_frequencies_of_a_layer_never_costs_more_parameters(bench):
    measured = losses(fully_harmonic(network()), bench)
    for layer in {loss.layer for loss in measured}:
        counts = [loss.parameters for loss in measured if loss.layer == layer]
        assert counts == sorted(counts)


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


@pytest.mark.parametrize("share", [0.9, 0.6, 0.3])
def test_the_parameters_of_a_budget_are_kept_and_used(bench, share):
    model = network()
    made, outcome = compress_bundle(given(model), bench, Budget("params", share))
    assert outcome.parameters == (parameters(model), parameters(made.model))
    assert 0.75 * share < outcome.parameters[1] / outcome.parameters[0] <= share


def given(model: nn.Module, architecture: str = "cifar_resnet8", arguments: dict | None = None) -> Bundle:
    return Bundle(Card(architecture=architecture, arguments=arguments or {}, classes=CLASSES, pixels=SPEC), model)


def test_a_budget_of_everything_changes_no_answer(bench):
    model = network()
    made, outcome = compress_bundle(given(model), bench, Budget("params", 1.0))
    assert outcome.agreement == 1.0
    assert outcome.divergence < 1e-9
    assert torch.equal(
        bench.answers(made.model).log_probabilities.argmax(1), bench.answers(model).log_probabilities.argmax(1)
    )


def test_an_accuracy_budget_is_kept_on_the_calibration_images(bench):
    model = network()
    labels = bench.answers(model).log_probabilities.argmax(1).numpy()
    certain = Bench(bench.pixels, SPEC, labels)
    made, outcome = compress_bundle(given(model), certain, Budget("accuracy", -9.0))
    assert outcome.accuracy[0] == 1.0
    assert outcome.accuracy[1] >= 0.91
    assert parameters(made.model) < parameters(model)


def test_an_accuracy_budget_needs_labels(bench):
    with pytest.raises(CompressionError, match="labelled"):
        compress_bundle(given(network()), Bench(bench.pixels, SPEC), Budget("accuracy", -1.0))


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("cifar_resnet8", {}),
        ("harm_wrn10_1", {"level": (None, 3, 2)}),
        ("wrn10_1", {"spectrum": {"root": {"level": None, "norm": True, "bias": True}, "groups.1.0.conv1": 3}}),
        ("timm/test_efficientnet", {}),
    ],
)
def test_a_compressed_bundle_is_small_on_disk_and_answers_as_it_did(architecture, arguments, bench, tmp_path):
    model = network(architecture, **arguments)
    made, outcome = compress_bundle(given(model, architecture, arguments), bench, Budget("params", 0.8))
    bundle.save(made, tmp_path / "bundle")
    loaded = bundle.load(tmp_path / "bundle")
    assert parameters(loaded.model) == outcome.parameters[1]
    assert torch.equal(bench.answers(loaded.model).log_probabilities, bench.answers(made.model).log_probabilities)
    card = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    assert card["metrics"]["compression"]["parameters_after"] == outcome.parameters[1]


def test_compressing_twice_goes_on_from_the_first(bench):
    once, _ = compress_bundle(given(network()), bench, Budget("params", 0.7))
    twice, outcome = compress_bundle(once, bench, Budget("params", 0.7))
    assert outcome.parameters[0] == parameters(once.model)
    filters = {name: len(layer.frequencies) for name, layer in harmonic_layers(once.model).items()}
    assert all(len(layer.frequencies) <= filters[name] for name, layer in harmonic_layers(twice.model).items())


def test_a_budget_that_no_levels_meet_is_told_with_the_least_possible(bench):
    model = fully_harmonic(network())
    least = parameters(with_levels(model, dict.fromkeys(harmonic_layers(model), 1)))
    with pytest.raises(CompressionError, match=f"the least is {least:,}"):
        levels_for(model, losses(model, bench), 100)


@pytest.mark.parametrize("share", [1e-9, 0.05])
def test_a_share_that_no_levels_meet_is_told_before_anything_is_measured(share, bench):
    model = fully_harmonic(network())
    least = parameters(with_levels(model, dict.fromkeys(harmonic_layers(model), 1)))
    with pytest.raises(CompressionError, match=f"the least is {least:,}"):
        compress_bundle(given(network()), bench, Budget("params", share), watch=lambda steps: pytest.fail("measured"))


def test_the_least_share_that_can_be_met_is_met(bench):
    model = fully_harmonic(network())
    least = parameters(with_levels(model, dict.fromkeys(harmonic_layers(model), 1)))
    made, _ = compress_bundle(given(network()), bench, Budget("params", least / parameters(model)))
    assert parameters(made.model) == least


def test_a_network_without_spatial_convolutions_is_refused(bench):
    with pytest.raises(CompressionError, match="no spatial convolution"):
        fully_harmonic(nn.Sequential(nn.Conv2d(3, 3, 1)))


@pytest.mark.parametrize(("text", "kind", "value"), [("params=0.6", "params", 0.6), ("accuracy=-1", "accuracy", -1.0)])
def test_budgets_are_read(text, kind, value):
    assert parse_budget(text) == Budget(kind, value)


@pytest.mark.parametrize(
    "text", ["", "params", "params=0", "params=1.5", "accuracy=1", "size=3", "params=nan", "params=x"]
)
def test_other_budgets_are_refused(text):
    with pytest.raises(CompressionError, match="a budget is"):
        parse_budget(text)
