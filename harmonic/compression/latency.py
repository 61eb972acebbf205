"""What a network costs in time, layer by layer and whole. The clock is handed in: what measures graphs knows ONNX.

Times are whole nanoseconds of one call for one image.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from torch import nn

from harmonic.compression.candidates import full_level
from harmonic.compression.levels import Budget, Menu, least, must_be_possible
from harmonic.compression.prices import Prices
from harmonic.compression.sensitivity import Loss, with_levels
from harmonic.conversion import Level, harmonic_layers
from harmonic.errors import CompressionError
from harmonic.layers import SpectralConv2d
from harmonic.pixels import PixelSpec

Frequencies = tuple[tuple[int, int], ...]
Kept = tuple[str, Frequencies]  # a layer by name, and the frequencies that it has left

_TRIES = 4  # of a budget: what layers take by themselves is not all of what they take together


class Times(Protocol):
    """One network on one machine, as it would be served."""

    @property
    def whole(self) -> int:
        """Of the whole network."""

    def of_layers(self, wanted: Collection[Kept]) -> Mapping[Kept, int]:
        """Of each layer by itself, in the form in which it would be served."""

    def beside(self, other: nn.Module) -> int:
        """Of another network, measured beside the whole one."""


Clock = Callable[[nn.Module, PixelSpec], Times | None]  # None where it cannot time that network


def must_be_timed(times: Times | None) -> Times:
    """The times; CompressionError where no clock took any."""
    if times is None:
        raise CompressionError("a budget in latency needs latency to be measured.")
    return times


def latency_prices(network: nn.Module, times: Times, wanted: Collection[tuple[str, Level]] | None = None) -> Prices:
    """Nanoseconds of every layer at every level, or of those that are wanted beside every layer's own; the network must
    be `fully_harmonic`. What no level changes is the rest of what the whole network takes.
    """
    layers = harmonic_layers(network)
    own = {(name, layer.level) for name, layer in layers.items()}
    asked = own | set(_every_level(layers) if wanted is None else wanted)
    kept = {(name, level): (name, _kept(layers[name], level)) for name, level in asked}
    measured = times.of_layers(set(kept.values()))
    prices = {each: measured[key] for each, key in kept.items()}
    return Prices(times.whole - sum(prices[each] for each in own), prices)


def levels_in_time(
    network: nn.Module, measured: Sequence[Loss], prices: Prices, budget: Budget, times: Times
) -> dict[str, Level]:
    """The levels for the least total loss whose whole network keeps to a budget in latency, by measurement.

    What layers take by themselves chooses; where the network then takes longer than that says, it is chosen again with
    so much less. CompressionError, with the shortest that was measured, where none of a few choices keeps to it.
    """
    wanted = allowed = budget.allowed(times.whole)
    menu = Menu.of(network, measured, prices)
    found: list[int] = []
    for _ in range(_TRIES):
        allowed = max(allowed, least(prices))
        chosen = menu.chosen(allowed)
        if chosen is None:
            raise CompressionError(f"no levels bring the network to {allowed / 1e6:.2f} ms.")
        levels = menu.as_levels(chosen)
        found.append(times.beside(with_levels(network, levels)))
        if found[-1] <= wanted:
            return levels
        allowed -= found[-1] - wanted
    must_be_possible(prices, wanted, "latency")
    raise CompressionError(
        f"none of {len(found)} choices of levels took {wanted / 1e6:.2f} ms or less; the shortest took "
        f"{min(found) / 1e6:.2f} of {times.whole / 1e6:.2f} ms. Give a larger share."
    )


def _every_level(layers: Mapping[str, SpectralConv2d]) -> list[tuple[str, Level]]:
    return [(name, level) for name, layer in layers.items() for level in range(1, full_level(layer))]


def _kept(layer: SpectralConv2d, level: Level) -> Frequencies:
    return tuple((u, v) for u, v in layer.frequencies if level is None or u + v < level)
