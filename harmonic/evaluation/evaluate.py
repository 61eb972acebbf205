"""Measuring a classifier: accuracy, per-class recall, confusion, calibration, speed. It takes any predictor.

Kinds of predictor (a bundle, an exported version, a running service) are found by the entry points
`harmonic.predictors`.
"""

import time
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int64, Num
from numpy import ndarray
from torch import nn

from harmonic.bundles import bundle, probabilities
from harmonic.data import Images, prepared_batches
from harmonic.errors import HarmonicError
from harmonic.evaluation import metrics
from harmonic.pixels import PixelSpec


class Predictor(Protocol):
    """Something that answers prepared images with probabilities."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels in the order of the probabilities."""

    @property
    def pixels(self) -> PixelSpec:
        """How images must be prepared."""

    def __call__(self, images: Num[ndarray, "n h w c"]) -> Float[ndarray, "n classes"]:
        """Probabilities, each row summing to 1."""


@dataclass(frozen=True)
class Evaluation:
    """Answers to labelled images. probabilities: one row an image; seconds: spent in the predictor alone."""

    source: str
    classes: tuple[str, ...]
    labels: Int64[ndarray, " n"]
    probabilities: Float[ndarray, "n classes"]
    seconds: float
    groups: Int64[ndarray, " n"] | None = None

    def for_even_classes(self, shares: Float[ndarray, " classes"]) -> "Evaluation":
        """The answers as they would be if all classes were equally frequent: probabilities divided by the shares that
        the model expects. Its decisions are those for the best mean recall."""
        weighed = self.probabilities / shares
        return replace(self, probabilities=weighed / weighed.sum(axis=1, keepdims=True))

    def top(self, k: int) -> float:
        """Share of images whose label is among the k most probable classes."""
        best = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return float((best == self.labels[:, None]).any(axis=1).mean())

    def confusion(self) -> Int64[ndarray, "classes classes"]:
        """Images by true class (row) and answered class (column)."""
        matrix = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        np.add.at(matrix, (self.labels, self.probabilities.argmax(axis=1)), 1)
        return matrix

    def recall(self) -> Float[ndarray, " classes"]:
        """Share of each class's images that were answered right; NaN where a class has none."""
        return metrics.recall(self.confusion())

    def figures(self) -> dict[str, float]:
        """Figures that do not let a frequent class speak for all: means over the classes."""
        confusion = self.confusion()
        return {
            "balanced_accuracy": metrics.balanced_accuracy(confusion),
            "macro_f1": metrics.mean(metrics.f1(confusion)),
            "macro_auc": metrics.mean(metrics.auc(self.labels, self.probabilities)),
        }

    def sensitivity(self, name: str, specificity: float = 0.9) -> float:
        """Share of a class's images found when `specificity` of the others are left alone."""
        index = self.classes.index(name)
        return metrics.sensitivity_at(specificity, self.labels == index, self.probabilities[:, index])

    def intervals(self, rounds: int = 1000, seed: int = 0) -> dict[str, tuple[float, float]]:
        """95 % bootstrap intervals of top-1 and `figures`, drawing whole groups of images."""

        def drawn(indices: Int64[ndarray, " drawn"]) -> dict[str, float]:
            part = replace(self, labels=self.labels[indices], probabilities=self.probabilities[indices])
            return {"top1": part.top(1), **part.figures()}

        groups = np.arange(len(self.labels)) if self.groups is None else self.groups
        return metrics.bootstrap(groups, drawn, rounds=rounds, seed=seed)

    def calibration_error(self, bins: int = 15) -> float:
        """Expected calibration error: mean gap between confidence and accuracy over equal-width bins (Guo 2017)."""
        confidence, right = self.probabilities.max(axis=1), self.probabilities.argmax(axis=1) == self.labels
        member = np.minimum((confidence * bins).astype(int), bins - 1)
        gaps = [
            abs(confidence[member == b].mean() - right[member == b].mean()) * (member == b).sum()
            for b in np.unique(member)
        ]
        return float(sum(gaps) / len(self.labels))

    def summary(self) -> dict[str, Any]:
        """The figures as JSON."""
        return {
            "source": self.source,
            "images": len(self.labels),
            "top1": self.top(1),
            **({"top5": self.top(5)} if len(self.classes) > 5 else {}),
            **self.figures(),
            "recall": self._by_class(self.recall()),
            "precision": self._by_class(metrics.precision(self.confusion())),
            "calibration_error": self.calibration_error(),
        }

    def _by_class(self, figures: Float[ndarray, " classes"]) -> dict[str, float]:
        return {name: float(f) for name, f in zip(self.classes, figures, strict=True) if np.isfinite(f)}


def evaluate(predictor: Predictor, images: Images) -> Evaluation:
    """Ask a predictor about every image, 256 at a time; DataError if it does not answer one of their classes."""
    images = images.labelled_as(predictor.classes)
    answers, seconds = [], 0.0
    for batch in prepared_batches(images, predictor.pixels, title="Evaluating"):
        started = time.perf_counter()
        answers.append(predictor(batch))
        seconds += time.perf_counter() - started
    return Evaluation(images.source, images.classes, images.labels, np.concatenate(answers), seconds, images.groups)


def open_predictor(target: str) -> Predictor:
    """The predictor that a path or address names; HarmonicError if no installed kind knows it."""
    for point in entry_points(group="harmonic.predictors"):
        predictor: Predictor | None = point.load()(target)
        if predictor is not None:
            return predictor
    raise HarmonicError(f"{target} is neither a bundle, nor an exported version, nor the address of a service.")


@dataclass(frozen=True)
class NetworkPredictor:
    """A PyTorch network on the device where it lies, in evaluation mode."""

    network: nn.Module
    classes: tuple[str, ...]
    pixels: PixelSpec

    def __call__(self, images: Num[ndarray, "n h w c"]) -> Float[ndarray, "n classes"]:
        return probabilities(self.network, self.pixels, images)


def bundle_predictor(target: str) -> NetworkPredictor | None:
    """A predictor from a bundle's folder; None if the target is something else. On CUDA where there is one."""
    folder = Path(target)
    if not (folder / bundle.CARD).is_file():
        return None
    loaded = bundle.load(folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return NetworkPredictor(loaded.model.to(device), loaded.card.classes, loaded.card.pixels)
