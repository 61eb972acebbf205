"""What each layer of a network loses at each level, measured on calibration images.

The loss of a level is the mean Kullback-Leibler divergence, in nats, from the answers of the whole network to those
with this one layer truncated.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64, Num
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.bundles import Card, Classifier
from harmonic.conversion import LayerPlan, Level, apply, harmonic_layers, refusal, spatial_layers
from harmonic.data import prepare_all, read, stratified_split
from harmonic.errors import CompressionError
from harmonic.graph import parameters
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


def calibration(data: Sequence[Path], card: Card, count: int, seed: int) -> Bench:
    """Up to `count` training images, evenly from the classes; DataError if they have classes that the card has not."""
    images = read(data, "train").labelled_as(card.classes)
    if len(images) > count:
        images = images.subset(stratified_split(images.labels, count / len(images), seed)[1])
    return Bench(prepare_all(images, card.pixels, title="Reading images"), card.pixels, images.labels)


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
        found.append(Loss(name, level, len(layer.frequencies), parameters(layer), divergence))
    return found


def _divergence(reference: Tensor, other: Tensor) -> Tensor:
    return F.kl_div(other, reference, reduction="batchmean", log_target=True)


def _full(layer: SpectralConv2d) -> int:
    """The level that keeps all of the layer's frequencies."""
    return max(u + v for u, v in layer.frequencies) + 1
