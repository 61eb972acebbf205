"""Points of error against size: what is one point, one line, and on the front."""

import json

import pytest
import torch

from harmonic import zoo
from harmonic.analysis.tradeoff import Point, bundle_folder, front, lines, read_points
from harmonic.bundles.bundle import Bundle, Card, load, save
from harmonic.errors import BundleError, HarmonicError
from harmonic.graph import macs
from harmonic.pixels import PixelSpec
from tests.support.trained import saved


def point(parameters, *errors, data="one", architecture="wrn10_1", count=None, **arguments):
    return Point(architecture, arguments, data, "", parameters, count, errors, ("run",) * len(errors))


def edited(folder, change):
    """A bundle whose card was changed."""
    card = json.loads((folder / "bundle.json").read_text())
    change(card)
    (folder / "bundle.json").write_text(json.dumps(card))
    return folder


def test_parameters_are_the_trainable_ones_of_the_network(tmp_path):
    folders = [saved(tmp_path / f"{level}", "harm_wrn10_1", 0.5, level=level) for level in (1, 2, 3)]
    wanted = [sum(p.numel() for p in load(folder).model.parameters()) for folder in folders]
    assert [found.parameters for found in read_points(folders)] == wanted
    assert wanted[0] < wanted[1] < wanted[2]


def test_multiplications_are_those_of_the_cards_image_size(tmp_path):
    folder = edited(saved(tmp_path / "a", "wrn10_0.5", 0.5), lambda card: card["pixels"].update(height=16, width=24))
    (found,) = read_points([folder])
    assert found.macs == macs(zoo.create("wrn10_0.5", 3), (3, 16, 24))


def test_multiplications_that_cannot_be_counted_are_told_only_where_wanted(tmp_path):
    (found,) = read_points([saved(tmp_path / "a", "fourier_small", 0.5, widths=[2], hidden=4)])
    assert found.size("parameters") == found.parameters
    with pytest.raises(HarmonicError, match="multiplications of fourier_small cannot be counted"):
        found.size("macs")


def test_a_network_that_cannot_be_built_without_memory_is_counted_all_the_same(tmp_path):
    with torch.device("meta"), pytest.raises(NotImplementedError):
        zoo.create("torchvision/regnet_y_400mf", 3)
    (found,) = read_points([saved(tmp_path / "a", "torchvision/regnet_y_400mf", 0.5)])
    assert found.parameters == sum(p.numel() for p in zoo.create("torchvision/regnet_y_400mf", 3).parameters())


def test_the_error_is_what_the_test_images_say(tmp_path):
    (found,) = read_points([saved(tmp_path / "a", "wrn10_0.5", 0.9371)])
    assert (found.error, found.data, found.architecture) == (6.29, "photographs test", "wrn10_0.5")


def test_validation_figures_are_taken_where_wanted(tmp_path):
    def chosen(card):
        card["metrics"]["validation"] = {"val_accuracy": 0.75, "val_loss": 1.0}

    (found,) = read_points([edited(saved(tmp_path / "a", "wrn10_0.5", 0.9), chosen)], "validation")
    assert (found.error, found.data) == (25.0, "photographs train")


def test_seeds_are_one_point_at_their_median(tmp_path):
    runs = [
        saved(tmp_path / f"{seed}", "harm_wrn10_0.5", top1, seed=seed, title=f"seed {seed}", level=2)
        for seed, top1 in ((1, 0.8), (2, 0.5), (3, 0.7))
    ]
    (found,) = read_points(runs)
    assert found.errors == (20.0, 50.0, 30.0)
    assert found.error == 30.0
    assert len(set(found.runs)) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"architecture": "wrn10_0.7"},
        {"dropout": 0.3},
        {"data": "drawings test"},
        {"rate": 0.2},
    ],
)
def test_what_differs_by_more_than_a_seed_is_another_point(tmp_path, other):
    options = {"architecture": "wrn10_0.5", **other}
    one = saved(tmp_path / "one", "wrn10_0.5", 0.8)
    two = saved(tmp_path / "two", options.pop("architecture"), 0.8, seed=2, **options)
    assert len(read_points([one, two])) == 2


def test_defaults_count_alike_whether_they_are_written_or_not(tmp_path):
    one = saved(tmp_path / "one", "harm_wrn10_0.5", 0.8)
    two = saved(tmp_path / "two", "harm_wrn10_0.5", 0.7, seed=2, level=None, dropout=0.0)
    (found,) = read_points([one, two])
    assert found.arguments == {}
    assert len(found.errors) == 2


def test_a_run_given_twice_counts_once(tmp_path):
    saved(tmp_path / "run" / "bundle", "wrn10_0.5", 0.8)
    (found,) = read_points([tmp_path / "run", tmp_path / "run" / "bundle", tmp_path / "run" / ".." / "run"])
    assert len(found.errors) == 1


def test_a_bundle_in_a_run_is_found(tmp_path):
    folder = saved(tmp_path / "run" / "bundle", "wrn10_0.5", 0.8)
    assert bundle_folder(tmp_path / "run") == bundle_folder(folder) == folder


def test_what_is_no_run_is_told(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleError, match="is neither a run nor a bundle"):
            read_points([folder])


def test_an_unfinished_run_is_told_with_the_way_on(tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(BundleError, match=r"has not finished.*harmonic train.*again"):
        read_points([tmp_path])


@pytest.mark.parametrize(
    ("split", "remedy"),
    [("test", "--test IMAGES, or .*--split validation"), ("validation", "--val IMAGES, or .*--split test")],
)
def test_missing_figures_are_told_with_the_way_out(tmp_path, split, remedy):
    with pytest.raises(BundleError, match=f"no figure for {split} images.*{remedy}"):
        read_points([saved(tmp_path / "a", "wrn10_0.5", None)], split)


@pytest.mark.parametrize("figures", [None, 3, {"top1": "much"}, {"top1": None}, [0.5]])
def test_figures_of_another_kind_are_told(tmp_path, figures):
    folder = edited(saved(tmp_path / "a", "wrn10_0.5", 0.5), lambda card: card["metrics"].update(test=figures))
    with pytest.raises(BundleError, match="no figure for test images"):
        read_points([folder])


@pytest.mark.parametrize(("architecture", "message"), [("wrn28-10", "no architecture"), ("wrn11_1", "depth")])
def test_an_architecture_that_this_build_does_not_know_is_told(tmp_path, architecture, message):
    folder = edited(saved(tmp_path / "a", "wrn10_0.5", 0.5), lambda card: card.update(architecture=architecture))
    with pytest.raises(BundleError, match=f"bundle.json: .*{message}"):
        read_points([folder])


def test_a_split_of_another_name_is_told(tmp_path):
    with pytest.raises(HarmonicError, match="a split is test or validation, not 'val'"):
        read_points([tmp_path], "val")


def test_a_card_without_a_recipe_has_a_point(tmp_path):
    card = Card(
        architecture="wrn10_0.5",
        classes=("a", "b"),
        pixels=PixelSpec(height=32, width=32),
        metrics={"test": {"source": "x", "top1": 0.5}},
    )
    save(Bundle(card, zoo.create("wrn10_0.5", 2)), tmp_path / "a")
    assert read_points([tmp_path / "a"])[0].recipe == ""


def test_the_front_is_what_no_other_beats_in_both():
    small, good, beaten, between = point(1, 9), point(4, 1), point(4, 5), point(2, 5)
    assert front([good, beaten, small, between]) == [good, small, between]


def test_equals_are_both_on_the_front_and_data_sets_have_one_each():
    one, twin, other = point(1, 5), point(1, 5), point(9, 9, data="two")
    assert front([one, twin, other]) == [one, twin, other]
    assert front([one, point(1, 6), point(2, 5)]) == [one]


def test_the_front_is_that_of_what_is_counted():
    slow, fast = point(1, 5, count=9), point(2, 5, count=3)
    assert front([slow, fast]) == [slow]
    assert front([slow, fast], "macs") == [fast]


def test_a_line_is_a_family_on_a_data_set_by_size():
    wide, narrow = point(9, 1, architecture="wrn10_2"), point(4, 2)
    harmonic, elsewhere = point(5, 3, architecture="harm_wrn10_1"), point(4, 2, data="two")
    assert lines([wide, harmonic, elsewhere, narrow]) == [[narrow, wide], [harmonic], [elsewhere]]


def test_networks_of_a_hub_have_a_line_each():
    one, other = point(1, 1, architecture="timm/resnet18"), point(1, 1, architecture="timm/resnet34")
    assert [len(line) for line in lines([one, other, one])] == [2, 1]
