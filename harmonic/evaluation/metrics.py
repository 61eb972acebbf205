"""Figures for unbalanced classes, as pure functions of labels, probabilities and decisions.

Knows nothing of networks or files. A class without images gives NaN, and means leave it out. (torchmetrics, with which
these agree where every class occurs, counts such a class as 0, which no macro figure survives.)
"""

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int64, Num
from numpy import ndarray

Confusion = Num[ndarray, "classes classes"]  # counts; means of them where several judgements are taken together
Labels = Int64[ndarray, " n"]
Probabilities = Float[ndarray, "n classes"]
PerClass = Float[ndarray, " classes"]
_DEVIATIONS = NormalDist().inv_cdf(0.9)  # nine chances in ten


def recall(confusion: Confusion) -> PerClass:
    """Share of each class's images (a row) that were answered right."""
    return _share(np.diag(confusion), confusion.sum(axis=1))


def precision(confusion: Confusion) -> PerClass:
    """Share of the answers "this class" (a column) that were right."""
    return _share(np.diag(confusion), confusion.sum(axis=0))


def f1(confusion: Confusion) -> PerClass:
    """Harmonic mean of precision and recall; 0 for a class that is never answered, NaN for one that never occurs."""
    scores = _share(2 * np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1))
    return np.where(confusion.sum(axis=1) > 0, scores, np.nan)


def balanced_accuracy(confusion: Confusion) -> float:
    """Mean recall over the classes that occur."""
    return mean(recall(confusion))


def mean(figures: PerClass) -> float:
    """Mean over the classes that have a figure: macro F1, macro AUC."""
    return float(np.nanmean(figures)) if np.isfinite(figures).any() else float("nan")


def auc(labels: Labels, probabilities: Probabilities) -> PerClass:
    """Area under the ROC curve of each class against the rest, ties counted half (Mann-Whitney)."""
    return np.array([_auc(labels == c, probabilities[:, c]) for c in range(probabilities.shape[1])])


def sensitivity_at(specificity: float, positive: ndarray, scores: Float[ndarray, " n"]) -> float:
    """The highest share of positives found at a threshold that at least `specificity` of the negatives stay below.

    positive: booleans (n,). NaN where either kind is missing.
    """
    negatives, positives = np.sort(scores[~positive]), scores[positive]
    if not len(negatives) or not len(positives):
        return float("nan")
    threshold = negatives[min(int(np.ceil(specificity * len(negatives))), len(negatives)) - 1]
    return float((positives > threshold).mean())


def bootstrap(
    groups: Labels,
    figures: Callable[[Int64[ndarray, " drawn"]], Mapping[str, float]],
    *,
    rounds: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of figures, drawing whole groups (all images of a lesion) with replacement.

    groups: the group of each image. figures: from indices of images to named figures.
    """
    rng = np.random.default_rng(seed)
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order, starts = np.argsort(member, kind="stable"), np.cumsum(sizes) - sizes
    drawn = []
    for _ in range(rounds):
        some = rng.integers(len(sizes), size=len(sizes))
        before = np.cumsum(sizes[some]) - sizes[some]
        within = np.arange(sizes[some].sum()) - np.repeat(before, sizes[some])
        drawn.append(figures(order[np.repeat(starts[some], sizes[some]) + within]))
    return {
        name: (_percentile(values, 2.5), _percentile(values, 97.5))
        for name in drawn[0]
        for values in [[figure[name] for figure in drawn]]
    }


def _share(part: ndarray, whole: ndarray) -> PerClass:
    shares: PerClass = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return shares


def _auc(positive: ndarray, scores: ndarray) -> float:
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _percentile(values: list[float], share: float) -> float:
    return float(np.nanpercentile(values, share)) if np.isfinite(values).any() else float("nan")


def certainty(probabilities: Probabilities, labels: Labels, wanted: float = 0.95) -> dict[str, float | int] | None:
    """The least probability of the likeliest class from which on the wanted share of the answers is right.

    And of other images about so many in the mean: one wrong answer more than there is among these must be bearable
    (conformal risk control, Angelopoulos 2022), so 95 of 100 take 19 answers at the least. None if there is none.
    As a bundle's metrics have it: probability; precision, the wanted one; at_least, the lower end of the share's
    interval (Wilson 1927, nine chances in ten; a little less, as the border is sought); and the number of images.
    """
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    order = np.argsort(-sure, kind="stable")
    found, answers = np.cumsum(right[order]), np.arange(1, len(order) + 1)
    # Equal probabilities are on one side: only the last of them may be the border.
    last = np.append(np.diff(sure[order]) < 0, True) if len(order) else np.zeros(0, bool)
    good = np.flatnonzero((found / (answers + 1) >= wanted) & last)
    if not len(good):
        return None
    border = good[-1]
    return {
        "probability": float(sure[order[border]]),
        "precision": wanted,
        "at_least": round(_at_least(int(found[border]), int(answers[border])), 4),
        "images": len(labels),
    }


def _at_least(right: int, answers: int) -> float:
    """The lower end of Wilson's one-sided interval of a share."""
    share, extra = right / answers, _DEVIATIONS**2 / answers
    return (share + extra / 2 - math.sqrt(extra * (share * (1 - share) + extra / 4))) / (1 + extra)
