import json

import pytest

from tests.support.commands import RECIPE, done, harmonic, refused
from tests.support.textures import write_textures


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Textures in train, val and test folders, and a run on them."""
    base = tmp_path_factory.mktemp("commands")
    for seed, (part, each) in enumerate({"train": 16, "val": 4, "test": 6}.items()):
        write_textures(base / "images" / part, classes=3, each=each, seed=seed, side=12)
    (base / "brief.toml").write_text(RECIPE)
    options = ["--data", base / "images", "--out", base / "run", "--jpeg-scale", "reduced"]
    ended = harmonic("train", base / "brief.toml", *options)
    return base, ended


def test_training_says_where_the_bundle_is_and_what_comes_next(trained):
    base, ended = trained
    assert ended.exit_code == 0, ended.output
    assert f"The bundle is {base / 'run' / 'bundle'}. Next: harmonic export" in ended.stdout


def test_the_scale_of_jpegs_goes_from_training_into_the_bundle(trained):
    card = json.loads((trained[0] / "run" / "bundle" / "bundle.json").read_text())
    assert card["pixels"]["jpeg_scale"] == card["recipe"]["pixels"]["jpeg_scale"] == "reduced"


def test_val_chooses_and_test_measures(trained):
    metrics = json.loads((trained[0] / "run" / "bundle" / "bundle.json").read_text())["metrics"]
    assert metrics["trained_on"] == "images train"
    assert metrics["test"]["source"] == "images test"
    assert metrics["test"]["images"] == 18
    assert "val_accuracy" in metrics["validation"]


def test_evaluation_as_json_is_json_alone(trained):
    base, _ = trained
    figures = json.loads(done("evaluate", base / "run" / "bundle", "--data", base / "images", "--json"))
    card = json.loads((base / "run" / "bundle" / "bundle.json").read_text())
    assert figures["top1"] == card["metrics"]["test"]["top1"]
    assert sum(map(sum, figures["confusion"])) == 18


def test_evaluation_is_told_in_tables(trained):
    base, _ = trained
    shown = done("evaluate", base / "run" / "bundle", "--data", base / "images")
    assert "top-1" in shown
    assert "Confusion" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "no-such-recipe", "--data", "."], "no such recipe"),
        (["train", "cifar10-harm-wrn28-10", "--data", "/no/such/place"], "no such file"),
        (["evaluate", "/no/such/bundle", "--data", "."], "neither a bundle"),
    ],
)
def test_expected_errors_reach_the_edge_as_they_are(arguments, message):
    assert message in refused(*arguments)


def test_a_field_of_the_recipe_may_be_changed_and_the_bundle_says_so(trained, tmp_path):
    base, _ = trained
    options = ["--data", base / "images", "--out", tmp_path / "run", "--set", "train.seed=7", "--set", "title=mine"]
    done("train", base / "brief.toml", *options)
    recipe = json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text())["recipe"]
    assert (recipe["train"]["seed"], recipe["title"]) == (7, "mine")


def test_a_bundle_gets_a_new_head_and_a_teacher(trained, tmp_path):
    base, _ = trained
    bundle = base / "run" / "bundle"
    options = ["--data", base / "images", "--from", bundle, "--head", "new", "--teacher", bundle]
    done("train", base / "brief.toml", *options, "--set", "pixels=null", "--out", tmp_path / "run")
    assert json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text())["recipe"]["finetune"]["head"] == "new"


def test_cross_validation_tells_a_table_and_json(trained, tmp_path):
    base, _ = trained
    options = ["--data", base / "images" / "train", "--out", tmp_path / "run", "--folds", "2"]
    figures = json.loads(done("train", base / "brief.toml", *options, "--json"))
    assert figures["folds"] == 2
    assert "balanced accuracy" in done("train", base / "brief.toml", *options)
    message = refused("train", base / "brief.toml", *options, "--test", base / "images" / "test")
    assert "leave --val and --test out" in message


def test_the_recipes_are_listed_and_shown():
    assert "cifar10-finetune" in done("recipes")
    assert any(one["name"] == "cifar10-finetune" for one in json.loads(done("recipes", "--json")))
    shown = done("recipes", "show", "cifar10-finetune", "--set", "train.batch=32")
    assert "batch = 32" in shown
    assert json.loads(done("recipes", "show", "cifar10-finetune", "--json"))["train"]["batch"] == 128
