"""A run's folder: what it holds, and whose it is."""

import pytest
from PIL import Image

from harmonic.errors import DataError, RecipeError
from harmonic.training.recipe import Recipe
from harmonic.training.run_folder import Given, claim, refuse_another_run
from harmonic.training.train import train
from tests.support.runs import CPU, images, log, recipe


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


def test_a_finished_run_is_returned_untouched(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert train(recipe(), images(), finished, where=CPU) == finished / "bundle"
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_another_recipe_in_the_same_folder_is_refused(finished):
    with pytest.raises(RecipeError, match="another recipe"):
        train(recipe(epochs=9), images(), finished, where=CPU)


def test_levels_in_a_tuple_are_those_in_a_list_of_the_file(tmp_path):
    plan, given = recipe(), Given(images())
    level = plan.model.model_copy(update={"arguments": {"level": (None, 3, 2)}})
    plan = plan.model_copy(update={"model": level})
    claim(plan, given, tmp_path)
    refuse_another_run(plan, given, tmp_path)
    other = level.model_copy(update={"arguments": {"level": (None, 3, 3)}})
    with pytest.raises(RecipeError, match="another recipe"):
        refuse_another_run(plan.model_copy(update={"model": other}), given, tmp_path)


def test_other_images_in_the_same_folder_are_refused(finished):
    with pytest.raises(DataError, match="other images"):
        train(recipe(), images(seed=4), finished, where=CPU)
