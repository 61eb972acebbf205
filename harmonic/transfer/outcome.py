"""What came of a fit: the classifier, how it was judged, and the figures that travel with it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from harmonic.bundles import CARD, Bundle, Headed
from harmonic.evaluation import metrics
from harmonic.transfer.judgement import Figure, Judgement
from harmonic.transfer.paired import Paired
from harmonic.transfer.probe import Candidate, Scaled
from harmonic.transfer.survey import Survey


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate, and its least log loss on images held out."""

    candidate: Candidate
    loss: float


@dataclass(frozen=True, slots=True)
class Finetuned:
    """What training the whole network further brought: on images held out, beside the classifier on its features.

    steps: of each training. kept: whether its weights are those of the bundle.
    """

    steps: int
    paired: Paired
    kept: bool


@dataclass(frozen=True, slots=True)
class Compressed:
    """What a compression cost a classifier on so many images that it did not learn.

    agreement: share of them with the answer from before. accuracy, parameters: before and after. most_drop: points of
    accuracy that were allowed to go. kept: whether the bundle is compressed.
    """

    budget: str
    images: int
    agreement: float
    accuracy: tuple[float, float]
    parameters: tuple[int, int]
    most_drop: float
    kept: bool

    def summary(self) -> dict[str, object]:
        """The figures for a card, of images that were not learned."""
        return {
            "held_out_images": self.images,
            "agreement": self.agreement,
            "top1_before": self.accuracy[0],
            "top1_after": self.accuracy[1],
        }


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A classifier that learned some of the images, by their places, and the others, which it did not."""

    bundle: Bundle
    learned: Int64[ndarray, " t"]
    others: Int64[ndarray, " v"]


@dataclass(frozen=True, slots=True)
class Transferred:
    """What came of it.

    bundle: the classifier. layer: the name of its last layer. own: the features that it is built on, of every image.
    tried: every candidate, the best first. judgement: of this classifier. finetuned, compressed: None where that
    was not tried.
    example: learned as the bundle was, but for a part of the images; None where nothing but the head was learned.
    """

    bundle: Bundle
    layer: str
    survey: Survey
    judgement: Judgement
    own: Scaled
    tried: tuple[Tried, ...]
    finetuned: Finetuned | None = None
    compressed: Compressed | None = None
    example: HeldOut | None = None

    @property
    def chosen(self) -> Candidate:
        """What the classifier is built on, with the features of every image."""
        return self.own.candidate

    @property
    def certainty(self) -> dict[str, float] | None:
        """From which probability on 95 of 100 answers are right, as `metrics.certainty` has it."""
        return self.bundle.card.metrics.get("certainty")

    @property
    def threshold(self) -> float | None:
        """That probability; None if there is none."""
        return float(self.certainty["probability"]) if self.certainty else None

    @property
    def headed(self) -> Headed:
        """The classifier with the name of its last layer."""
        return Headed(self.bundle, self.layer)


def judged(fitted: Transferred, bundle: Bundle, judgement: Judgement, **notes: object) -> Transferred:
    """The same with another classifier and its judgement, whose figures go into the bundle. notes: figures besides."""
    labels = fitted.survey.images.labels[judgement.places]
    sure = metrics.certainty(judgement.mean, labels)
    figures = {"fit": {**_figures(fitted, judgement, sure), **notes}, **({"certainty": sure} if sure else {})}
    card = bundle.card.model_copy(update={"metrics": figures})
    return replace(fitted, bundle=Bundle(card, bundle.model), judgement=judgement)


def _figures(fitted: Transferred, judgement: Judgement, sure: dict[str, float | int] | None) -> dict[str, object]:
    return {
        "source": fitted.survey.images.source,
        "images": len(fitted.survey.images),
        "backbone": _published_name(fitted.chosen.name),
        "accuracy": _figure(judgement.accuracy),
        "balanced_accuracy": _figure(judgement.balanced),
        "threshold_95": round(float(sure["probability"]), 4) if sure else None,
        "judged_by": f"{judgement.way}, 95 % intervals",
    }


def _published_name(backbone: str) -> str:
    """What everybody may know of it: of a bundle the folder's own name, not where it lies."""
    return Path(backbone).name if (Path(backbone) / CARD).is_file() else backbone


def _figure(given: Figure) -> dict[str, float]:
    return {"value": round(given.value, 4), "low": round(given.low, 4), "high": round(given.high, 4)}


def weights(labels: Int64[ndarray, " n"], balanced: bool) -> ndarray:
    """How much each of these images counts, 1 in the mean; balanced: every class alike, however few its images."""
    if not balanced:
        return np.ones(len(labels))
    counts = np.bincount(labels)
    return np.asarray(len(labels) / (counts[labels] * (counts > 0).sum()))
