"""The cuts among which is chosen, and the weights that one layer alone would have in each: as they were, or solved for
again.

Weights have the shape of the whole layer, with zeros for what is dropped, so they can be tried without a new layer.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from harmonic.compression.cuts import Cut, Sets, as_set, by_frequency, counts, kept, lower_levels, takes_sets
from harmonic.compression.elimination import Staying, eliminated, eliminated_units
from harmonic.compression.moments import Moments
from harmonic.compression.norms import outer_norms
from harmonic.compression.refit import Images, by_group, gathered, run_order
from harmonic.compression.watch import Watch, unwatched
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
    network: nn.Module, batches: Sequence[Images], sets: Sets = "levels", watch: Watch = unwatched
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
        for name in watch([name for name in order if name in once], "Solving for cuts"):
            stop = passes.advance()
            if not stop or stop.layer != name:
                raise RuntimeError(f"the network takes another way at {name}")
            norm_follows = any(follower not in layers for follower in order[order.index(name) :])
            found[name] = _solved(layers[name], stop.values, norm_follows, sets)
    return found


def _solved(
    layer: SpectralConv2d, inputs: Sequence[Tensor], norm_follows: bool, sets: Sets
) -> dict[Cut, Weights | None]:
    centred = norm_follows or layer.bias is not None
    with torch.no_grad():
        moments = gathered(layer, inputs, [layer(batch) for batch in inputs])
    if sets == "levels" or not takes_sets(layer):
        return {cut: _weights(layer, moments, kept(layer, cut), centred) for cut in lower_levels(layer)}
    found = dict(sorted(_staying(layer, moments, centred, sets).items()))
    measured = {*list(found)[::_MEASURED], *list(found)[-1:]} if sets == "channel" else set(found)
    return {
        as_set(layer, one.mask): _placed(layer, moments, one) if count in measured else None
        for count, one in found.items()
    }


def _staying(layer: SpectralConv2d, moments: Moments, centred: bool, sets: Sets) -> Mapping[int, Staying]:
    """The sets of a layer by their size."""
    problem = moments.problem(by_group(layer), centred)
    if sets == "channel":
        return eliminated(*problem, counts(layer, sets))
    return eliminated_units(*problem, by_frequency(layer))


def _weights(layer: SpectralConv2d, moments: Moments, mask: Bool[Tensor, " bands"], centred: bool) -> Weights:
    return _placed(layer, moments, Staying(mask, moments.kept(mask).solved(by_group(layer)[:, :, mask], centred)))


def _placed(layer: SpectralConv2d, moments: Moments, some: Staying) -> Weights:
    """Coefficients of some bands as weights of the whole layer, with the bias that goes with them."""
    every = torch.zeros(by_group(layer).shape, dtype=torch.float64)
    every[:, :, some.mask] = some.coefficients
    bias = None if layer.bias is None else moments.shift(every).to(layer.bias)
    return every.to(layer.weight).reshape(layer.weight.shape), bias
