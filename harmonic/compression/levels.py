"""The levels that lose least within a budget.

Losses of different layers are added up, which holds while they are small.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from harmonic.compression.bench import Bench
from harmonic.compression.knapsack import Option, cheapest_within
from harmonic.compression.sensitivity import Loss, with_levels
from harmonic.conversion import Level, harmonic_layers
from harmonic.errors import CompressionError
from harmonic.graph import parameters


@dataclass(frozen=True, slots=True)
class Budget:
    """What compression must keep to. params: share of the parameters; accuracy: points of top-1, zero or negative."""

    kind: Literal["params", "accuracy"]
    value: float


def parse_budget(text: str) -> Budget:
    """Read `params=0.6` or `accuracy=-1.0`; CompressionError for anything else."""
    kind, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if kind == "params" and 0 < value <= 1:
        return Budget("params", value)
    if kind == "accuracy" and -100 <= value <= 0:
        return Budget("accuracy", value)
    raise CompressionError(
        f"a budget is params=SHARE (above 0, up to 1) or accuracy=POINTS (0 or below), not {text!r}."
    )


def levels_for(network: nn.Module, measured: Sequence[Loss], allowed: int) -> dict[str, Level]:
    """The level of every layer, for the least total loss within a number of parameters of the whole network.

    Raises CompressionError, with the least possible number, for a budget that no levels meet.
    """
    layers = harmonic_layers(network)
    fixed = parameters(network) - sum(map(parameters, layers.values()))
    options = {name: [(layer.level, Option(parameters(layer), 0.0))] for name, layer in layers.items()}
    for loss in measured:
        options[loss.layer].append((loss.level, Option(loss.parameters, loss.divergence)))
    chosen = cheapest_within({name: [o for _, o in each] for name, each in options.items()}, allowed - fixed)
    if chosen is None:
        raise _impossible(allowed, fixed + sum(min(o.weight for _, o in each) for each in options.values()))
    return {name: options[name][index][0] for name, index in chosen.items()}


def levels_for_accuracy(
    network: nn.Module,
    measured: Sequence[Loss],
    bench: Bench,
    points: float,
    made: Callable[[Mapping[str, Level]], nn.Module],
    steps: int = 8,
) -> dict[str, Level]:
    """The levels with the fewest parameters that keep top-1 accuracy on the bench within `points` percentage points.

    points: zero or negative, -1.0 allows 1 point less. made: the network at some levels, as it will be used. Bisects
    the number of parameters, measuring each choice.
    """
    before = bench.answers(network).accuracy()
    if before is None:
        raise CompressionError("a budget in accuracy needs labelled images: class folders.")
    best = {name: layer.level for name, layer in harmonic_layers(network).items()}
    high = parameters(network)
    low = high - sum(parameters(layer) for layer in harmonic_layers(network).values())
    for _ in range(steps):
        middle = (low + high) // 2
        try:
            levels = levels_for(network, measured, middle)
        except CompressionError:
            low = middle
            continue
        after = bench.answers(made(levels)).accuracy() or 0.0
        if 100 * (after - before) >= points - 1e-9:
            best, high = levels, middle
        else:
            low = middle
    return best


def must_be_possible(network: nn.Module, allowed: int) -> None:
    """CompressionError, with the least possible number, where no levels bring a network to so few parameters."""
    least = parameters(with_levels(network, dict.fromkeys(harmonic_layers(network), 1)))
    if allowed < least:
        raise _impossible(allowed, least)


def _impossible(allowed: int, least: int) -> CompressionError:
    return CompressionError(f"no levels bring the network to {allowed:,} parameters; the least is {least:,}.")
