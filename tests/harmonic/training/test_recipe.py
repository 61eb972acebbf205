from textwrap import dedent

import pytest
import torch

from harmonic import zoo
from harmonic.errors import RecipeError
from harmonic.graph import parameters
from harmonic.training import recipe

SMALL = """
title = "small"
[model]
architecture = "harm_wrn10_1"
arguments = { level = ["full", 3, 2] }
[train]
epochs = 2
schedule = { kind = "step", milestones = [1] }
"""


def written(folder, text):
    path = folder / "my.toml"
    path.write_text(dedent(text))
    return str(path)


def test_a_file_is_read_with_published_defaults(tmp_path):
    plan = recipe.read_recipe(written(tmp_path, SMALL))
    assert (plan.train.batch, plan.train.rate, plan.train.momentum) == (128, 0.1, 0.9)
    assert (plan.train.weight_decay, plan.train.nesterov, plan.train.schedule.factor) == (5e-4, False, 0.2)


def test_full_means_the_whole_spectrum(tmp_path):
    assert recipe.read_recipe(written(tmp_path, SMALL)).model.arguments == {"level": [None, 3, 2]}


def test_a_recipe_survives_json(tmp_path):
    plan = recipe.read_recipe(written(tmp_path, SMALL))
    assert recipe.Recipe.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize("name", recipe.shipped())
def test_every_shipped_recipe_names_an_architecture_that_exists(name):
    plan = recipe.read_recipe(name)
    with torch.device("meta"):
        network = zoo.create(plan.model.architecture, 10, **plan.model.arguments)
    assert parameters(network) > 0


STEPS = {"kind": "step", "warmup": 0}
# What the papers print, where it is not a default; each recipe names its source.
PUBLISHED = {
    "cifar10-harm-wrn28-10": {
        "model.arguments": {"dropout": 0.3},
        "augment": {"pad_crop": 4, "flip": True},
        "train": {"epochs": 200, "schedule": {**STEPS, "milestones": (60, 120, 160), "factor": 0.2}},
    },
    "cifar10-500-harm-wrn16-8": {
        "model.arguments": {"dropout": 0.2},
        "data": {"limit": 500, "validation": 0.0},
        "augment": {"pad_crop": 4, "flip": True},
        "train": {
            "epochs": 4000,
            "batch": 125,
            "validate_every": 20,
            "schedule": {**STEPS, "milestones": (1200, 2400, 3200), "factor": 0.2},
        },
    },
    "stl10-harm-wrn16-8": {
        "model.arguments": {"dropout": 0.3},
        "data": {"validation": 0.0},
        "augment": {"pad_crop": 12, "flip": True},
        "train": {
            "epochs": 1000,
            "batch": 32,
            "schedule": {**STEPS, "milestones": (300, 400, 600, 800), "factor": 0.2},
        },
    },
    "stl10-fold-harm-wrn16-8": {
        "model.arguments": {"dropout": 0.3},
        "data": {"fold": 0, "validation": 0.0},
        "augment": {"pad_crop": 12, "flip": True},
        "train": {
            "epochs": 5000,
            "batch": 32,
            "validate_every": 5,
            "schedule": {**STEPS, "milestones": (1500, 2000, 3000, 4000), "factor": 0.2},
        },
    },
    "imagenet-harm-resnet50": {
        "data": {"validation": 0.0},
        "augment": {"random_resized_crop": 0.08, "flip": True},
        "train": {
            "epochs": 90,
            "batch": 256,
            "weight_decay": 1e-4,
            "schedule": {**STEPS, "milestones": (30, 60), "factor": 0.1},
        },
    },
    "imagenet-harm-vgg16-bn": {
        "data": {"validation": 0.0},
        "augment": {"random_resized_crop": 0.08, "flip": True},
        "train": {
            "epochs": 100,
            "batch": 256,
            "weight_decay": 1e-4,
            "schedule": {**STEPS, "milestones": (30, 60, 90), "factor": 0.1},
        },
    },
    "imagenet-harm-se-resnext101-32x4d": {
        "data": {"validation": 0.0},
        "augment": {
            "random_resized_crop": 0.08,
            "interpolation": "random",
            "rotation": 10.0,
            "flip": True,
            "color_jitter": 0.4,
        },
        "train": {
            "epochs": 100,
            "batch": 256,
            "nesterov": True,
            "weight_decay": 1e-4,
            "decay_norms": False,
            "label_smoothing": 0.1,
            "schedule": {"kind": "cosine", "warmup": 3, "final": 0.0},
        },
    },
    "imagenet-finetune": {
        "data": {"validation": 0.0},
        "augment": {"random_resized_crop": 0.08, "flip": True},
        "train": {
            "epochs": 5,
            "batch": 256,
            "rate": 1e-3,
            "weight_decay": 1e-4,
            "schedule": {**STEPS, "milestones": (), "factor": 0.2},
        },
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_recipe_has_the_published_settings_and_else_the_defaults(name):
    plan, wanted = recipe.read_recipe(name), PUBLISHED[name]
    assert plan.model.arguments == wanted.get("model.arguments", {})
    for part in ("data", "augment", "train"):
        section = getattr(plan, part)
        defaults = type(section).model_validate(
            {"epochs": 1, "schedule": STEPS | {"milestones": ()}} if part == "train" else {}
        )
        assert section.model_dump() == {**defaults.model_dump(), **wanted.get(part, {})}


def test_the_defaults_of_training_are_those_of_the_papers():
    plan = recipe.read_recipe("cifar10-harm-wrn28-10").train
    assert (plan.batch, plan.rate, plan.momentum, plan.nesterov) == (128, 0.1, 0.9, False)
    assert (plan.weight_decay, plan.decay_norms, plan.optimiser) == (5e-4, True, "sgd")


def test_cifar100_has_its_own_normalisation():
    pixels = recipe.read_recipe("cifar100-harm-wrn28-10").pixels
    assert [round(255 * value, 1) for value in (*pixels.mean, *pixels.std)] == [129.3, 124.1, 112.4, 68.2, 65.4, 70.4]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("epoch = 3", "train.epoch"),
        ("rate = 0", "train.rate"),
        ("rate = nan", "train.rate"),
        ("rate = inf", "train.rate"),
        ("rate = 'fast'", "train.rate"),
        ("batch = 1", "train.batch"),
        ("momentum = 1.0", "train.momentum"),
        ("weight_decay = -1", "train.weight_decay"),
        ("label_smoothing = 1", "train.label_smoothing"),
        ("precision = 'fp8'", "train.precision"),
        ("seed = -1", "train.seed"),
        ("ema = 1.0", "train.ema"),
        ("validate_every = 0", "train.validate_every"),
        ("validate_every = 3", "validate_every = 3 does not divide epochs = 2"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, line, named):
    with pytest.raises(RecipeError, match=named):
        recipe.read_recipe(written(tmp_path, SMALL + line))


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ("[augment]\npad_crop = -1", "augment.pad_crop"),
        ("[augment]\nrandom_resized_crop = 0", "augment.random_resized_crop"),
        ("[augment]\nmirror = true", "augment.mirror"),
        ("[augment]\nrotation = 181", "augment.rotation"),
        ("[augment]\ncolor_jitter = 1.1", "augment.color_jitter"),
        ("[augment]\ninterpolation = 'nearest'", "augment.interpolation"),
        ("[data]\nfold = -1", "data.fold"),
        ("[data]\nvalidation = 1.0", "data.validation"),
        ("[data]\nvalidation = nan", "data.validation"),
        ("[pixels]\nheight = 32", "pixels.width"),
        ("[trian]\nepochs = 3", "trian"),
    ],
)
def test_a_wrong_section_is_named(tmp_path, section, named):
    with pytest.raises(RecipeError, match=named):
        recipe.read_recipe(written(tmp_path, SMALL + section))


@pytest.mark.parametrize(
    "schedule",
    [
        "{ kind = 'polynomial' }",
        "{ kind = 'cosine', milestones = [1] }",
        "{ milestones = [1] }",
        "3",
        "{ kind = 'step' }",
    ],
)
def test_a_schedule_that_does_not_exist_is_named(tmp_path, schedule):
    text = SMALL.replace('{ kind = "step", milestones = [1] }', schedule)
    with pytest.raises(RecipeError, match="schedule"):
        recipe.read_recipe(written(tmp_path, text))


def test_all_problems_are_told_at_once(tmp_path):
    with pytest.raises(RecipeError, match=r"(?s)rate.*batch|batch.*rate"):
        recipe.read_recipe(written(tmp_path, SMALL + "rate = 0\nbatch = 0"))


@pytest.mark.parametrize("content", [b"", b"title =", b"\xff\xfe\x00", b"= = ="])
def test_a_file_that_is_no_recipe_is_told(tmp_path, content):
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=r"bad\.toml"):
        recipe.read_recipe(str(tmp_path / "bad.toml"))


@pytest.mark.parametrize("name", ["no-such-recipe", "no/such/file.toml", ""])
def test_a_recipe_that_is_not_there_is_answered_with_those_that_are(name):
    with pytest.raises(RecipeError, match=r"cifar10-harm-wrn28-10|cannot be read"):
        recipe.read_recipe(name)


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        recipe.read_recipe(str(tmp_path))
