"""What a layer of a network weighs in every cut, in the measures in which people have budgets: parameters, bytes,
multiplications.

Measures nothing; knows no images.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from harmonic.compression.cuts import Cut, Sets, bands, kept, lightest, own_cuts
from harmonic.conversion import harmonic_layers
from harmonic.graph import Call, ImageSize, parameters, trace
from harmonic.layers import BandNormConv2d, BandSet, SpectralConv2d

_BYTES = 4  # of a number in a bundle, or in an exported graph
_STATISTICS = 2  # of each band of an inner norm: mean and variance


@dataclass(frozen=True)
class Prices:
    """One measure of a network. of: a layer in a cut, by its name. rest: what no cut changes."""

    rest: int
    of: Callable[[str, Cut], int]

    def total(self, cuts: Mapping[str, Cut]) -> int:
        """Of the whole network in these cuts, which name every layer."""
        return self.rest + sum(self.of(name, cut) for name, cut in cuts.items())


def parameter_prices(network: nn.Module) -> Prices:
    """Learned numbers; the network must be `fully_harmonic`, as for the other measures."""
    layers = harmonic_layers(network)
    rest = parameters(network) - sum(map(parameters, layers.values()))
    return Prices(rest, lambda name, cut: _parameters(layers[name], cut))


def byte_prices(network: nn.Module) -> Prices:
    """Bytes of a bundle's weights, headers apart: learned numbers, norms' statistics, and which bands are kept."""
    layers = harmonic_layers(network)
    whole = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    rest = whole - sum(_stored(layers[name], cut) for name, cut in own_cuts(network).items())
    return Prices(rest, lambda name, cut: _stored(layers[name], cut) + _told(cut))


def mac_prices(network: nn.Module, size: ImageSize) -> Prices:
    """Multiply-accumulates for one image of that size, of each layer in the cheaper of its two forms: one convolution,
    which no cut makes cheaper, or the fixed filters and then a sum of the bands that are kept.
    """
    layers, calls = harmonic_layers(network), trace(network, size)
    runs = {name: [call for call in calls if call.layer is layer] for name, layer in layers.items()}
    inner = {id(layer) for layer in layers.values()}
    rest = sum(call.macs for call in calls if id(call.layer) not in inner)
    return Prices(rest, lambda name, cut: sum(_macs(layers[name], call, cut) for call in runs[name]))


def least(network: nn.Module, prices: Prices, sets: Sets = "levels") -> int:
    """The least that any cuts bring a network to."""
    own = own_cuts(network)
    layers = harmonic_layers(network).items()
    return prices.rest + sum(min(prices.of(n, own[n]), prices.of(n, lightest(layer, sets))) for n, layer in layers)


def _kept(layer: SpectralConv2d, cut: Cut) -> int:
    """Bands of a group."""
    return int(kept(layer, cut).sum())


def _parameters(layer: SpectralConv2d, cut: Cut) -> int:
    return parameters(layer) - (bands(layer) - _kept(layer, cut)) * layer.out_channels


def _stored(layer: SpectralConv2d, cut: Cut) -> int:
    """Bytes of a layer's state."""
    normed = _STATISTICS * layer.groups * _kept(layer, cut) if isinstance(layer, BandNormConv2d) else 0
    return (_parameters(layer, cut) + normed) * _BYTES


def _told(cut: Cut) -> int:
    """Bytes that say which bands are kept; a level takes next to none."""
    return len(cut.as_json()["kept"]) if isinstance(cut, BandSet) else 0


def _macs(layer: SpectralConv2d, call: Call, cut: Cut) -> int:
    count = _kept(layer, cut)
    filters = layer.groups * count * math.prod(layer.kernel_size)
    return min(call.macs, call.rows * call.columns * (filters + layer.out_channels * count))
