"""What each layer of a network loses at each level, measured on calibration images.

The loss of a level is the mean Kullback-Leibler divergence, in nats, from the answers of the whole network to those
with this one layer truncated.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from torch import nn

from harmonic.compression.bench import Bench, device_of, divergence
from harmonic.compression.candidates import full_level, refitted_weights, truncated_weights
from harmonic.compression.replay import Replay
from harmonic.compression.watch import Watch, unwatched
from harmonic.conversion import LayerPlan, Level, apply, harmonic_layers, refusal, spatial_layers
from harmonic.errors import CompressionError
from harmonic.graph import parameters
from harmonic.layers import BandNormConv2d, SpectralConv2d

_IMAGES = 250


@dataclass(frozen=True, slots=True)
class Loss:
    """What one layer loses at one level. divergence: mean, in nats; parameters: of the layer at that level."""

    layer: str
    level: int
    filters: int
    parameters: int
    divergence: float


def fully_harmonic(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose every spatial convolution is harmonic; harmonic ones keep their level."""
    plain = [name for name, layer in spatial_layers(network).items() if not isinstance(layer, SpectralConv2d)]
    plans = {name: LayerPlan() for name in plain if refusal(network.get_submodule(name)) is None}
    network = apply(copy.deepcopy(network), plans).eval()
    if not harmonic_layers(network):
        raise CompressionError("the network has no spatial convolution that could be compressed.")
    return network


def with_levels(network: nn.Module, levels: Mapping[str, Level]) -> nn.Module:
    """A copy of the network with these layers at these levels."""
    layers = harmonic_layers(network)
    plans = {name: LayerPlan(level, norm=isinstance(layers[name], BandNormConv2d)) for name, level in levels.items()}
    return apply(copy.deepcopy(network), plans)


def losses(network: nn.Module, bench: Bench, watch: Watch = unwatched, *, refitted: bool = True) -> list[Loss]:
    """The loss of every harmonic layer at every level below its own, each alone; the network must be `fully_harmonic`.

    refitted: what is left of it once the layer's coefficients are solved for again and the norms behind are moved
    (`refit`); False measures plain truncation. Measured on up to 250 of the images: enough to tell levels apart.
    """
    layers = harmonic_layers(network)
    batches = bench.some(_IMAGES).batches(device_of(network))
    weights = refitted_weights(network, batches) if refitted else {}
    steps = [(name, level) for name, layer in layers.items() for level in range(1, full_level(layer))]
    sums = dict.fromkeys(steps, 0.0)
    shown = iter(watch(steps * len(batches), "Measuring layers"))
    for batch in batches:
        replay = Replay(network, batch)
        for name, level in islice(shown, len(steps)):
            changed = weights.get((name, level)) or truncated_weights(layers[name], level)
            answers = replay.with_weights(layers[name], changed, move_norms=refitted)
            sums[name, level] += divergence(replay.answers, answers) * len(batch)
    images = sum(map(len, batches))
    return [_loss(name, layers[name], level, total / images) for (name, level), total in sums.items()]


def _loss(name: str, layer: SpectralConv2d, level: int, divergence: float) -> Loss:
    kept = sum(u + v < level for u, v in layer.frequencies)
    dropped = len(layer.frequencies) - kept
    each = layer.weight.numel() // len(layer.frequencies)
    return Loss(name, level, kept, parameters(layer) - dropped * each, divergence)
