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
from harmonic.data import Images, prepare_all, read, stratified_split
from harmonic.errors import DeviceError, first_line
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
    return calibration_and_others(data, card, count, seed)[0]


def calibration_and_others(data: Sequence[Path], card: Card, count: int, seed: int) -> tuple[Bench, Images | None]:
    """As `calibration`, and the other training images, but for those that show what a calibration image shows."""
    images = read(data, "train").labelled_as(card.classes)
    chosen, others = images, None
    if len(images) > count:
        groups, (rest, some) = images.own_groups(), stratified_split(images.labels, count / len(images), seed)
        rest = rest[~np.isin(groups[rest], groups[some])]
        chosen, others = images.subset(some), images.subset(rest) if len(rest) else None
    return Bench(prepare_all(chosen, card.pixels, title="Reading images"), card.pixels, chosen.labels), others


def device_named(name: str) -> torch.device:
    """The device of that name, cpu, cuda or cuda:1 for example; DeviceError where it is not there."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(
            f"the device {name!r} is not there: {first_line(error)}. Name another one, as cpu or cuda:0."
        ) from error
    return device


def device_of(network: nn.Module) -> torch.device:
    """Where a network lies."""
    return next(network.parameters()).device


def divergence(reference: Float[Tensor, "n classes"], other: Float[Tensor, "n classes"]) -> float:
    """Mean Kullback-Leibler divergence, in nats, from log-probabilities to others."""
    return float(F.kl_div(other, reference, reduction="batchmean", log_target=True))
