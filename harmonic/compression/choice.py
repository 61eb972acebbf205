"""The cuts that lose least within a budget.

Losses of different layers are added up, which holds while they are small.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from harmonic.compression.bench import Bench
from harmonic.compression.cuts import Cut, Sets, own_cuts
from harmonic.compression.knapsack import Option, cheapest_within
from harmonic.compression.prices import Prices, least, parameter_prices
from harmonic.compression.sensitivity import Loss
from harmonic.conversion import harmonic_layers
from harmonic.errors import CompressionError
from harmonic.graph import parameters

Measure = Literal["params", "macs", "bytes", "latency"]
ShareMeasure = Literal["params", "macs"]
_SHARES: dict[str, "Measure"] = {"params": "params", "macs": "macs", "latency": "latency"}
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
WORDS: dict["Measure", str] = {
    "params": "parameters",
    "macs": "multiplications",
    "bytes": "bytes of weights",
    "latency": "latency",
}


@dataclass(frozen=True, slots=True)
class Budget:
    """What compression must keep to. params, macs, latency: share of the parameters, of the multiplications, or of the
    time; bytes: of the weights; accuracy: points of top-1, zero or negative."""

    kind: Literal["params", "macs", "bytes", "latency", "accuracy"]
    value: float

    def __str__(self) -> str:
        return f"{self.kind}={self.value}"

    def allowed(self, whole: int) -> int:
        """How much of its measure a network of so much may keep."""
        return int(self.value) if self.kind == "bytes" else round(self.value * whole)


def parse_budget(text: str) -> Budget:
    """Read `params=0.6`, `macs=0.5`, `latency=0.5`, `bytes=2MB` or `accuracy=-1.0`; CompressionError for anything
    else."""
    kind, _, said = text.partition("=")
    if kind == "bytes" and (size := _size(said)) >= 1:
        return Budget("bytes", size)
    value = _number(said)
    if (share := _SHARES.get(kind)) and 0 < value <= 1:
        return Budget(share, value)
    if kind == "accuracy" and -100 <= value <= 0:
        return Budget("accuracy", value)
    raise CompressionError(
        "a budget is params=SHARE, macs=SHARE or latency=SHARE (above 0, up to 1), bytes=SIZE (as 500KB or 2MB) or "
        f"accuracy=POINTS (0 or below), not {text!r}."
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _size(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in _UNITS:
        return math.nan
    return math.floor(float(found[1]) * _UNITS[found[2]])


@dataclass(frozen=True)
class Menu:
    """What there is to choose from: cuts of every layer, and for each what it weighs in the budget and loses."""

    cuts: Mapping[str, Sequence[Cut]]
    options: Mapping[str, Sequence[Option]]
    rest: int

    @classmethod
    def of(cls, network: nn.Module, measured: Sequence[Loss], prices: Prices) -> "Menu":
        """Every layer as it is and in the cuts that were measured."""
        losses: dict[str, dict[Cut, float]] = {name: {cut: 0.0} for name, cut in own_cuts(network).items()}
        for loss in measured:
            losses[loss.layer][loss.cut] = loss.divergence
        options = {n: [Option(prices.of(n, cut), loss) for cut, loss in found.items()] for n, found in losses.items()}
        return cls({name: list(found) for name, found in losses.items()}, options, prices.rest)

    def chosen(self, allowed: int) -> dict[str, int] | None:
        """The number of every layer's option, for the least total loss; None where nothing is light enough."""
        return cheapest_within(self.options, allowed - self.rest)

    def as_cuts(self, choice: Mapping[str, int]) -> dict[str, Cut]:
        return {name: self.cuts[name][number] for name, number in choice.items()}

    def numbers(self, cuts: Mapping[str, Cut]) -> dict[str, int]:
        """The inverse of `as_cuts`."""
        return {name: list(self.cuts[name]).index(cut) for name, cut in cuts.items()}

    def least(self) -> int:
        """The least that any of these cuts bring the network to."""
        return self.rest + sum(min(option.weight for option in options) for options in self.options.values())


def cuts_for(
    network: nn.Module,
    measured: Sequence[Loss],
    allowed: int,
    prices: Prices | None = None,
    measure: Measure = "params",
) -> dict[str, Cut]:
    """The cut of every layer, for the least total loss within a number of parameters of the whole network, or of what
    else `prices` are in.

    Raises CompressionError, with the least possible number, for a budget that no cuts meet.
    """
    menu = Menu.of(network, measured, prices or parameter_prices(network))
    chosen = menu.chosen(allowed)
    if chosen is None:
        raise _impossible(allowed, menu.least(), measure)
    return menu.as_cuts(chosen)


def cuts_for_accuracy(
    network: nn.Module,
    measured: Sequence[Loss],
    bench: Bench,
    points: float,
    made: Callable[[Mapping[str, Cut]], nn.Module],
    steps: int = 8,
) -> dict[str, Cut]:
    """The cuts with the fewest parameters that keep top-1 accuracy on the bench within `points` percentage points.

    points: zero or negative, -1.0 allows 1 point less. made: the network in some cuts, as it will be used. Bisects
    the number of parameters, measuring each choice.
    """
    before = bench.answers(network).accuracy()
    if before is None:
        raise CompressionError("a budget in accuracy needs labelled images: class folders.")
    best = own_cuts(network)
    high = parameters(network)
    low = high - sum(parameters(layer) for layer in harmonic_layers(network).values())
    for _ in range(steps):
        middle = (low + high) // 2
        try:
            cuts = cuts_for(network, measured, middle)
        except CompressionError:
            low = middle
            continue
        after = bench.answers(made(cuts)).accuracy() or 0.0
        if 100 * (after - before) >= points - 1e-9:
            best, high = cuts, middle
        else:
            low = middle
    return best


def shown(measure: Measure, size: int) -> str:
    """A size in its unit; latencies are nanoseconds, and shown in milliseconds."""
    return f"{size / 1e6:.3f} ms" if measure == "latency" else f"{size:,}"


def must_be_possible(network: nn.Module, prices: Prices, allowed: int, measure: Measure, sets: Sets = "levels") -> None:
    """CompressionError, with the least possible number, where no cuts bring a network to so little."""
    if allowed < (found := least(network, prices, sets)):
        raise _impossible(allowed, found, measure)


def _impossible(allowed: int, found: int, measure: Measure) -> CompressionError:
    said = f"{shown(measure, allowed)} {WORDS[measure]}"
    return CompressionError(
        f"nothing that may be left out brings the network to {said}; the least is {shown(measure, found)}."
    )
