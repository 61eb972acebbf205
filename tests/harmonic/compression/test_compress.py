"""Levels are chosen by what they cost on images, and carried out: the budget holds, and the bundle is whole."""

import json

import numpy as np
import pytest
import torch

from harmonic.bundles import Bundle, bundle
from harmonic.compression.bench import Bench
from harmonic.compression.choice import Budget
from harmonic.compression.compress import compress_bundle, compressed
from harmonic.compression.sensitivity import fully_harmonic, with_cuts
from harmonic.conversion import harmonic_layers
from harmonic.errors import CompressionError
from harmonic.graph import macs, parameters
from tests.support.compression import SPEC, calibration_images, given, network


@pytest.fixture
def bench():
    return calibration_images()


@pytest.mark.parametrize("share", [0.9, 0.6, 0.3])
def test_the_parameters_of_a_budget_are_kept_and_used(bench, share):
    model = network()
    made, outcome = compress_bundle(given(model), bench, Budget("params", share))
    assert outcome.parameters == (parameters(model), parameters(made.model))
    assert 0.75 * share < outcome.parameters[1] / outcome.parameters[0] <= share


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
@pytest.mark.parametrize("sets", ["levels", "layer", "channel"])
def test_a_compressed_bundle_is_small_on_disk_and_answers_as_it_did(architecture, arguments, sets, bench, tmp_path):
    model = network(architecture, **arguments)
    made, outcome = compress_bundle(given(model, architecture, arguments), bench, Budget("params", 0.8), sets=sets)
    bundle.save(made, tmp_path / "bundle")
    loaded = bundle.load(tmp_path / "bundle")
    assert parameters(loaded.model) == outcome.parameters[1]
    assert torch.equal(bench.answers(loaded.model).log_probabilities, bench.answers(made.model).log_probabilities)
    card = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    assert card["metrics"]["compression"]["parameters_after"] == outcome.parameters[1]


def test_without_refitting_the_kept_coefficients_stay(bench):
    model = network()
    made, outcome = compress_bundle(given(model), bench, Budget("params", 0.5), refitted=False)
    plain = harmonic_layers(with_cuts(fully_harmonic(model), outcome.cuts))
    assert all(torch.equal(layer.weight, plain[name].weight) for name, layer in harmonic_layers(made.model).items())


def test_the_outcome_is_of_images_that_nothing_was_fitted_to(bench):
    made, outcome = compress_bundle(given(network()), bench, Budget("params", 0.5))
    fitted, held_out = bench.parted(0.2)
    assert (outcome.images, outcome.held_out) == (len(fitted.pixels), len(held_out.pixels)) == (19, 5)
    assert not any((image == other).all() for image in fitted.pixels for other in held_out.pixels)
    before, after = (held_out.answers(model) for model in (network(), made.model))
    assert outcome.divergence == pytest.approx(after.divergence(before))


def test_what_is_carried_out_is_never_worse_than_truncation_on_its_images(bench):
    """Depth-wise layers of a random network: refitting need not pay there."""
    for name in ("timm/test_efficientnet", "cifar_resnet8"):
        model = network(name)
        levels = dict.fromkeys(harmonic_layers(fully_harmonic(model)), 2)
        plain, chosen = (
            bench.answers(compressed(given(model, name), levels, record={}, images=images).model)
            for images in (None, bench)
        )
        before = bench.answers(model)
        assert chosen.divergence(before) <= plain.divergence(before)


@pytest.mark.parametrize(("first", "then"), [("levels", "levels"), ("channel", "channel"), ("channel", "levels")])
def test_compressing_twice_goes_on_from_the_first(bench, first, then):
    once, _ = compress_bundle(given(network()), bench, Budget("params", 0.7), sets=first)
    twice, outcome = compress_bundle(once, bench, Budget("params", 0.7), sets=then)
    assert outcome.parameters == (parameters(once.model), parameters(twice.model))
    before, after = held(once.model), held(twice.model)
    assert all(after[name] <= before[name] for name in after)


def held(model):
    """The channel and the frequency of every band that each layer weighs."""
    return {
        name: {(n, layer.frequencies[f]) for n, f in (layer.coefficients() != 0).any(0).nonzero().tolist()}
        for name, layer in harmonic_layers(model).items()
    }


def test_sets_are_found_by_solving(bench):
    with pytest.raises(CompressionError, match="found by solving"):
        compress_bundle(given(network()), bench, Budget("params", 0.7), refitted=False, sets="channel")


@pytest.mark.parametrize("share", [1e-9, 0.05])
def test_a_share_that_no_levels_meet_is_told_before_anything_is_measured(share, bench):
    model = fully_harmonic(network())
    least = parameters(with_cuts(model, dict.fromkeys(harmonic_layers(model), 1)))
    with pytest.raises(CompressionError, match=f"the least is {least:,}"):
        compress_bundle(given(network()), bench, Budget("params", share), watch=lambda steps: pytest.fail("measured"))


def test_the_least_share_that_can_be_met_is_met(bench):
    model = fully_harmonic(network())
    least = parameters(with_cuts(model, dict.fromkeys(harmonic_layers(model), 1)))
    made, _ = compress_bundle(given(network()), bench, Budget("params", least / parameters(model)))
    assert parameters(made.model) == least


def test_levels_of_some_layers_leave_the_others_as_they_are(tmp_path):
    model = network()
    made = compressed(given(model), {"layer1.0.conv1": 2}, record={"by": "hand"})
    bundle.save(made, tmp_path / "bundle")
    loaded = bundle.load(tmp_path / "bundle")
    levels = {name: layer.level for name, layer in harmonic_layers(loaded.model).items()}
    assert levels.pop("layer1.0.conv1") == 2
    assert set(levels.values()) == {None}
    assert loaded.card.metrics == {"compression": {"by": "hand"}, "before_compression": {}}


@pytest.mark.parametrize(("kind", "value"), [("macs", 0.6), ("bytes", 200_000)])
def test_budgets_in_other_measures_are_kept_and_told(kind, value, bench):
    model = network()
    _, outcome = compress_bundle(given(model), bench, Budget(kind, value), refitted=False)
    before, after = outcome.sizes[kind]
    allowed = value if kind == "bytes" else value * before
    assert 0.8 * allowed < after <= allowed
    for measure, sizes in outcome.sizes.items():
        of_layers = [layer[measure] for layer in outcome.layer_sizes.values()]
        assert sizes[0] - sizes[1] == sum(then - now for then, now in of_layers)
    with pytest.raises(CompressionError, match="the least is"):
        compress_bundle(given(model), bench, Budget("bytes", 5), watch=lambda *steps: pytest.fail("measured"))


def test_images_of_odd_sizes_are_compressed_alike(bench, tmp_path):
    """Neither square nor even: rows and columns must not be mixed up in sizes, batches and refitting."""
    spec = SPEC.model_copy(update={"height": 17, "width": 23})
    rng = np.random.default_rng(4)
    odd = Bench(rng.integers(0, 256, (20, 17, 23, 3), dtype=np.uint8), spec)
    start = given(network())
    start = Bundle(start.card.model_copy(update={"pixels": spec}), start.model)
    made, outcome = compress_bundle(start, odd, Budget("macs", 0.6))
    assert outcome.sizes["macs"][0] == macs(start.model, (3, 17, 23))
    bundle.save(made, tmp_path / "odd")
    loaded = odd.answers(bundle.load(tmp_path / "odd").model).log_probabilities
    assert torch.equal(loaded, odd.answers(made.model).log_probabilities)


def test_other_levels_are_tried_and_the_best_are_taken(bench):
    _, plain = compress_bundle(given(network()), bench, Budget("params", 0.4))
    _, outcome = compress_bundle(given(network()), bench, Budget("params", 0.4), trials=6)
    assert plain.search is None
    assert 1 <= outcome.search.trials <= 6
    assert outcome.search.cost[1] <= outcome.search.cost[0]
    assert (outcome.cuts != plain.cuts) == (outcome.search.cost[1] < outcome.search.cost[0])
    assert outcome.parameters[1] <= 0.4 * outcome.parameters[0]
