"""Training: it learns, its figures are of the weights it keeps, and every recipe runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harmonic.bundles import bundle
from harmonic.pixels import PixelSpec
from harmonic.training import recipe as recipes
from harmonic.training.recipe import FinetuneSection, Recipe
from harmonic.training.train import train
from tests.support.runs import CPU, CYCLE, assert_identical, images, log, recipe, weights


def test_the_bundle_has_the_best_epochs_weights_and_says_where_figures_come_from(finished):
    card = bundle.read_card(finished / "bundle")
    best = min(log(finished), key=lambda row: float(row["val_loss"]))  # which chooses where few images do
    assert card.metrics["epoch"] == int(best["epoch"])
    assert card.metrics["validation"]["images"] == 12
    assert 0 < card.metrics["validation"]["accuracy_standard_error"] < 0.15
    assert card.metrics["validation"]["val_accuracy"] == pytest.approx(float(best["val_accuracy"]))
    assert card.metrics["trained_on"] == "textures 0"
    assert card.metrics["test"]["source"] == "textures 9"
    assert card.metrics["test"]["images"] == 30
    assert card.classes == ("a", "b", "c")
    assert card.recipe["title"] == "tiny"
    assert card.pixels == PixelSpec(height=12, width=12)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(finished, tmp_path):
    train(recipe(), images(), tmp_path / "again", where=CPU)
    assert_identical(weights(tmp_path / "again"), weights(finished))
    train(recipe(seed=2), images(), tmp_path / "other", where=CPU)
    assert not torch.equal(weights(tmp_path / "other")["head.weight"], weights(finished)["head.weight"])


@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_training_learns(tmp_path, validation):
    plan = recipe(epochs=10, validation=validation, schedule=CYCLE, rate=0.2, augment={"flip": True})
    train(plan, images(180), tmp_path / "run", test=images(90, seed=5), where=CPU)
    assert bundle.read_card(tmp_path / "run" / "bundle").metrics["test"]["top1"] > 0.7


def test_without_validation_the_last_epoch_is_taken(tmp_path):
    train(recipe(epochs=2, validation=0.0), images(), tmp_path / "run", where=CPU)
    card = bundle.read_card(tmp_path / "run" / "bundle")
    assert card.metrics["epoch"] == 2
    assert "val_accuracy" not in log(tmp_path / "run")[0]


def test_a_running_mean_of_the_weights_is_validated_and_kept(tmp_path):
    """The weights that learn are those of a run without a mean."""
    for retained in (0.0, 0.9):
        train(recipe(epochs=2, validation=0.0, ema=retained), images(), tmp_path / str(retained), where=CPU)
    state = torch.load(tmp_path / "0.9" / "last.ckpt", weights_only=True)["state_dict"]
    kept, trained = weights(tmp_path / "0.9"), weights(tmp_path / "0.0")
    assert_identical({name: state[f"model.network.{name}"] for name in kept}, trained)
    assert_identical({name: state[f"mean.module.network.{name}"] for name in kept}, kept)
    assert not torch.equal(kept["head.weight"], trained["head.weight"])


def test_validation_may_be_rarer_than_epochs(tmp_path, capfd):
    train(recipe(epochs=6, validate_every=3), images(), tmp_path / "rare", where=CPU)
    assert [line[:10] for line in capfd.readouterr().out.splitlines()] == ["epoch 3/6:", "epoch 6/6:"]
    train(recipe(epochs=6), images(), tmp_path / "often", where=CPU)
    rare, often = log(tmp_path / "rare"), log(tmp_path / "often")
    assert [row["epoch"] for row in rare] == ["3", "6"]
    assert rare == [often[2], often[5]]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_cycle_of_few_steps_runs(tmp_path, steps):
    """Five steps with a fifth of warm-up leave the rise no length of its own."""
    plan = recipe(epochs=steps, validation=0.0, schedule={"kind": "one-cycle", "warmup": 0.2})
    train(plan, images(16), tmp_path / "run", where=CPU)
    assert len(log(tmp_path / "run")) == steps


def test_each_milestone_multiplies_the_rate(tmp_path):
    train(recipe(epochs=4), images(), tmp_path / "run", where=CPU)
    checkpoint = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0.1 * 0.3**2)


def test_decay_may_spare_norms_and_biases(tmp_path):
    train(recipe(epochs=1, decay_norms=False), images(), tmp_path / "run", where=CPU)
    groups = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [5e-4, 0.0]


def test_images_larger_than_the_model_are_prepared_and_augmented(tmp_path):
    train(
        recipe(epochs=1, pixels=(8, 10), augment={"pad_crop": 9, "flip": True}), images(), tmp_path / "run", where=CPU
    )
    assert bundle.load(tmp_path / "run" / "bundle").card.pixels.shape == (8, 10, 3)


@pytest.mark.parametrize("name", [n for n in recipes.shipped() if not n.startswith("mnist")])
def test_every_shipped_recipe_trains(finished, tmp_path, name):
    """Its own views, optimiser and schedule, with a tiny network, few images and as few epochs as it allows."""
    plan = recipes.read_recipe(name)
    small = {
        "model": {"architecture": "harm_lesion" if plan.data.balance != "none" else "harm_wrn10_0.5"},
        "pixels": {"height": 12, "width": 12},
        "data": {**plan.data.model_dump(), "limit": None, "validation": plan.data.validation and 0.1},
        "train": {
            **plan.train.model_dump(),
            "epochs": plan.train.validate_every,
            "steps": plan.train.steps and 9,
            "batch": 16,
            "precision": "fp32",
        },
    }
    tiny = Recipe.model_validate({**plan.model_dump(), **small})
    start = bundle.load(finished / "bundle") if plan.finetune != FinetuneSection() else None
    train(tiny, replace(images(36), folds=[np.arange(36)]), tmp_path / "run", where=CPU, start=start)
    assert bundle.load(tmp_path / "run" / "bundle").card.metrics["epoch"] >= 1
    assert all(np.isfinite(float(row["train_loss"])) for row in log(tmp_path / "run"))


def test_a_run_says_one_line_an_epoch_and_nothing_else(tmp_path, capfd):
    train(recipe(epochs=2), images(), tmp_path / "run", where=CPU)
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert [line[:10] for line in lines] == ["epoch 1/2:", "epoch 2/2:"]
    assert all("loss" in line and "val accuracy" in line for line in lines)
    assert err == ""
