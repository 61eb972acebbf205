"""Calibration images, and what a network answers to them."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int64, Num
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.bundles import Card, Classifier
from harmonic.data import prepare_all, read, stratified_split
from harmonic.pixels import PixelSpec

_BATCH = 100
_PIXELS = 1 << 20  # of the images of a batch: what a network holds of them fits into memory


@dataclass(frozen=True)
class Answers:
    """A network's answers to calibration images: log-probabilities, and labels where they are known."""

    log_probabilities: Float[Tensor, "n classes"]
    labels: Int64[ndarray, " n"] | None

    def divergence(self, reference: "Answers") -> float:
        """Mean KL divergence from the reference's answers to these, in nats."""
        return divergence(reference.log_probabilities, self.log_probabilities)

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
        device = device_of(network)
        model = Classifier(copy.deepcopy(network), self.spec).to(device).eval()
        with torch.inference_mode():
            logits = torch.cat([model(batch.to(device)).double().cpu() for batch in self._split()])
        return Answers(F.log_softmax(logits, dim=1), self.labels)

    def batches(self, device: torch.device) -> list[Float[Tensor, "n c h w"]]:
        """The images as a network takes them."""
        model = Classifier(nn.Identity(), self.spec).to(device)
        with torch.no_grad():
            return [model.normalised(batch.to(device)) for batch in self._split()]

    def some(self, count: int) -> Self:
        """So many of the images, the same at every call."""
        return self._subset(self._order()[:count])

    def parted(self, share: float) -> tuple[Self, Self]:
        """The images in two parts, the second with that share of them and at least one; the same at every call."""
        order = self._order()
        count = max(1, round(share * len(order)))
        return self._subset(order[count:]), self._subset(order[:count])

    def _order(self) -> Int64[ndarray, " n"]:
        return np.random.default_rng(0).permutation(len(self.pixels))

    def _subset(self, numbers: Int64[ndarray, " m"]) -> Self:
        numbers = np.sort(numbers)
        return replace(self, pixels=self.pixels[numbers], labels=None if self.labels is None else self.labels[numbers])

    def _split(self) -> tuple[Tensor, ...]:
        rows, columns = self.pixels.shape[1:3]
        return torch.split(torch.from_numpy(self.pixels), min(_BATCH, max(1, _PIXELS // (rows * columns))))


def calibration(data: Sequence[Path], card: Card, count: int, seed: int) -> Bench:
    """Up to `count` training images, evenly from the classes; DataError if they have classes that the card has not."""
    images = read(data, "train").labelled_as(card.classes)
    if len(images) > count:
        images = images.subset(stratified_split(images.labels, count / len(images), seed)[1])
    return Bench(prepare_all(images, card.pixels, title="Reading images"), card.pixels, images.labels)


def device_of(network: nn.Module) -> torch.device:
    """Where a network lies."""
    return next(network.parameters()).device


def divergence(reference: Float[Tensor, "n classes"], other: Float[Tensor, "n classes"]) -> float:
    """Mean Kullback-Leibler divergence, in nats, from log-probabilities to others."""
    return float(F.kl_div(other, reference, reduction="batchmean", log_target=True))
