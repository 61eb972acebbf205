"""Compression that is chosen, not guessed: measure what each layer loses, pick levels for a budget, carry them out.

The network with the chosen levels is measured again as a whole.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from harmonic.bundles import Bundle, with_plans
from harmonic.compression.levels import Budget, levels_for, levels_for_accuracy, must_be_possible
from harmonic.compression.sensitivity import Bench, Loss, Watch, fully_harmonic, losses, with_levels
from harmonic.conversion import LayerPlan, Level, harmonic_layers
from harmonic.graph import parameters
from harmonic.layers import BandNormConv2d


@dataclass(frozen=True)
class Outcome:
    """What was chosen, and what it cost on the calibration images."""

    budget: Budget
    images: int
    levels: dict[str, Level]
    filters: dict[str, tuple[int, int]]
    losses: dict[str, float]
    parameters: tuple[int, int]
    accuracy: tuple[float | None, float | None]
    divergence: float
    agreement: float

    def summary(self) -> dict[str, Any]:
        """The figures for a card."""
        return {
            "budget": f"{self.budget.kind}={self.budget.value}",
            "calibration_images": self.images,
            "parameters_before": self.parameters[0],
            "parameters_after": self.parameters[1],
            "divergence": self.divergence,
            "agreement": self.agreement,
            "top1_before": self.accuracy[0],
            "top1_after": self.accuracy[1],
        }


def compress_bundle(given: Bundle, bench: Bench, budget: Budget, watch: Watch = iter) -> tuple[Bundle, Outcome]:
    """Choose levels for a budget and carry them out; CompressionError, before anything is measured, if none meet it."""
    network = fully_harmonic(given.model)
    allowed = round(budget.value * parameters(network))
    if budget.kind == "params":
        must_be_possible(network, allowed)
    measured = losses(network, bench, watch)
    if budget.kind == "params":
        levels = levels_for(network, measured, allowed)
    else:
        levels = levels_for_accuracy(network, measured, bench, budget.value)
    small = with_levels(network, levels)
    outcome = _outcome(budget, bench, (network, small), levels, measured)
    return _bundle(given, small, outcome.summary()), outcome


def compressed(given: Bundle, levels: Mapping[str, Level], *, record: Mapping[str, Any]) -> Bundle:
    """A bundle of the same network at these levels: its weights hold only the kept coefficients.

    levels: by layer of `fully_harmonic(given.model)`. record: figures for the card's metrics, under "compression".
    """
    return _bundle(given, with_levels(fully_harmonic(given.model), levels), record)


def _outcome(
    budget: Budget,
    bench: Bench,
    networks: tuple[nn.Module, nn.Module],
    levels: dict[str, Level],
    measured: Sequence[Loss],
) -> Outcome:
    """networks: before and after."""
    whole, small = networks
    before, after = bench.answers(whole), bench.answers(small)
    alone = {(loss.layer, loss.level): loss.divergence for loss in measured}
    return Outcome(
        budget,
        len(bench.pixels),
        levels,
        {n: (len(layer.frequencies), math.prod(layer.kernel_size)) for n, layer in harmonic_layers(small).items()},
        {name: alone.get((name, level or 0), 0.0) for name, level in levels.items()},
        (parameters(whole), parameters(small)),
        (before.accuracy(), after.accuracy()),
        after.divergence(before),
        after.agreement(before),
    )


def _bundle(given: Bundle, small: nn.Module, record: Mapping[str, Any]) -> Bundle:
    layers = harmonic_layers(small).items()
    plans = {name: LayerPlan(layer.level, norm=isinstance(layer, BandNormConv2d)) for name, layer in layers}
    metrics = {"compression": dict(record), "before_compression": given.card.metrics}
    return Bundle(with_plans(given, plans, metrics), small)
