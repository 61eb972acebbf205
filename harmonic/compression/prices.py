"""What every layer of a network weighs at every level, in the measures in which people have budgets: parameters, bytes,
multiplications.

Measures nothing; knows no images.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from harmonic.compression.candidates import full_level
from harmonic.conversion import Level, harmonic_layers
from harmonic.graph import Call, ImageSize, parameters, trace
from harmonic.layers import BandNormConv2d, SpectralConv2d

_BYTES = 4  # of a number in a bundle, or in an exported graph
_STATISTICS = 2  # of each band of an inner norm: mean and variance


@dataclass(frozen=True)
class Prices:
    """One measure of a network. layers: of each layer at its own level and at every lower one. rest: what no level
    changes."""

    rest: int
    layers: Mapping[tuple[str, Level], int]

    def total(self, levels: Mapping[str, Level]) -> int:
        """Of the whole network at these levels, which name every layer."""
        return self.rest + sum(self.layers[name, level] for name, level in levels.items())


def parameter_prices(network: nn.Module) -> Prices:
    """Learned numbers; the network must be `fully_harmonic`, as for the other measures."""
    layers = harmonic_layers(network)
    rest = parameters(network) - sum(map(parameters, layers.values()))
    return Prices(rest, {(n, level): _parameters(layers[n], kept) for n, level, kept in _levels(layers)})


def byte_prices(network: nn.Module) -> Prices:
    """Bytes of a bundle's weights, headers apart: learned numbers and norms' statistics."""
    layers = harmonic_layers(network)
    prices = {(name, level): _bytes(layers[name], kept) for name, level, kept in _levels(layers)}
    whole = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    return Prices(whole - sum(prices[name, layer.level] for name, layer in layers.items()), prices)


def mac_prices(network: nn.Module, size: ImageSize) -> Prices:
    """Multiply-accumulates for one image of that size, of each layer in the cheaper of its two forms: one convolution,
    which no level makes cheaper, or the fixed filters and then a sum of what is kept.
    """
    layers, calls = harmonic_layers(network), trace(network, size)
    runs = {name: [call for call in calls if call.layer is layer] for name, layer in layers.items()}
    prices = {(n, level): sum(_macs(layers[n], call, kept) for call in runs[n]) for n, level, kept in _levels(layers)}
    inner = {id(layer) for layer in layers.values()}
    return Prices(sum(call.macs for call in calls if id(call.layer) not in inner), prices)


def _levels(layers: Mapping[str, SpectralConv2d]) -> list[tuple[str, Level, int]]:
    """Name, level and number of frequencies of every layer at its own level and at every lower one."""
    found: list[tuple[str, Level, int]] = []
    for name, layer in layers.items():
        found.append((name, layer.level, len(layer.frequencies)))
        lower = range(1, full_level(layer))
        found += [(name, level, sum(u + v < level for u, v in layer.frequencies)) for level in lower]
    return found


def _parameters(layer: SpectralConv2d, kept: int) -> int:
    each = layer.weight.numel() // len(layer.frequencies)
    return parameters(layer) - (len(layer.frequencies) - kept) * each


def _bytes(layer: SpectralConv2d, kept: int) -> int:
    statistics = _STATISTICS * layer.in_channels * kept if isinstance(layer, BandNormConv2d) else 0
    return (_parameters(layer, kept) + statistics) * _BYTES


def _macs(layer: SpectralConv2d, call: Call, kept: int) -> int:
    filters = layer.in_channels * kept * math.prod(layer.kernel_size)
    weighing = layer.out_channels * layer.in_channels // layer.groups * kept
    return min(call.macs, call.rows * call.columns * (filters + weighing))
