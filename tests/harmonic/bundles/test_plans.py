"""What a card says of layers that were changed once or more often."""

import pytest
import torch

from harmonic import zoo
from harmonic.bundles.bundle import Bundle, Card
from harmonic.bundles.plans import with_plans
from harmonic.conversion import LayerPlan
from harmonic.layers import BandSet
from harmonic.pixels import PixelSpec


def given(architecture: str, **arguments: object) -> Bundle:
    torch.manual_seed(0)
    card = Card(
        architecture=architecture,
        arguments=arguments,
        classes=("a", "b"),
        pixels=PixelSpec(height=16, width=16),
        metrics={"test": {"top1": 0.5}},
    )
    return Bundle(card, zoo.create(architecture, 2, **arguments))


def test_a_plain_layers_plan_is_said_as_it_is():
    card = with_plans(given("wrn10_1"), {"root": LayerPlan(2), "groups.0.0.conv0": LayerPlan()}, {"new": 1})
    assert card.arguments == {"spectrum": {"root": 2, "groups.0.0.conv0": None}}
    assert card.metrics == {"new": 1}


@pytest.mark.parametrize(("bank", "kept"), [(None, "gaussian"), ("hadamard", "hadamard")])
def test_a_layer_keeps_how_it_was_made_and_its_bank_unless_another_is_named(bank, kept):
    made = {"root": {"level": 3, "norm": True, "bias": True, "bank": "gaussian"}}
    card = with_plans(given("wrn10_1", spectrum=made), {"root": LayerPlan(2, bank=bank)}, {})
    assert card.arguments["spectrum"]["root"] == {"level": 2, "norm": True, "bias": True, "bank": kept}


def test_a_layer_of_a_set_keeps_its_bank_and_is_told_whole():
    bands = BandSet(16 * 9, (0, 5, 100))
    card = with_plans(
        given("wrn10_1", spectrum={"groups.0.0.conv0": {"level": 3, "bank": "gaussian"}}),
        {"groups.0.0.conv0": LayerPlan(None, bands=bands)},
        {},
    )
    assert card.arguments["spectrum"]["groups.0.0.conv0"]["bank"] == "gaussian"
    again = zoo.create("wrn10_1", 2, **card.arguments).get_submodule("groups.0.0.conv0")
    assert (again.kept, again.bank_kind) == (bands, "gaussian")


def test_layers_that_no_plan_names_keep_theirs():
    card = with_plans(given("wrn10_1", spectrum={"root": 3}), {"groups.0.0.conv0": LayerPlan(2)}, {})
    assert card.arguments["spectrum"] == {"root": 3, "groups.0.0.conv0": 2}


def test_the_given_card_is_left_alone():
    start = given("wrn10_1", spectrum={"root": 3})
    with_plans(start, {"root": LayerPlan(1)}, {})
    assert start.card.arguments == {"spectrum": {"root": 3}}
    assert start.card.metrics == {"test": {"top1": 0.5}}
