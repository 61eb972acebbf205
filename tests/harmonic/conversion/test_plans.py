"""Choices are checked when they are made, and become one plan a layer."""

from dataclasses import FrozenInstanceError

import pytest
from torch import nn

from harmonic.conversion.plans import EVERYTHING, LayerChoice, LayerPlan, choose, plan_from_json
from harmonic.errors import SpectrumError


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 5), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, stride=2))


SIZE = (3, 16, 16)


def test_everything_is_every_layer_with_its_full_band():
    assert LayerChoice() == EVERYTHING
    assert choose(network()) == dict.fromkeys(("0", "1", "2"), LayerPlan())


@pytest.mark.parametrize(
    ("choice", "levels"),
    [
        (LayerChoice(levels=2, size=SIZE), {"0": None, "1": 2, "2": 2}),
        (LayerChoice(levels=2, root_level=3, size=SIZE), {"0": 3, "1": 2, "2": 2}),
        (LayerChoice(levels=(3, 2), size=SIZE), {"0": None, "1": 3, "2": 2}),
        (LayerChoice(levels={"*": 4, "2": 1}), {"0": 4, "1": 4, "2": 1}),
        (LayerChoice(root_level=4, select="root", size=SIZE), {"0": 4}),
        (LayerChoice(levels={"1": 9}, select=["1"]), {"1": None}),
    ],
)
def test_levels_follow_the_choice(choice, levels):
    assert {name: plan.level for name, plan in choose(network(), choice).items()} == levels


def test_the_root_alone_gets_an_inner_norm():
    plans = choose(network(), LayerChoice(norm_root=True, size=SIZE))
    assert {name: plan.norm for name, plan in plans.items()} == {"0": True, "1": False, "2": False}


def test_a_network_runs_only_for_a_choice_that_asks_for_its_root_or_stages():
    assert not LayerChoice(levels={"*": 3}).needs_root
    assert not EVERYTHING.needs_root
    with pytest.raises(SpectrumError, match="does not run on an image"):
        choose(network(), LayerChoice(levels=2, size=(1, 16, 16)))


def test_a_choice_that_contradicts_itself_cannot_be_made():
    with pytest.raises(SpectrumError, match="by name, name the root too"):
        LayerChoice(levels={"*": 3}, root_level=3)


def test_a_choice_stays_as_it_was_made():
    with pytest.raises(FrozenInstanceError):
        EVERYTHING.levels = 3


@pytest.mark.parametrize("plan", [LayerPlan(), LayerPlan(3), LayerPlan(2, norm=True, bias=True, bank="hadamard")])
def test_a_plan_comes_back_from_json(plan):
    assert plan_from_json("0", plan.as_json()) == plan
