"""`harmonic compress`, and `harmonic train --from`: fewer coefficients within a budget, then trained on."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from harmonic.bundles import bundle
from harmonic.compression import calibration
from harmonic.conversion import harmonic_layers
from harmonic.graph import parameters
from harmonic.layers import BandSetConv2d
from tests.support.commands import done, refused
from tests.support.textures import write_textures

RECIPE = """
title = "brief"
[model]
architecture = "{architecture}"
[pixels]
height = 12
width = 12
[train]
epochs = {epochs}
batch = 8
rate = {rate}
schedule = {{ kind = "one-cycle" }}
precision = "fp32"
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Textures, a network that learned them, and a recipe to go on with, whose own network is another one."""
    base = tmp_path_factory.mktemp("compression")
    write_textures(base / "images", classes=3, each=24, side=12)
    (base / "first.toml").write_text(RECIPE.format(architecture="harm_wrn10_0.5", epochs=12, rate=0.05))
    (base / "more.toml").write_text(RECIPE.format(architecture="wrn10_1", epochs=3, rate=0.01))
    done("train", base / "first.toml", "--data", base / "images", "--out", base / "run")
    return base


@pytest.fixture(scope="module")
def start(base):
    return bundle.load(base / "run" / "bundle")


@pytest.fixture(scope="module")
def small(base):
    """The bundle at six tenths of its parameters, with what the command showed."""
    return compressed(base, "params=0.6", base / "small")


def compressed(base, budget, out):
    shown = done(
        "compress", base / "run" / "bundle", "--data", base / "images", "--budget", budget, "--out", out,
        "--images", 48, "--no-latency",
    )  # fmt: skip
    return out, shown


def levels(model):
    return {name: layer.level for name, layer in harmonic_layers(model).items()}


def loss(model, start, base):
    """Mean cross-entropy on the images, in nats."""
    bench = calibration([base / "images"], start.card, 72, 1)
    answers = bench.answers(model).log_probabilities
    return -float(answers[torch.arange(len(answers)), torch.from_numpy(bench.labels)].mean())


def test_a_budget_of_parameters_is_kept_and_shown(small, start):
    folder, shown = small
    made = bundle.load(folder)
    assert 0.4 * parameters(start.model) < parameters(made.model) <= 0.6 * parameters(start.model)
    assert f"{parameters(start.model):,}" in shown
    assert f"{parameters(made.model):,}" in shown
    assert shown.splitlines()[-1] == f"The bundle is {folder}."


def test_the_bundle_holds_the_kept_coefficients_alone(small, start):
    folder, _ = small
    state = load_file(folder / "weights.safetensors")
    layers = harmonic_layers(bundle.load(folder).model)
    sets = {name: layer for name, layer in layers.items() if isinstance(layer, BandSetConv2d)}
    assert sets
    for name, layer in sets.items():
        assert state[f"{name}.weight"].numel() == layer.out_channels * len(layer.kept.numbers)
    whole = sum(tensor.numel() for tensor in start.model.state_dict().values())
    gone = parameters(start.model) - parameters(bundle.load(folder).model)
    norms = {name for name in state if ".norm." in name and name.startswith("root")}
    assert sum(t.numel() for name, t in state.items() if name not in norms) <= whole - gone


def test_the_card_tells_what_it_cost(small, start, base):
    card = json.loads((small[0] / "bundle.json").read_text())
    made, told = bundle.load(small[0]), card["metrics"]["compression"]
    assert told["budget"] == "params=0.6"
    assert (told["calibration_images"], told["held_out_images"]) == (38, 10)
    assert (told["parameters_before"], told["parameters_after"]) == (parameters(start.model), parameters(made.model))
    assert 0 <= told["agreement"] <= 1
    assert told["divergence"] >= 0
    bench = calibration([base / "images"], start.card, 48, 1)
    assert told["top1_before"] == bench.answers(start.model).accuracy()
    assert told["top1_after"] == bench.answers(made.model).accuracy()
    assert card["metrics"]["before_compression"] == start.card.metrics
    assert tuple(card["classes"]) == start.card.classes
    assert bundle.load(small[0]).card.pixels == start.card.pixels


def test_a_budget_of_accuracy_is_kept(base, start, tmp_path):
    folder, _ = compressed(base, "accuracy=-5", tmp_path / "new")
    told = bundle.load(folder).card.metrics["compression"]
    assert 100 * (told["top1_after"] - told["top1_before"]) >= -5
    assert told["parameters_after"] < told["parameters_before"]


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("0.6", "a budget is params=SHARE"),
        ("params=0", "a budget is params=SHARE"),
        ("params=1.1", "a budget is params=SHARE"),
        ("latency=5", "a budget is params=SHARE"),
        ("params=-3", "a budget is params=SHARE"),
        ("macs=nan", "a budget is params=SHARE"),
        ("latency=nan", "a budget is params=SHARE"),
        ("bytes=0", "a budget is params=SHARE"),
        ("bytes=inf", "a budget is params=SHARE"),
        ("accuracy=nan", "a budget is params=SHARE"),
        ("accuracy=2", "accuracy=POINTS (0 or below)"),
        ("params=0.01", "the least is"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_told(base, tmp_path, budget, message):
    run = (base / "run" / "bundle", "--data", base / "images", "--budget", budget, "--images", 10)
    assert message in refused("compress", *run, "--out", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_latency_is_told_whole_and_by_layer(base, tmp_path):
    run = ("compress", base / "run" / "bundle", "--data", base / "images", "--images", 20, "--no-refit")
    shown = done(*run, "--budget", "params=0.5", "--latency", "--out", tmp_path / "new")
    assert "latency, ms" in shown
    row = next(line for line in shown.splitlines() if "│ latency " in line)
    before, after = (float(part.split(" ms")[0]) for part in row.split("│")[2].split(" -> "))
    assert min(before, after) > 0
    told = bundle.load(tmp_path / "new").card.metrics["compression"]
    assert told["latency_ms"] == [before, after]


def test_a_budget_in_what_is_not_measured_is_refused(base, tmp_path):
    run = ("compress", base / "run" / "bundle", "--data", base / "images", "--out", tmp_path / "new")
    assert "--no-latency leaves unmeasured" in refused(*run, "--budget", "latency=0.5", "--no-latency")


def test_images_of_other_classes_are_told(base, tmp_path):
    write_textures(tmp_path / "others", classes=4, each=4, side=12)
    run = (base / "run" / "bundle", "--data", tmp_path / "others", "--budget", "params=0.6")
    assert "texture3" in refused("compress", *run, "--out", tmp_path / "new")


@pytest.mark.parametrize("spoil", [lambda content: b"", lambda content: content[: len(content) // 2]])
def test_a_bundle_that_is_damaged_is_told(base, tmp_path, spoil):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    given = base / "run" / "bundle"
    (damaged / "bundle.json").write_bytes((given / "bundle.json").read_bytes())
    (damaged / "weights.safetensors").write_bytes(spoil((given / "weights.safetensors").read_bytes()))
    run = (damaged, "--data", base / "images", "--budget", "params=0.6", "--out", tmp_path / "new")
    assert "weights.safetensors: damaged" in refused("compress", *run)


def test_fine_tuning_goes_on_with_the_bundles_network(small, start, base, tmp_path):
    done("train", base / "more.toml", "--from", small[0], "--data", base / "images", "--out", tmp_path / "run")
    before, after = bundle.load(small[0]), bundle.load(tmp_path / "run" / "bundle")
    assert (after.card.architecture, after.card.arguments) == (before.card.architecture, before.card.arguments)
    assert levels(after.model) == levels(before.model)
    assert parameters(after.model) == parameters(before.model)
    learned, given = after.model.state_dict(), before.model.state_dict()
    assert all(not torch.equal(learned[name], given[name]) for name in learned if name.endswith("weight"))
    assert loss(start.model, start, base) < 0.9 * math.log(3)  # it had learned something
    assert loss(after.model, start, base) <= loss(before.model, start, base)


def test_fine_tuning_on_other_classes_is_refused(small, base, tmp_path):
    write_textures(tmp_path / "others", classes=4, each=4, side=12)
    said = refused(
        "train", base / "more.toml", "--from", small[0], "--data", tmp_path / "others", "--out", tmp_path / "run"
    )
    assert "texture3" in said
    assert not (tmp_path / "run" / "bundle").exists()


def test_fine_tuning_what_is_no_bundle_is_refused(base, tmp_path):
    run = ("train", base / "more.toml", "--from", tmp_path, "--data", base / "images", "--out", tmp_path / "run")
    assert "is no bundle: it has no bundle.json" in refused(*run)


def test_learning_from_the_whole_network_takes_all_images_and_is_told(base, start, tmp_path):
    given = (
        base / "run" / "bundle",
        "--data",
        base / "images",
        "--budget",
        "params=0.4",
        "--images",
        30,
        "--no-latency",
    )
    plain = done("compress", *given, "--no-refit", "--out", tmp_path / "plain")
    shown = done("compress", *given, "--no-refit", "--finetune", 4, "--out", tmp_path / "tuned")
    told = bundle.load(tmp_path / "tuned").card.metrics["compression"]
    # 24 of the 30 are not held out; of the other 42, which were never drawn, a fifth judges.
    assert (told["finetuned_epochs"], told["finetuned_images"]) == (4, 24 + 34)
    assert "learned from the whole network" in shown
    assert "learned from the whole network" not in plain
    before, after = (bundle.load(tmp_path / name).card.metrics["compression"] for name in ("plain", "tuned"))
    assert after["parameters_after"] == before["parameters_after"]
    assert after["divergence"] < before["divergence"]


def test_a_device_that_is_not_there_is_told_before_anything_is_read(base, tmp_path):
    run = (base / "run" / "bundle", "--data", tmp_path / "none", "--budget", "params=0.4", "--out", tmp_path / "new")
    assert "the device 'cuda:99' is not there" in refused("compress", *run, "--device", "cuda:99")


def test_the_front_is_a_bundle_a_size_a_table_and_a_picture(base, start, tmp_path):
    run = ("compress", base / "run" / "bundle", "--data", base / "images", "--images", 30, "--no-refit", "--no-latency")
    shown = done(*run, "--front", "--out", tmp_path / "front")
    sizes = {path.name: parameters(bundle.load(path).model) for path in (tmp_path / "front").glob("params=*")}
    assert set(sizes) >= {"params=0.9", "params=0.75", "params=0.6", "params=0.45"}
    for name, size in sizes.items():
        assert size <= float(name.removeprefix("params=")) * parameters(start.model)
        assert f"{size:,}" in shown
    assert (tmp_path / "front" / "front.svg").read_text().startswith("<?xml")


def test_one_budget_or_the_front_must_be_asked_for(base, tmp_path):
    run = ("compress", base / "run" / "bundle", "--data", base / "images", "--out", tmp_path / "new")
    assert "either --budget" in refused(*run)
    assert "either --budget" in refused(*run, "--front", "--budget", "params=0.5")
