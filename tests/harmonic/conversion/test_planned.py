"""One layer becomes what its plan says, with the coefficients that it had."""

import pytest
import torch
from torch import nn

from harmonic.conversion import LayerPlan, apply, plan_from_json
from harmonic.conversion.planned import planned
from harmonic.errors import SpectrumError
from harmonic.layers import BandNormConv2d, BandSet, BandSetConv2d, HarmonicConv2d

BANDS = BandSet(36, (0, 1, 9, 20, 35))
PLAN = LayerPlan(bands=BANDS)


def plain():
    torch.manual_seed(0)
    return nn.Conv2d(4, 6, 3, padding=1)


def test_a_plain_layer_keeps_the_bands_of_its_plan():
    made, whole = planned("one", plain(), PLAN), planned("one", plain(), LayerPlan())
    assert isinstance(made, BandSetConv2d)
    mask = BANDS.mask().view(4, 9)
    assert torch.equal(made.coefficients(), torch.where(mask, whole.coefficients(), 0))
    assert torch.equal(made.bias, whole.bias)


def test_a_set_becomes_smaller_and_whole_again():
    made = planned("one", plain(), PLAN)
    fewer = planned("one", made, LayerPlan(bands=BandSet(36, (1, 2, 20))))
    assert torch.equal(fewer.weight[:, [0, 2], 0, 0], made.weight[:, [1, 3], 0, 0])
    assert not fewer.weight[:, 1].any()  # was not there before
    whole = planned("one", made, LayerPlan())
    assert type(whole) is HarmonicConv2d
    assert torch.equal(whole.coefficients(), made.coefficients())


def test_a_set_is_one_of_its_levels_bands():
    made = planned("one", plain(), LayerPlan(2, bands=BandSet(12, (0, 11))))
    assert made.frequencies == ((0, 0), (0, 1), (1, 0))
    with pytest.raises(SpectrumError, match="layer one: the set is one of 36 bands, and the layer has 12"):
        planned("one", plain(), LayerPlan(2, bands=BANDS))


def test_a_layer_with_an_inner_norm_takes_no_set():
    with pytest.raises(SpectrumError, match="layer one: a layer with an inner norm keeps whole frequencies"):
        planned("one", BandNormConv2d(4, 6), LayerPlan(norm=True, bands=BANDS))


def test_a_set_in_a_network_that_cannot_be_is_told_with_its_layer():
    with pytest.raises(SpectrumError, match=r"layer 0: a set of bands is"):
        plan_from_json("0", {"bands": 7})


def test_a_plan_with_a_set_is_read_as_it_was_written():
    for plan in (PLAN, LayerPlan(2, bands=BANDS), LayerPlan(bank="gaussian", bands=BANDS)):
        assert plan_from_json("0", plan.as_json()) == plan
    made = apply(nn.Sequential(plain()), {"0": plan_from_json("0", PLAN.as_json())})
    assert made[0].kept == BANDS
