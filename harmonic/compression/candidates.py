"""The weights that one layer alone would have at each level: truncated, or truncated and solved for again.

They have the shape of the whole layer, with zeros for what is dropped, so they can be tried without a new layer.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harmonic.compression.refit import Images, by_group, gathered, outer_norms, run_order
from harmonic.conversion import harmonic_layers
from harmonic.graph import Lockstep
from harmonic.layers import SpectralConv2d

Weights = tuple[Tensor, Tensor | None]  # of a layer, and its bias


def full_level(layer: SpectralConv2d) -> int:
    """The level that keeps all of the layer's frequencies."""
    return max(u + v for u, v in layer.frequencies) + 1


def truncated_weights(layer: SpectralConv2d, level: int) -> Weights:
    """The kept coefficients as they are."""
    weights = torch.where(_kept(layer, level).to(layer.weight.device), by_group(layer), 0)
    return weights.reshape(layer.weight.shape), None if layer.bias is None else layer.bias.detach()


def refitted_weights(network: nn.Module, batches: Sequence[Images]) -> dict[tuple[str, int], Weights]:
    """The kept coefficients solved for again, by layer and level, for every layer that runs once; each as if it alone
    were truncated."""
    layers = harmonic_layers(network)
    order = run_order(network, [*layers, *outer_norms(network)], batches[0][:1])
    once = [name for name in layers if order.count(name) == 1]
    found = {}
    with Lockstep(network, batches, before=once) as passes:
        while stop := passes.advance():
            followers = order[order.index(stop.layer) :]
            norm_follows = any(name not in layers for name in followers)
            for level, weights in _solved(layers[stop.layer], stop.values, norm_follows).items():
                found[stop.layer, level] = weights
    return found


def _solved(layer: SpectralConv2d, inputs: Sequence[Tensor], norm_follows: bool) -> dict[int, Weights]:
    start = by_group(layer)
    with torch.no_grad():
        moments = gathered(layer, inputs, [layer(batch) for batch in inputs])
    found: dict[int, Weights] = {}
    for level in range(1, full_level(layer)):
        kept = _kept(layer, level)
        some = moments.kept(kept)
        solved = some.solved(start[:, :, kept], centred=norm_follows or layer.bias is not None)
        weights = torch.zeros_like(start)
        weights[:, :, kept] = solved.to(start)
        bias = None if layer.bias is None else some.shift(solved).to(layer.bias)
        found[level] = weights.reshape(layer.weight.shape), bias
    return found


def _kept(layer: SpectralConv2d, level: int) -> Tensor:
    """Which responses of a group stay."""
    mask = torch.tensor([u + v < level for u, v in layer.frequencies])
    return mask.repeat(layer.in_channels // layer.groups)
