"""What each layer of a network loses in each cut, measured on calibration images.

The loss of a cut is the mean Kullback-Leibler divergence, in nats, from the answers of the whole network to those with
this one layer cut.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from torch import nn

from harmonic.compression.bench import Bench, device_of, divergence
from harmonic.compression.candidates import Weights, refitted_weights, truncated_weights
from harmonic.compression.cuts import Cut, Sets, bands, kept, lower_levels, plan
from harmonic.compression.effort import affordable
from harmonic.compression.norms import outer_norms
from harmonic.compression.refit import Images
from harmonic.compression.replay import Replay
from harmonic.compression.watch import Watch, unwatched
from harmonic.compression.way import Way
from harmonic.conversion import LayerPlan, apply, harmonic_layers, refusal, spatial_layers
from harmonic.errors import CompressionError
from harmonic.graph import parameters
from harmonic.layers import SpectralConv2d

_IMAGES = 250
_LEAST = 1e-12  # nats: what is less is rounding


@dataclass(frozen=True, slots=True)
class Loss:
    """What one layer loses in one cut. bands: kept, of each group. divergence: mean, in nats; parameters: of the layer
    in that cut."""

    layer: str
    cut: Cut
    bands: int
    parameters: int
    divergence: float


def fully_harmonic(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose every spatial convolution is harmonic; harmonic ones stay as they are."""
    plain = [name for name, layer in spatial_layers(network).items() if not isinstance(layer, SpectralConv2d)]
    plans = {name: LayerPlan() for name in plain if refusal(network.get_submodule(name)) is None}
    network = apply(copy.deepcopy(network), plans).eval()
    if not harmonic_layers(network):
        raise CompressionError("the network has no spatial convolution that could be compressed.")
    return network


def with_cuts(network: nn.Module, cuts: Mapping[str, Cut]) -> nn.Module:
    """A copy of the network with these layers in these cuts."""
    layers = harmonic_layers(network)
    return apply(copy.deepcopy(network), {name: plan(layers[name], cut) for name, cut in cuts.items()})


def losses(
    network: nn.Module, bench: Bench, watch: Watch = unwatched, *, refitted: bool = True, sets: Sets = "levels"
) -> list[Loss]:
    """The loss of every harmonic layer in every cut below its own, each alone; the network must be `fully_harmonic`.

    sets: which cuts. refitted: what is left of it once the layer's coefficients are solved for again and the norms
    behind are moved (`refit`); False measures plain truncation, and takes levels alone. Measured on up to 250 of the
    images, and on fewer for a large network: enough to tell cuts apart. Between sets of bands that are measured others
    are given: their losses lie between.
    """
    layers = harmonic_layers(network)
    batches = bench.some(affordable(network, bench.spec, _IMAGES)).batches(device_of(network))
    weights = refitted_weights(network, batches, sets, watch) if refitted else {}
    for name, layer in layers.items():
        weights.setdefault(name, {cut: truncated_weights(layer, cut) for cut in lower_levels(layer)})
    tried = {(n, cut): changed for n in layers for cut, changed in weights[n].items() if changed is not None}
    sums = _divergences(layers, tried, network, batches, watch, refitted)
    found = {name: {cut: sums.get((name, cut)) for cut in weights[name]} for name in layers}
    return [
        _loss(name, layer, cut, loss) for name, layer in layers.items() for cut, loss in _filled(layer, found[name])
    ]


def _divergences(
    layers: Mapping[str, SpectralConv2d],
    tried: Mapping[tuple[str, Cut], Weights],
    network: nn.Module,
    batches: Sequence[Images],
    watch: Watch,
    refitted: bool,
) -> dict[tuple[str, Cut], float]:
    """Of the network with one layer's weights changed, for each of the changes that are tried."""
    sums = dict.fromkeys(tried, 0.0)
    way = Way.of(network, batches[0][:1], layers.values(), outer_norms(network).values())
    shown = iter(watch(list(tried) * len(batches), "Measuring layers"))
    for batch in batches:
        replay = Replay(network, batch, way)
        for name, cut in islice(shown, len(tried)):
            answers = replay.with_weights(layers[name], tried[name, cut], move_norms=refitted)
            sums[name, cut] += divergence(replay.answers, answers) * len(batch)
    images = sum(map(len, batches))
    return {key: total / images for key, total in sums.items()}


def _filled(layer: SpectralConv2d, measured: Mapping[Cut, float | None]) -> Iterator[tuple[Cut, float]]:
    """Losses of all cuts, the fewest bands first; a loss falls by a constant factor for every band between two that
    are measured."""
    sizes = [int(kept(layer, cut).sum()) for cut in measured]
    known = [(size, loss) for size, loss in zip(sizes, measured.values(), strict=True) if loss is not None]
    at = [size for size, _ in known]
    logs = np.log([max(loss, _LEAST) for _, loss in known])
    for size, (cut, loss) in zip(sizes, measured.items(), strict=True):
        yield cut, float(np.exp(np.interp(size, at, logs))) if loss is None else loss


def _loss(name: str, layer: SpectralConv2d, cut: Cut, divergence: float) -> Loss:
    count = int(kept(layer, cut).sum())
    return Loss(name, cut, count, parameters(layer) - (bands(layer) - count) * layer.out_channels, divergence)
