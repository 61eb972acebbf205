"""The cuts among which is chosen, and the weights that one layer alone would have in each: as they were, or solved for
again.

Weights have the shape of the whole layer, with zeros for what is dropped, so they can be tried without a new layer.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from harmonic.compression.cuts import Cut, Sets, as_set, by_frequency, counts, kept, lower_levels, takes_sets
from harmonic.compression.elimination import eliminated, eliminated_units
from harmonic.compression.moments import Moments
from harmonic.compression.refit import Images, by_group, gathered, outer_norms, run_order
from harmonic.conversion import harmonic_layers
from harmonic.graph import Lockstep
from harmonic.layers import SpectralConv2d

Weights = tuple[Tensor, Tensor | None]  # of a layer, and its bias

_MEASURED = 4  # of so many sets of bands one is measured, and the first and the last; the others lie between


def truncated_weights(layer: SpectralConv2d, cut: Cut) -> Weights:
    """The kept coefficients as they are."""
    weights = torch.where(kept(layer, cut).to(layer.weight.device), by_group(layer), 0)
    return weights.reshape(layer.weight.shape), None if layer.bias is None else layer.bias.detach()


def refitted_weights(
    network: nn.Module, batches: Sequence[Images], sets: Sets = "levels"
) -> dict[str, dict[Cut, Weights | None]]:
    """By layer and cut, for every layer that runs once, each as if it alone were cut: the kept coefficients solved for
    again.

    sets: which cuts. Sets of bands are found by what can be missed best; of most there are no weights (None), since
    they lie close enough to others.
    """
    layers = harmonic_layers(network)
    order = run_order(network, [*layers, *outer_norms(network)], batches[0][:1])
    once = [name for name in layers if order.count(name) == 1]
    found = {}
    with Lockstep(network, batches, before=once) as passes:
        while stop := passes.advance():
            followers = order[order.index(stop.layer) :]
            norm_follows = any(name not in layers for name in followers)
            found[stop.layer] = _solved(layers[stop.layer], stop.values, norm_follows, sets)
    return found


def _solved(
    layer: SpectralConv2d, inputs: Sequence[Tensor], norm_follows: bool, sets: Sets
) -> dict[Cut, Weights | None]:
    centred = norm_follows or layer.bias is not None
    with torch.no_grad():
        moments = gathered(layer, inputs, [layer(batch) for batch in inputs])
    if sets == "levels" or not takes_sets(layer):
        return {cut: _weights(layer, moments, kept(layer, cut), centred) for cut in lower_levels(layer)}
    masks = _masks(layer, moments, centred, sets)
    measured = {*list(masks)[::_MEASURED], *list(masks)[-1:]} if sets == "channel" else set(masks)
    return {
        as_set(layer, mask): _weights(layer, moments, mask, centred) if count in measured else None
        for count, mask in masks.items()
    }


def _masks(layer: SpectralConv2d, moments: Moments, centred: bool, sets: Sets) -> Mapping[int, Bool[Tensor, " bands"]]:
    """The sets of a layer by their size, fewest first."""
    problem = moments.problem(by_group(layer), centred)
    if sets == "channel":
        masks = eliminated(*problem, counts(layer, sets))
    else:
        masks = eliminated_units(*problem, by_frequency(layer))
    return dict(sorted(masks.items()))


def _weights(layer: SpectralConv2d, moments: Moments, mask: Bool[Tensor, " bands"], centred: bool) -> Weights:
    start, some = by_group(layer), moments.kept(mask)
    solved = some.solved(start[:, :, mask], centred)
    weights = torch.zeros_like(start)
    weights[:, :, mask] = solved.to(start)
    bias = None if layer.bias is None else some.shift(solved).to(layer.bias)
    return weights.reshape(layer.weight.shape), bias
