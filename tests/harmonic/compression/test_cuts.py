"""What a cut keeps of a layer, and the cuts that there are."""

from itertools import pairwise

import pytest
import torch

from harmonic.compression.cuts import (
    as_set,
    bands,
    by_frequency,
    counts,
    kept,
    lightest,
    lower_levels,
    own_cut,
    plan,
    takes_sets,
)
from harmonic.conversion import LayerPlan
from harmonic.layers import BandNormConv2d, BandSet, BandSetConv2d, HarmonicConv2d

SET = BandSet(36, (0, 4, 9, 10, 35))
LAYERS = {
    "whole": HarmonicConv2d(4, 6),
    "level": HarmonicConv2d(4, 6, level=3),
    "groups": HarmonicConv2d(4, 6, groups=2),
    "depth-wise": HarmonicConv2d(4, 4, groups=4),
    "set": BandSetConv2d(4, 6, kept=SET),
}
every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)


@every_layer
def test_what_a_layer_has_keeps_all_its_bands(layer):
    assert kept(layer, own_cut(layer)).all()
    assert len(kept(layer, own_cut(layer))) == bands(layer) == layer.weight[0].numel()


@every_layer
def test_a_set_of_some_bands_keeps_those(layer):
    mask = torch.arange(bands(layer)) % 3 == 1
    assert torch.equal(kept(layer, as_set(layer, mask)), mask)


def test_a_level_keeps_the_low_frequencies_of_every_channel():
    mask = kept(LAYERS["whole"], 2).view(4, 9)
    assert torch.equal(mask, torch.tensor([[1, 1, 0, 1, 0, 0, 0, 0, 0]] * 4).bool())
    assert kept(LAYERS["set"], 2).tolist() == [True, False, True, True, False]


@every_layer
def test_lower_levels_are_nested_and_less_than_the_layer(layer):
    masks = [kept(layer, cut) for cut in lower_levels(layer)]
    assert all((low <= high).all() for low, high in pairwise(masks))
    assert all(0 < mask.sum() < bands(layer) for mask in masks)


@every_layer
def test_a_set_has_fewer_units_than_its_layer(layer):
    assert counts(layer, "layer") == list(range(1, len(set(by_frequency(layer).tolist()))))
    found = counts(layer, "channel")
    assert found == sorted(set(found))
    assert 1 <= found[0] <= found[-1] < bands(layer)


@every_layer
@pytest.mark.parametrize("sets", ["levels", "layer", "channel"])
def test_the_lightest_cut_is_no_heavier_than_any(layer, sets):
    least = kept(layer, lightest(layer, sets)).sum()
    assert all(least <= kept(layer, cut).sum() for cut in lower_levels(layer))
    if sets == "channel":
        assert least == counts(layer, sets)[0]


def test_a_layer_with_an_inner_norm_keeps_levels():
    layer = BandNormConv2d(4, 6)
    assert not takes_sets(layer)
    assert lightest(layer, "channel") == 1
    assert plan(layer, 2) == LayerPlan(2, norm=True)


def test_plans_say_levels_and_sets():
    assert plan(LAYERS["whole"], 2) == LayerPlan(2)
    assert plan(LAYERS["set"], SET) == LayerPlan(bands=SET)
    small = BandSet(24, (0, 3))
    assert plan(LAYERS["level"], small) == LayerPlan(3, bands=small)
