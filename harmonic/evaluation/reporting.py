"""From answers to labelled images to the report that is published with a classifier."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64, Num
from numpy import ndarray

from harmonic.bundles import report
from harmonic.evaluation import metrics
from harmonic.evaluation.evaluate import Evaluation

_BINS = 10
_STEPS = np.linspace(0, 0.99, 34)
_CONFUSED = 8
_DIGITS = 4


def report_of(
    measured: Evaluation,
    judged_by: str,
    *,
    figures: tuple[report.Estimate, report.Estimate] | None = None,
    confusion: Num[ndarray, "classes classes"] | None = None,
    learning: Sequence[tuple[int, float]] = (),
    remarks: Sequence[str] = (),
) -> report.Report:
    """The report of answers to images that the classifier had not learned from.

    judged_by: how they were had, in words. figures: accuracy and its mean over the classes, and confusion: by default
    those of the answers themselves. learning: images learned from, and accuracy.
    """
    accuracy, balanced = figures or _accuracies(measured)
    counts = measured.confusion() if confusion is None else confusion
    names = [_cut(name) for name in measured.classes]
    few = len(names) <= report.MOST_CLASSES
    return report.Report(
        source=_cut(measured.source),
        judged_by=_cut(judged_by),
        images=len(measured.labels),
        accuracy=accuracy,
        balanced_accuracy=balanced,
        class_count=len(names),
        classes=_classes(names, counts),
        confusion=tuple(tuple(_round(count) for count in row) for row in counts) if few else None,
        confused=_confused(names, counts),
        calibration=_calibration(measured),
        thresholds=_thresholds(measured),
        learning=tuple(report.Learned(images=count, accuracy=_round(right)) for count, right in learning),
        remarks=tuple(_cut(remark) for remark in remarks),
    )


def _accuracies(measured: Evaluation) -> tuple[report.Estimate, report.Estimate]:
    """Accuracy and its mean over the classes, each with its interval: whole groups of images are drawn again."""
    right = (measured.probabilities.argmax(axis=1) == measured.labels).astype(float)

    def drawn(indices: Int64[ndarray, " drawn"]) -> dict[str, float]:
        labels, found = measured.labels[indices], right[indices]
        counts = np.bincount(labels, minlength=len(measured.classes))
        recall = np.bincount(labels, found, len(measured.classes))[counts > 0] / counts[counts > 0]
        return {"accuracy": float(found.mean()), "balanced": float(recall.mean())}

    groups = np.arange(len(right)) if measured.groups is None else measured.groups
    values, between = drawn(np.arange(len(right))), metrics.bootstrap(groups, drawn)
    accuracy, balanced = (estimate(values[name], *between[name]) for name in ("accuracy", "balanced"))
    return accuracy, balanced


def estimate(value: float, low: float, high: float) -> report.Estimate:
    """A figure with its interval, as a report has it."""
    return report.Estimate(value=_round(value), low=_round(low), high=_round(high))


def confusions(
    classes: Sequence[str], confusion: Num[ndarray, "classes classes"], most: int = _CONFUSED
) -> list[tuple[str, str, float]]:
    """(true class, answer, share of the class's images), the worst first."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1e-12)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(classes)) for place in order]
    return [(classes[t], classes[a], float(shares[t, a])) for t, a in pairs if shares[t, a] > 0]


def _classes(names: Sequence[str], confusion: Num[ndarray, "classes classes"]) -> tuple[report.ClassFigures, ...]:
    recall, precision = metrics.recall(confusion), metrics.precision(confusion)
    weakest = np.argsort(recall, kind="stable")[: report.MOST_LISTED]
    return tuple(
        report.ClassFigures(
            name=names[place],
            images=_round(confusion[place].sum()),
            recall=_known(recall[place]),
            precision=_known(precision[place]),
        )
        for place in sorted(weakest.tolist())
    )


def _confused(names: Sequence[str], confusion: Num[ndarray, "classes classes"]) -> tuple[report.Confused, ...]:
    found = confusions(names, confusion)
    return tuple(report.Confused(true=true, answer=answer, share=_round(share)) for true, answer, share in found)


def _calibration(measured: Evaluation) -> tuple[report.Calibrated, ...]:
    sure, right = _answers(measured)
    place = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    bins = [place == b for b in np.unique(place)]
    return tuple(
        report.Calibrated(probability=_round(sure[own].mean()), right=_round(right[own].mean()), images=int(own.sum()))
        for own in bins
    )


def _thresholds(measured: Evaluation) -> tuple[report.Threshold, ...]:
    sure, right = _answers(measured)
    return tuple(
        report.Threshold(probability=_round(step), right=_round(right[kept].mean()), kept=_round(kept.mean()))
        for step in _STEPS
        for kept in [sure >= step]
        if kept.any()
    )


def _answers(measured: Evaluation) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """Probability of the answer to each image, and 1 where it was right."""
    found = measured.probabilities
    # Rounding may make of a sum of shares a little more than one.
    return np.minimum(found.max(axis=1), 1.0), (found.argmax(axis=1) == measured.labels).astype(float)


def _round(value: float) -> float:
    return round(float(value), _DIGITS)


def _known(share: float) -> float | None:
    return _round(share) if np.isfinite(share) else None


def _cut(text: str) -> str:
    return text if len(text) <= report.MOST_LETTERS else text[: report.MOST_LETTERS - 1] + "…"
