"""What a network costs in time, layer by layer and whole. The clock is handed in: what measures graphs knows ONNX.

Times are whole nanoseconds of one call for one image.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from torch import nn

from harmonic.compression.choice import Budget, Menu, must_be_possible
from harmonic.compression.cuts import Cut, lower_levels, own_cuts
from harmonic.compression.prices import Prices
from harmonic.compression.sensitivity import Loss, with_cuts
from harmonic.conversion import harmonic_layers
from harmonic.errors import CompressionError
from harmonic.layers import BandSet, SpectralConv2d
from harmonic.pixels import PixelSpec

Frequencies = tuple[tuple[int, int], ...]
Kept = tuple[str, Frequencies | BandSet]  # a layer by name, and the frequencies that it has left, or its bands

_NEAR = 0.95  # of what a budget allows: no better choice is looked for
_TRIES = 6  # of a budget: what layers take by themselves is not all of what they take together


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


def latency_prices(network: nn.Module, times: Times, wanted: Collection[tuple[str, Cut]] | None = None) -> Prices:
    """Nanoseconds of every layer at every level, or in those cuts that are wanted beside every layer's own; the network
    must be `fully_harmonic`. What no cut changes is the rest of what the whole network takes.
    """
    layers, own = harmonic_layers(network), set(own_cuts(network).items())
    asked = own | set(_every_level(layers) if wanted is None else wanted)
    kept = {(name, cut): (name, _kept(layers[name], cut)) for name, cut in asked}
    measured = times.of_layers(set(kept.values()))
    prices = {each: measured[key] for each, key in kept.items()}
    return Prices(times.whole - sum(prices[each] for each in own), lambda name, cut: prices[name, cut])


def cuts_in_time(
    network: nn.Module, measured: Sequence[Loss], prices: Prices, budget: Budget, times: Times
) -> dict[str, Cut]:
    """The cuts for the least total loss whose whole network keeps to a budget in latency, by measurement.

    What layers take by themselves chooses. Where the network then takes longer than that says, it is chosen again with
    so much less; and where that was more than enough, with a sum between. CompressionError, with the shortest that was
    measured, where none of a few choices keeps to it.
    """
    wanted = allowed = budget.allowed(times.whole)
    menu = Menu.of(network, measured, prices)
    found: list[int] = []
    kept: dict[str, Cut] = {}
    enough, too_much = menu.least(), 0  # sums of layers' times: one that kept to the budget, and one that did not
    for _ in range(_TRIES):
        allowed = max(allowed, menu.least())
        chosen = menu.chosen(allowed)
        if chosen is None:
            raise CompressionError(f"nothing that may be left out brings the network to {allowed / 1e6:.2f} ms.")
        cuts = menu.as_cuts(chosen)
        found.append(times.beside(with_cuts(network, cuts)))
        if found[-1] <= wanted:
            kept, enough = cuts, allowed
            if not too_much or found[-1] >= _NEAR * wanted:
                break
        else:
            too_much = allowed
        allowed = (enough + too_much) // 2 if kept else allowed - (found[-1] - wanted)
    if kept:
        return kept
    must_be_possible(network, prices, wanted, "latency")
    raise CompressionError(
        f"none of {len(found)} choices took {wanted / 1e6:.2f} ms or less; the shortest took "
        f"{min(found) / 1e6:.2f} of {times.whole / 1e6:.2f} ms. Give a larger share."
    )


def _every_level(layers: Mapping[str, SpectralConv2d]) -> list[tuple[str, Cut]]:
    return [(name, cut) for name, layer in layers.items() for cut in lower_levels(layer)]


def _kept(layer: SpectralConv2d, cut: Cut) -> Frequencies | BandSet:
    if isinstance(cut, BandSet):
        return cut
    return tuple((u, v) for u, v in layer.frequencies if cut is None or u + v < cut)
