import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from harmonic.bundles import bundle
from harmonic.data import Images
from harmonic.errors import DataError, DeviceError, RecipeError, RunError, ZooError
from harmonic.pixels import PixelSpec
from harmonic.training import recipe as recipes
from harmonic.training.recipe import Recipe
from harmonic.training.train import Where, train
from tests.support.textures import texture

CPU = Where("cpu", 1)
STEP = {"kind": "step", "milestones": [1, 3], "factor": 0.3}
COSINE = {"kind": "cosine", "warmup": 2}
CYCLE = {"kind": "one-cycle", "warmup": 0.3}


def recipe(epochs=4, schedule=STEP, validation=0.2, augment=None, pixels=(12, 12), **section):
    """A tiny harmonic network with dropout on 12 x 12 pixels."""
    return Recipe.model_validate(
        {
            "title": "tiny",
            "model": {"architecture": "harm_wrn10_0.5", "arguments": {"dropout": 0.3, "level": 3}},
            "pixels": {"height": pixels[0], "width": pixels[1]},
            "data": {"validation": validation},
            "augment": augment or {"pad_crop": 2, "flip": True, "cutout": 3},
            "train": {"epochs": epochs, "batch": 16, "schedule": schedule, "precision": "fp32", **section},
        }
    )


class Textures:
    """Opens texture number i of three classes, in turn."""

    def __init__(self, seed):
        self.seed = seed

    def __call__(self, index):
        rng = np.random.default_rng((self.seed, index))
        return Image.fromarray(texture(index % 3, 3, rng, side=12))


def images(count=60, seed=0, classes=("a", "b", "c")):
    return Images(f"textures {seed}", classes, np.arange(count) % 3, [f"t{i}" for i in range(count)], Textures(seed))


def weights(folder):
    return load_file(folder / "bundle" / "weights.safetensors")


def assert_identical(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def log(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One short run with validation and test images."""
    out = tmp_path_factory.mktemp("finished") / "run"
    train(recipe(), images(), out, test=images(30, seed=9), where=CPU)
    return out


def test_a_runs_folder_holds_everything(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"recipe.json", "data.json", "log.csv", "tensorboard", "curves.png", "bundle"} <= names
    assert not [name for name in names if name.endswith(".part")]
    assert (finished / "best.safetensors").stat().st_mode == (finished / "recipe.json").stat().st_mode
    assert Recipe.model_validate_json((finished / "recipe.json").read_text()) == recipe()
    assert list((finished / "tensorboard").glob("events.out.tfevents.*"))


def test_the_log_has_every_epoch_once(finished):
    rows = log(finished)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert all(0 <= float(row[f"{part}_accuracy"]) <= 1 for row in rows for part in ("train", "val"))


def test_the_curves_are_a_picture(finished):
    with Image.open(finished / "curves.png") as picture:
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 300


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


def test_a_finished_run_is_returned_untouched(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert train(recipe(), images(), finished, where=CPU) == finished / "bundle"
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_another_recipe_in_the_same_folder_is_refused(finished):
    with pytest.raises(RecipeError, match="another recipe"):
        train(recipe(epochs=9), images(), finished, where=CPU)


def test_other_images_in_the_same_folder_are_refused(finished):
    with pytest.raises(DataError, match="other images"):
        train(recipe(), images(seed=4), finished, where=CPU)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(finished, tmp_path):
    train(recipe(), images(), tmp_path / "again", where=CPU)
    assert_identical(weights(tmp_path / "again"), weights(finished))
    train(recipe(seed=2), images(), tmp_path / "other", where=CPU)
    assert not torch.equal(weights(tmp_path / "other")["head.weight"], weights(finished)["head.weight"])


def test_a_run_killed_before_its_bundle_makes_it_when_asked_again(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "bundle")
    train(recipe(), images(), tmp_path / "run", test=images(30, seed=9), where=CPU)
    assert_identical(weights(tmp_path / "run"), weights(finished))
    assert bundle.read_card(tmp_path / "run" / "bundle").metrics == bundle.read_card(finished / "bundle").metrics


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


def test_validation_images_of_their_own_choose_and_all_others_teach(tmp_path):
    out = tmp_path / "run"
    train(recipe(epochs=1, validation=0.5), images(60), out, val=images(30, seed=3), where=CPU)
    checkpoint = torch.load(out / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 60 // 16
    assert "val_accuracy" in log(out)[0]


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


def test_a_fold_of_the_data_set_is_all_that_teaches(tmp_path):
    folds = [np.arange(0, 24), np.arange(24, 60)]
    plan = Recipe.model_validate({**recipe(epochs=1).model_dump(), "data": {"fold": 1, "validation": 0.0}})
    train(plan, replace(images(60), folds=folds), tmp_path / "run", where=CPU)
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["global_step"] == 36 // 16
    with pytest.raises(DataError, match=r"folds 0 to 1; data\.fold is 2"):
        beyond = plan.model_copy(update={"data": plan.data.model_copy(update={"fold": 2})})
        train(beyond, replace(images(60), folds=folds), tmp_path / "beyond", where=CPU)
    with pytest.raises(DataError, match="no folds of its own"):
        train(plan, images(60), tmp_path / "without", where=CPU)


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
def test_every_shipped_recipe_trains(tmp_path, name):
    """Its own views, optimiser and schedule, with a tiny network, few images and as few epochs as it allows."""
    plan = recipes.read_recipe(name)
    small = {
        "model": {"architecture": "harm_lesion" if plan.data.balance != "none" else "harm_wrn10_0.5"},
        "pixels": {"height": 12, "width": 12},
        "data": {**plan.data.model_dump(), "limit": None},
        "train": {**plan.train.model_dump(), "epochs": plan.train.validate_every, "batch": 16, "precision": "fp32"},
    }
    tiny = Recipe.model_validate({**plan.model_dump(), **small})
    train(tiny, replace(images(36), folds=[np.arange(36)]), tmp_path / "run", where=CPU)
    assert bundle.load(tmp_path / "run" / "bundle").card.metrics["epoch"] >= 1
    assert all(np.isfinite(float(row["train_loss"])) for row in log(tmp_path / "run"))


# --- refusals, before anything is written ---


def changed(section, **fields):
    return Recipe.model_validate({**recipe().model_dump(), section: fields})


GREY = {"height": 12, "width": 12, "mode": "L", "mean": (0.5,), "std": (0.5,)}


@pytest.mark.parametrize(
    ("plan", "error", "message"),
    [
        (recipe(batch=64), DataError, "48 training images do not fill one batch of 64"),
        (changed("model", architecture="nonet"), ZooError, "no architecture"),
        (changed("model", architecture="wrn11_1"), ZooError, "depth"),
        (changed("pixels", **GREY), RecipeError, "takes RGB"),
    ],
)
def test_a_run_that_cannot_be_is_refused_and_claims_nothing(tmp_path, plan, error, message):
    with pytest.raises(error, match=message):
        train(plan, images(), tmp_path / "run", where=CPU)
    assert not (tmp_path / "run" / "recipe.json").exists()


@pytest.mark.parametrize("part", ["val", "test"])
def test_classes_that_differ_are_told_before_training(tmp_path, part):
    with pytest.raises(DataError, match="does not answer: z"):
        train(recipe(), images(), tmp_path / "run", where=CPU, **{part: images(9, classes=("a", "b", "z"))})
    assert not (tmp_path / "run").exists()


class Broken(Textures):
    def __call__(self, index):
        raise OSError(f"truncated at {index}")


@pytest.mark.parametrize("part", ["images", "val", "test"])
@pytest.mark.parametrize("augment", [{"flip": True}, {"random_resized_crop": 0.5}])
def test_unreadable_images_are_told_before_training(tmp_path, part, augment):
    parts = {"images": images(), "val": images(9, seed=1), "test": images(9, seed=2)}
    parts[part] = Images("broken", ("a", "b", "c"), np.arange(48) % 3, [f"t{i}" for i in range(48)], Broken(0))
    with pytest.raises(DataError, match=r"48 of 48 images cannot be read: t0 \(truncated at 0\)"):
        train(recipe(augment=augment), parts.pop("images"), tmp_path / "run", where=CPU, **parts)
    assert not (tmp_path / "run" / "log.csv").exists()


def test_a_gpu_that_is_not_there_is_refused(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match="--accelerator cpu"):
        train(recipe(), images(), tmp_path / "run", where=Where("gpu", 1))


def test_an_accelerator_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(DeviceError, match="quantum"):
        train(recipe(), images(), tmp_path / "run", where=Where("quantum", 1))


def test_a_run_says_one_line_an_epoch_and_nothing_else(tmp_path, capfd):
    train(recipe(epochs=2), images(), tmp_path / "run", where=CPU)
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert [line[:10] for line in lines] == ["epoch 1/2:", "epoch 2/2:"]
    assert all("loss" in line and "val accuracy" in line for line in lines)
    assert err == ""


# --- killed for real ---

PROGRAM = """
import signal
import sys
from pathlib import Path
from harmonic.training.recipe import Recipe
from harmonic.training.train import train
from tests.harmonic.training.test_train import CPU, images
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would this
train(Recipe.model_validate_json(sys.argv[1]), images(), Path(sys.argv[2]), where=CPU)
"""


def start(plan, out):
    command = [sys.executable, "-c", PROGRAM, plan.model_dump_json(), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def kill_after_epoch(epoch, plan, out):
    """Start the run in a process of its own and kill it in the middle of the epoch that follows."""
    with start(plan, out) as process:
        for line in process.stdout:
            if line.startswith(f"epoch {epoch}/"):
                process.kill()
                break
        else:
            pytest.fail(f"the run ended before epoch {epoch}")
        assert process.wait() == -9


@pytest.mark.parametrize(
    "extras",
    [{"schedule": STEP}, {"schedule": CYCLE}, {"schedule": COSINE, "ema": 0.8}],
    ids=["step", "one-cycle", "cosine-ema"],
)
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(tmp_path, extras):
    """Killed in the second epoch and in the fourth: before and after drops of the rate."""
    plan = recipe(epochs=6, **extras)
    kill_after_epoch(1, plan, tmp_path / "killed")
    kill_after_epoch(3, plan, tmp_path / "killed")
    assert not (tmp_path / "killed" / "bundle").exists()
    train(plan, images(), tmp_path / "killed", where=CPU)
    train(plan, images(), tmp_path / "whole", where=CPU)
    assert_identical(weights(tmp_path / "killed"), weights(tmp_path / "whole"))
    assert (tmp_path / "killed" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()
    states = [torch.load(tmp_path / run / "last.ckpt", weights_only=True) for run in ("killed", "whole")]
    assert_identical(states[0]["state_dict"], states[1]["state_dict"])
    cards = [json.loads((tmp_path / run / "bundle" / "bundle.json").read_text()) for run in ("killed", "whole")]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("name", ["last.ckpt", "best.safetensors"])
@pytest.mark.parametrize("damage", [lambda raw: b"", lambda raw: raw[: len(raw) // 2], lambda raw: bytes(len(raw))])
def test_a_damaged_state_is_told_with_the_remedy(finished, tmp_path, name, damage):
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "bundle")
    (tmp_path / "run" / name).write_bytes(damage((finished / name).read_bytes()))
    with pytest.raises(RunError, match=rf"{re.escape(name)}: damaged .* to start over"):
        train(recipe(), images(), tmp_path / "run", where=CPU)


def test_a_run_stopped_by_hand_says_how_to_go_on(tmp_path):
    plan = recipe(epochs=50)
    with start(plan, tmp_path / "run") as process:
        for line in process.stdout:
            if line.startswith("epoch 2/"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
        assert process.wait() == 1
    done = len(log(tmp_path / "run"))
    assert f"Stopped. The same command goes on after epoch {done} of 50." in rest
    assert done >= 2
