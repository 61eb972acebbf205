"""A layer of a set of bands is the whole layer with zeros for the others, and its weight holds the set alone."""

import pytest
import torch

from harmonic.errors import SpectrumError
from harmonic.layers import BandSet, BandSetConv2d, HarmonicConv2d
from tests.support.laws import assert_close

GEOMETRIES = [
    {"in_channels": 4, "out_channels": 6, "padding": 1},
    {"in_channels": 8, "out_channels": 6, "groups": 2, "stride": 2, "bias": False, "level": 3},
    {"in_channels": 4, "out_channels": 4, "groups": 4, "kernel_size": 5, "padding": 2, "padding_mode": "reflect"},
    {"in_channels": 3, "out_channels": 5, "dilation": 2, "dc": False, "bank": "gaussian"},
]


def pair(geometry):
    """A whole layer, and the same of a set: what the whole one has for the other bands is zero."""
    torch.manual_seed(0)
    whole = HarmonicConv2d(**geometry).double()
    bands = whole.weight[0].numel()
    kept = BandSet.of_mask(torch.rand(bands) < 0.4)
    small = BandSetConv2d(**geometry, kept=kept).double()
    with torch.no_grad():
        whole.weight[:, ~kept.mask().view(whole.weight.shape[1:])] = 0
        small.weight.copy_(whole.weight.flatten(1)[:, kept.mask()].reshape(small.weight.shape))
        if whole.bias is not None:
            small.bias.copy_(whole.bias.normal_())
    return whole, small


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_set_answers_as_the_whole_layer_with_zeros_for_the_others(geometry):
    whole, small = pair(geometry)
    x = torch.randn(2, geometry["in_channels"], 9, 11, dtype=torch.float64)
    assert_close(small(x), whole(x))
    assert_close(small.as_conv2d()(x), whole(x))
    assert torch.equal(small.coefficients(), whole.coefficients())
    assert small.weight.shape == (whole.out_channels, len(small.kept.numbers), 1, 1)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_its_bands_weighed_are_its_answer(geometry):
    _, small = pair(geometry)
    x = torch.randn(2, geometry["in_channels"], 9, 11, dtype=torch.float64)
    weighed = torch.nn.functional.conv2d(small.bands(x), small.weight, small.bias, groups=small.groups)
    assert_close(weighed, small(x))


def test_it_learns_what_it_keeps():
    _, small = pair(GEOMETRIES[0])
    small(torch.randn(2, 4, 5, 5, dtype=torch.float64)).square().sum().backward()
    assert small.weight.grad.shape == small.weight.shape
    assert (small.weight.grad != 0).all()


def test_its_mask_is_right_after_every_move():
    _, small = pair(GEOMETRIES[1])
    moved = small.to("meta").to_empty(device="cpu").half()
    assert torch.equal(moved.mask.bool(), small.kept.mask())


@pytest.mark.parametrize("numbers", [(0,), (8,), (0, 3, 8), tuple(range(9))])
def test_a_set_is_read_as_it_was_written(numbers):
    kept = BandSet(9, numbers)
    assert BandSet.from_json(kept.as_json()) == kept
    assert BandSet.of_mask(kept.mask()) == kept


@pytest.mark.parametrize("numbers", [(), (3, 1), (1, 1), (-1, 2), (9,)])
def test_a_set_that_cannot_be_is_refused(numbers):
    with pytest.raises(SpectrumError, match="numbers from 0 to 8"):
        BandSet(9, numbers)


@pytest.mark.parametrize(
    "value", [None, 3, {}, {"of": 9}, {"of": 9, "kept": "x"}, {"of": 9, "kept": "ff"}, {"of": 0, "kept": ""}]
)
def test_what_is_no_set_is_refused(value):
    with pytest.raises(SpectrumError, match="a set of"):
        BandSet.from_json(value)


def test_a_set_of_another_layer_is_refused():
    with pytest.raises(SpectrumError, match="one of 9 bands, and the layer has 36"):
        BandSetConv2d(4, 6, kept=BandSet(9, (0,)))


def test_it_shows_how_many_bands_it_has():
    made = BandSetConv2d(4, 6, kept=BandSet(36, (0, 5)))
    assert repr(made) == "BandSetConv2d(4 -> 6, k=3, 9/9 filters, 2/36 bands)"


@pytest.mark.parametrize("init", ["fan_out", "fan_in", "preserving"])
def test_starting_weights_keep_to_what_is_there(init):
    """A set of everything starts as the whole layer does."""
    whole = HarmonicConv2d(48, 64, init=init)
    made = BandSetConv2d(48, 64, init=init, kept=BandSet(48 * 9, tuple(range(48 * 9))))
    assert made.weight.std().item() == pytest.approx(whole.weight.std().item(), rel=0.05)
