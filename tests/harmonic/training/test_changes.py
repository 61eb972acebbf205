"""Fields of a recipe that a command line changes."""

import pytest

from harmonic.errors import RecipeError
from harmonic.training.changes import changed
from harmonic.training.recipe import as_toml, read_recipe, shipped

FIELDS = {"title": "a", "train": {"batch": 8, "schedule": {"kind": "cosine"}}}


@pytest.mark.parametrize(
    ("change", "section", "wanted"),
    [
        ("train.batch=32", "train", {"batch": 32, "schedule": {"kind": "cosine"}}),
        (" train.batch = 32 ", "train", {"batch": 32, "schedule": {"kind": "cosine"}}),
        ("train.schedule.warmup=2", "train", {"batch": 8, "schedule": {"kind": "cosine", "warmup": 2}}),
        (
            'train.schedule={kind="step", milestones=[1]}',
            "train",
            {"batch": 8, "schedule": {"kind": "step", "milestones": [1]}},
        ),
        ("augment.flip=true", "augment", {"flip": True}),
        ("data.limit=null", "data", {"limit": None}),
        ("title=two words", "title", "two words"),
        ('title="a=b"', "title", "a=b"),
    ],
)
def test_a_field_has_its_new_value_and_nothing_else_changes(change, section, wanted):
    assert changed(FIELDS, [change]) == {**FIELDS, section: wanted}
    assert FIELDS["train"] == {"batch": 8, "schedule": {"kind": "cosine"}}


@pytest.mark.parametrize("change", ["train.batch", "=3", "", "train..batch=3", ".=1"])
def test_what_names_no_field_is_told(change):
    with pytest.raises(RecipeError, match=r"wanted SECTION\.FIELD=VALUE, as train\.batch=32"):
        changed(FIELDS, [change])


def test_a_field_is_no_section():
    with pytest.raises(RecipeError, match="batch has no fields of its own"):
        changed(FIELDS, ["train.batch.size=3"])


@pytest.mark.parametrize("change", ["train.bach=3", "train.batch=many", "train.batch=1", "tarin.batch=3"])
def test_a_recipe_is_checked_after_its_changes(change):
    with pytest.raises(RecipeError, match=change.partition("=")[0].replace(".", r"\.")[:5]):
        read_recipe("cifar10-finetune", [change])


def test_the_last_change_of_a_field_counts():
    assert read_recipe("cifar10-finetune", ["train.batch=16", "train.batch=32"]).train.batch == 32


@pytest.mark.parametrize("name", shipped())
def test_a_recipe_that_is_written_is_read_as_itself(name, tmp_path):
    path = tmp_path / "again.toml"
    path.write_text(as_toml(read_recipe(name)))
    assert read_recipe(str(path)) == read_recipe(name)
