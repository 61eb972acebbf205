import pytest
import torch
from torch import nn

from harmonic import zoo
from harmonic.errors import ZooError
from harmonic.pixels import PixelSpec
from harmonic.zoo.registry import register


def test_every_listed_name_and_stand_in_belongs_to_its_family():
    for family in zoo.families():
        assert all(zoo.find(name) is family for name in (*family.listed, family.stand_in[0]))


def test_names_are_taken_once():
    names = zoo.listed_names()
    assert len(names) == len(set(names))
    assert names


def test_a_family_says_what_it_is_and_takes():
    family = zoo.find("harm_wrn28_10")
    assert family.template == "harm_wrn{depth}_{width}"
    assert family.arguments == {"level": None, "dropout": 0.0, "root_stride": 1, "root": "norm"}
    assert all(each.summary for each in zoo.families())


def test_the_numbers_in_a_name_build_the_network():
    assert zoo.find("wrn16_2.5").match("wrn16_2.5") == {"depth": 16, "width": 2.5}


@pytest.mark.parametrize(
    "name", ["", "wrn", "wrn28", "wrn28_", "wrn_10", "wrn28_10x", "xwrn28_10", "wrn-28-10", "WRN28_10", "wrn28_-1"]
)
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ZooError, match="no architecture"):
        zoo.create(name, 10)


def test_a_misspelt_name_is_answered_with_near_ones():
    with pytest.raises(ZooError, match="harm_wrn28_10"):
        zoo.find("harm_wrn28-10")


@pytest.mark.parametrize("name", [None, 28, ["wrn28_10"]])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(ZooError, match="no architecture"):
        zoo.create(name, 10)


@pytest.mark.parametrize("classes", [0, 1, -2, True, 2.0, "10", None])
def test_too_few_classes_are_refused(classes):
    with pytest.raises(ZooError, match="classes must be"):
        zoo.create("wrn10_1", classes)


def test_an_unknown_argument_is_refused_with_the_known_ones():
    with pytest.raises(
        ZooError, match=r"does not take \['levels'\].*'dropout', 'joined', 'level', 'root', 'root_stride', 'spectrum'"
    ):
        zoo.create("harm_wrn10_1", 10, levels=3)


def test_numbers_of_the_name_are_no_arguments():
    with pytest.raises(ZooError, match="does not take"):
        zoo.create("harm_wrn10_1", 10, depth=16)


@pytest.mark.parametrize("template", ["wrn{depth}_{width}", "my_{depth}"])
def test_a_name_taken_twice_raises_and_registers_nothing(template):
    before = zoo.families()
    pixels = PixelSpec(height=8, width=8)
    listed = ("wrn28_10",)
    with pytest.raises(ZooError, match="taken"):
        register(template, pixels=pixels, listed=listed, stand_in="wrn10_1")(lambda depth, classes: nn.Identity())
    assert zoo.families() == before


def test_networks_are_built_on_the_device_at_hand():
    with torch.device("meta"):
        assert all(p.is_meta for p in zoo.create("harm_wrn28_10", 10).parameters())
