"""What is kept of a layer: the low frequencies of every channel, up to a level, or a set of bands; and how to say so.

A band is one filter's response to one input channel. Knows layers; no images.
"""

from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from harmonic.conversion import LayerPlan, Level, harmonic_layers
from harmonic.layers import BandNormConv2d, BandSet, BandSetConv2d, HarmonicConv2d, SpectralConv2d

Cut = Level | BandSet
Sets = Literal["levels", "layer", "channel"]

_PARTS = 24  # sets of bands are tried in steps of this part of a layer


def own_cut(layer: SpectralConv2d) -> Cut:
    """What a layer has."""
    return layer.kept if isinstance(layer, BandSetConv2d) else layer.level


def own_cuts(network: nn.Module) -> dict[str, Cut]:
    """What every harmonic layer of a network has."""
    return {name: own_cut(layer) for name, layer in harmonic_layers(network).items()}


def plan(layer: SpectralConv2d, cut: Cut) -> LayerPlan:
    """How to bring a layer there."""
    if isinstance(cut, BandSet):
        return LayerPlan(layer.level, bands=cut)
    return LayerPlan(cut, norm=isinstance(layer, BandNormConv2d))


def bands(layer: SpectralConv2d) -> int:
    """How many bands a layer weighs in each group."""
    return layer.weight.numel() // layer.out_channels


def kept(layer: SpectralConv2d, cut: Cut) -> Bool[Tensor, " bands"]:
    """Which of a layer's bands a cut keeps."""
    numbers = _numbers(layer)
    if isinstance(cut, BandSet):
        return cut.mask()[numbers]
    highest = full_level(layer) if cut is None else cut
    low = torch.tensor([u + v < highest for u, v in layer.frequencies])
    return low[numbers % len(layer.frequencies)]


def full_level(layer: SpectralConv2d) -> int:
    """The level that keeps all of the layer's frequencies."""
    return max(u + v for u, v in layer.frequencies) + 1


def lower_levels(layer: SpectralConv2d) -> list[Cut]:
    """The cuts that keep less than the layer has, and all its bands up to a level."""
    masks = {level: kept(layer, level) for level in range(1, full_level(layer))}
    if not isinstance(layer, BandSetConv2d):
        return list(masks)
    return list(dict.fromkeys(as_set(layer, mask) for mask in masks.values() if mask.any() and not mask.all()))


def as_set(layer: SpectralConv2d, mask: Bool[Tensor, " bands"]) -> BandSet:
    """Some of a layer's bands."""
    of = layer.in_channels // layer.groups * len(layer.frequencies)
    return BandSet(of, tuple(_numbers(layer)[mask].tolist()))


def takes_sets(layer: SpectralConv2d) -> bool:
    """Whether a layer can keep any bands; the statistics of an inner norm are of whole frequencies."""
    return isinstance(layer, HarmonicConv2d)


def by_frequency(layer: SpectralConv2d) -> Tensor:
    """The number of every band's filter."""
    return _numbers(layer) % len(layer.frequencies)


def counts(layer: SpectralConv2d, sets: Sets) -> list[int]:
    """How many units a set of the layer may have, fewest first: bands, or filters where all channels have the same."""
    if sets == "layer":
        return list(range(1, len(set(by_frequency(layer).tolist()))))
    every = bands(layer)
    return sorted({max(1, round(every * part / _PARTS)) for part in range(1, _PARTS)} - {every})


def lightest(layer: SpectralConv2d, sets: Sets) -> Cut:
    """The least that may be kept of a layer; of a set, some bands of as many."""
    first = torch.zeros(bands(layer), dtype=torch.bool)
    if sets == "levels" or not takes_sets(layer):
        return next(iter(lower_levels(layer)), own_cut(layer))
    if sets == "channel":
        first[: next(iter(counts(layer, sets)), bands(layer))] = True
        return as_set(layer, first)
    filters = by_frequency(layer)
    rarest = min(filters.tolist(), key=filters.tolist().count)
    return as_set(layer, filters == rarest)


def _numbers(layer: SpectralConv2d) -> Tensor:
    """The numbers of the layer's bands, as a set counts them."""
    own = layer.kept.numbers if isinstance(layer, BandSetConv2d) else range(bands(layer))
    return torch.tensor(list(own))
