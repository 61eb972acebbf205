"""Compression that is chosen, not guessed: measure what each layer loses at each level, then pick levels for a budget.

The loss of a level is the mean Kullback-Leibler divergence, in nats, from the answers of the whole network to those
with this one layer truncated. Losses of different layers are added up, which holds while they are small; the network
with the chosen levels is measured again as a whole.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64, Num
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.bundles import Bundle, Card, Classifier
from harmonic.compression.knapsack import Option, cheapest_within
from harmonic.conversion import LayerPlan, Level, apply, harmonic_layers, plan_from_json, refusal, spatial_layers
from harmonic.data import prepare_all, read, stratified_split
from harmonic.errors import CompressionError
from harmonic.layers import BandNormConv2d, SpectralConv2d
from harmonic.pixels import PixelSpec

_BATCH = 100
Watch = Callable[[Iterable[tuple[str, int]]], Iterable[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Loss:
    """What one layer loses at one level. divergence: mean, in nats; parameters: of the layer at that level."""

    layer: str
    level: int
    filters: int
    parameters: int
    divergence: float


@dataclass(frozen=True)
class Answers:
    """A network's answers to calibration images: log-probabilities, and labels where they are known."""

    log_probabilities: Float[Tensor, "n classes"]
    labels: Int64[ndarray, " n"] | None

    def divergence(self, reference: "Answers") -> float:
        """Mean KL divergence from the reference's answers to these, in nats."""
        return float(_divergence(reference.log_probabilities, self.log_probabilities))

    def agreement(self, reference: "Answers") -> float:
        """Share of images with the reference's first answer."""
        return float((self.log_probabilities.argmax(1) == reference.log_probabilities.argmax(1)).float().mean())

    def accuracy(self) -> float | None:
        """Share of images answered right; None without labels."""
        if self.labels is None:
            return None
        return float((self.log_probabilities.argmax(1).numpy() == self.labels).mean())


@dataclass(frozen=True)
class Bench:
    """Calibration images on which networks of one input are measured. pixels: prepared, (N, H, W, C)."""

    pixels: Num[ndarray, "n h w c"]
    spec: PixelSpec
    labels: Int64[ndarray, " n"] | None = None

    def answers(self, network: nn.Module) -> Answers:
        """Ask a network, on the device where it lies."""
        device = next(network.parameters()).device
        model = Classifier(copy.deepcopy(network), self.spec).to(device).eval()
        with torch.inference_mode():
            batches = torch.split(torch.from_numpy(self.pixels), _BATCH)
            logits = torch.cat([model(batch.to(device)).double().cpu() for batch in batches])
        return Answers(F.log_softmax(logits, dim=1), self.labels)


def fully_harmonic(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose every spatial convolution is harmonic; harmonic ones keep their level."""
    plain = [name for name, layer in spatial_layers(network).items() if not isinstance(layer, SpectralConv2d)]
    plans = {name: LayerPlan() for name in plain if refusal(network.get_submodule(name)) is None}
    network = apply(copy.deepcopy(network), plans).eval()
    if not harmonic_layers(network):
        raise CompressionError("the network has no spatial convolution that could be compressed.")
    return network


def losses(network: nn.Module, bench: Bench, watch: Watch = iter) -> list[Loss]:
    """The loss of every harmonic layer at every level below its own, each alone; the network must be `fully_harmonic`.

    watch: wraps the sequence of (layer, level), to show progress.
    """
    reference = bench.answers(network)
    layers = harmonic_layers(network)
    steps = [(name, level) for name, layer in layers.items() for level in range(1, _full(layer))]
    found = []
    for name, level in watch(steps):
        truncated = with_levels(network, {name: level})
        layer = harmonic_layers(truncated)[name]
        divergence = bench.answers(truncated).divergence(reference)
        found.append(Loss(name, level, len(layer.frequencies), _count(layer), divergence))
    return found


def with_levels(network: nn.Module, levels: Mapping[str, Level]) -> nn.Module:
    """A copy of the network with these layers at these levels."""
    layers = harmonic_layers(network)
    plans = {name: LayerPlan(level, norm=isinstance(layers[name], BandNormConv2d)) for name, level in levels.items()}
    return apply(copy.deepcopy(network), plans)


def levels_for(network: nn.Module, measured: Sequence[Loss], parameters: int) -> dict[str, Level]:
    """The level of every layer, for the least total loss within a number of parameters of the whole network.

    Raises CompressionError, with the least possible number, for a budget that no levels meet.
    """
    layers = harmonic_layers(network)
    fixed = _count(network) - sum(map(_count, layers.values()))
    options = {name: [(layer.level, Option(_count(layer), 0.0))] for name, layer in layers.items()}
    for loss in measured:
        options[loss.layer].append((loss.level, Option(loss.parameters, loss.divergence)))
    chosen = cheapest_within({name: [o for _, o in each] for name, each in options.items()}, parameters - fixed)
    if chosen is None:
        raise _impossible(parameters, fixed + sum(min(o.weight for _, o in each) for each in options.values()))
    return {name: options[name][index][0] for name, index in chosen.items()}


def levels_for_accuracy(
    network: nn.Module, measured: Sequence[Loss], bench: Bench, points: float, steps: int = 8
) -> dict[str, Level]:
    """The levels with the fewest parameters that keep top-1 accuracy on the bench within `points` percentage points.

    points: zero or negative, -1.0 allows 1 point less. Bisects the number of parameters, measuring each choice.
    """
    before = bench.answers(network).accuracy()
    if before is None:
        raise CompressionError("a budget in accuracy needs labelled images: class folders.")
    best = {name: layer.level for name, layer in harmonic_layers(network).items()}
    high = _count(network)
    low = high - sum(_count(layer) for layer in harmonic_layers(network).values())
    for _ in range(steps):
        middle = (low + high) // 2
        try:
            levels = levels_for(network, measured, middle)
        except CompressionError:
            low = middle
            continue
        after = bench.answers(with_levels(network, levels)).accuracy() or 0.0
        if 100 * (after - before) >= points - 1e-9:
            best, high = levels, middle
        else:
            low = middle
    return best


@dataclass(frozen=True, slots=True)
class Budget:
    """What compression must keep to. params: share of the parameters; accuracy: points of top-1, zero or negative."""

    kind: Literal["params", "accuracy"]
    value: float


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


def calibration(data: Sequence[Path], card: Card, count: int, seed: int) -> Bench:
    """Up to `count` training images, evenly from the classes; DataError if they have classes that the card has not."""
    images = read(data, "train").labelled_as(card.classes)
    if len(images) > count:
        images = images.subset(stratified_split(images.labels, count / len(images), seed)[1])
    return Bench(prepare_all(images, card.pixels, title="Reading images"), card.pixels, images.labels)


def compress_bundle(given: Bundle, bench: Bench, budget: Budget, watch: Watch = iter) -> tuple[Bundle, Outcome]:
    """Choose levels for a budget and carry them out; CompressionError, before anything is measured, if none meet it."""
    network = fully_harmonic(given.model)
    allowed = round(budget.value * _count(network))
    least = _count(with_levels(network, dict.fromkeys(harmonic_layers(network), 1)))
    if budget.kind == "params" and allowed < least:
        raise _impossible(allowed, least)
    measured = losses(network, bench, watch)
    if budget.kind == "params":
        levels = levels_for(network, measured, allowed)
    else:
        levels = levels_for_accuracy(network, measured, bench, budget.value)
    before, after = bench.answers(network), bench.answers(with_levels(network, levels))
    small = with_levels(network, levels)
    predicted = {(loss.layer, loss.level): loss.divergence for loss in measured}
    outcome = Outcome(
        budget,
        len(bench.pixels),
        levels,
        {n: (len(layer.frequencies), math.prod(layer.kernel_size)) for n, layer in harmonic_layers(small).items()},
        {name: predicted.get((name, level or 0), 0.0) for name, level in levels.items()},
        (_count(network), _count(small)),
        (before.accuracy(), after.accuracy()),
        after.divergence(before),
        after.agreement(before),
    )
    return compressed(given, levels, record=outcome.summary()), outcome


def compressed(bundle: Bundle, levels: Mapping[str, Level], *, record: Mapping[str, Any]) -> Bundle:
    """A bundle of the same network at these levels: its weights hold only the kept coefficients.

    levels: by layer of `fully_harmonic(bundle.model)`. record: figures for the card's metrics, under "compression".
    """
    network = with_levels(fully_harmonic(bundle.model), levels)
    spectrum = dict(bundle.card.arguments.get("spectrum") or {})
    plain = [name for name, layer in spatial_layers(bundle.model).items() if not isinstance(layer, SpectralConv2d)]
    spectrum |= {name: None for name in plain if refusal(bundle.model.get_submodule(name)) is None}
    for name, level in levels.items():
        norm = isinstance(network.get_submodule(name), BandNormConv2d)
        plan = plan_from_json(name, spectrum[name]) if name in spectrum else LayerPlan(norm=norm)
        spectrum[name] = replace(plan, level=level).as_json()
    card = bundle.card.model_copy(
        update={
            "arguments": {**bundle.card.arguments, "spectrum": spectrum},
            "metrics": {"compression": dict(record), "before_compression": bundle.card.metrics},
        }
    )
    return Bundle(card, network)


def _impossible(parameters: int, least: int) -> CompressionError:
    return CompressionError(f"no levels bring the network to {parameters:,} parameters; the least is {least:,}.")


def _divergence(reference: Tensor, other: Tensor) -> Tensor:
    return F.kl_div(other, reference, reduction="batchmean", log_target=True)


def _full(layer: SpectralConv2d) -> int:
    """The level that keeps all of the layer's frequencies."""
    return max(u + v for u, v in layer.frequencies) + 1


def _count(layer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in layer.parameters())
