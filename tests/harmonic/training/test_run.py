"""A run as it is opened: what cannot be is refused before anything is written."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harmonic.data import Images
from harmonic.errors import DataError, DeviceError, RecipeError, ZooError
from harmonic.training.recipe import Recipe
from harmonic.training.train import Where, train
from tests.support.runs import CPU, Textures, images, log, recipe


def test_validation_images_of_their_own_choose_and_all_others_teach(tmp_path):
    out = tmp_path / "run"
    train(recipe(epochs=1, validation=0.5), images(60), out, validation=images(30, seed=3), where=CPU)
    checkpoint = torch.load(out / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 60 // 16
    assert "val_accuracy" in log(out)[0]


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


@pytest.mark.parametrize("part", ["validation", "test"])
def test_classes_that_differ_are_told_before_training(tmp_path, part):
    with pytest.raises(DataError, match="does not answer: z"):
        train(recipe(), images(), tmp_path / "run", where=CPU, **{part: images(9, classes=("a", "b", "z"))})
    assert not (tmp_path / "run").exists()


class Broken(Textures):
    def __call__(self, index):
        raise OSError(f"truncated at {index}")


@pytest.mark.parametrize("part", ["images", "validation", "test"])
@pytest.mark.parametrize("augment", [{"flip": True}, {"random_resized_crop": 0.5}])
def test_unreadable_images_are_told_before_training(tmp_path, part, augment):
    parts = {"images": images(), "validation": images(9, seed=1), "test": images(9, seed=2)}
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
