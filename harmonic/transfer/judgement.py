"""How good the whole procedure is, by repeated cross-validation: what it chooses, it chooses without the images that
judge it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from harmonic.data import split_by_group
from harmonic.evaluation.folds import folds
from harmonic.transfer.probe import Choice, Scaled, fit_probe, select

FOLDS = 5
_DRAWS = 2000  # of the bootstrap
_SHARES = (0.25, 0.5, 0.75)  # of the images to learn from, for the learning curve
Watch = Callable[[Iterable[int], str, int], Iterable[int]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with the interval that holds it in 95 of 100 cases, by drawing images (whole groups) again."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


@dataclass(frozen=True, slots=True)
class Judgement:
    """probabilities: (repeats, n, classes), of images when they were held out. places: which images these are.

    way: how they were held out, in words. accuracy, balanced: of all repeats.
    confusion: (classes, classes), counts of true class (row) and answer, means over the repeats.
    curve: (images learned from, accuracy), ascending. chosen: how often each candidate was.
    """

    probabilities: Float[ndarray, "repeats n classes"]
    places: Int64[ndarray, " n"]
    way: str
    accuracy: Figure
    balanced: Figure
    confusion: Float[ndarray, "classes classes"]
    curve: tuple[tuple[int, float], ...]
    chosen: dict[str, int]

    @property
    def mean(self) -> Float[ndarray, "n classes"]:
        """Mean over the repeats."""
        return np.asarray(self.probabilities.mean(0))


def judge(
    candidates: Sequence[Scaled],
    labels: Int64[ndarray, " n"],
    groups: Int64[ndarray, " n"],
    classes: int,
    *,
    seed: int = 1,
    repeats: int = 3,
    balanced: bool = False,
    watch: Watch = lambda steps, _title, _total: steps,
) -> Judgement:
    """Judge the procedure that chooses a candidate and fits a classifier on it."""
    task = _Task(candidates, labels, groups, classes, seed, balanced)
    parts = [(repeat, *part) for repeat in range(repeats) for part in folds(labels, groups, FOLDS, seed + repeat)]
    found = np.zeros((repeats, len(labels), classes))
    chosen: Counter[str] = Counter()
    curve: dict[float, list[tuple[int, float]]] = {share: [] for share in (*_SHARES, 1.0)}
    for place in watch(range(len(parts)), "Cross-validation", len(parts)):
        repeat, train, held = parts[place]
        choice = task.choose(train)
        chosen[str(candidates[choice.place].candidate)] += 1
        found[repeat, held] = answers = task.answers(choice, train, held)
        curve[1.0].append((len(train), _right(answers, labels[held])))
        for share in _SHARES:
            less = train[split_by_group(labels[train], groups[train], 1 - share, seed)[0]]
            curve[share].append((len(less), _right(task.answers(choice, less, held), labels[held])))
    points = tuple((round(float(n)), float(right)) for n, right in (np.mean(one, axis=0) for one in curve.values()))
    way = f"{repeats} x {FOLDS}-fold cross-validation"
    return judgement_of(found, np.arange(len(labels)), labels, groups, seed, way, points, dict(chosen))


def judgement_of(
    found: Float[ndarray, "repeats n classes"],
    places: Int64[ndarray, " n"],
    labels: Int64[ndarray, " n"],
    groups: Int64[ndarray, " n"],
    seed: int,
    way: str,
    curve: tuple[tuple[int, float], ...],
    chosen: dict[str, int],
) -> Judgement:
    """The figures of answers to images that were held out. labels, groups: of these."""
    classes, answers = found.shape[2], found.argmax(2)
    confusion = np.stack([_confusion(labels, row, classes) for row in answers])
    accuracy, even = _figures(answers, labels, groups, classes, seed)
    return Judgement(found, places, way, accuracy, even, confusion.mean(0), curve, chosen)


@dataclass(frozen=True, slots=True)
class _Task:
    candidates: Sequence[Scaled]
    labels: Int64[ndarray, " n"]
    groups: Int64[ndarray, " n"]
    classes: int
    seed: int
    balanced: bool

    def choose(self, train: Int64[ndarray, " t"]) -> Choice:
        """By these images alone."""
        known = [one.only(train) for one in self.candidates]
        return select(known, self.labels[train], self.groups[train], self.classes, self.seed, self.balanced)[0]

    def answers(
        self, choice: Choice, train: Int64[ndarray, " t"], held: Int64[ndarray, " v"]
    ) -> Float[ndarray, "v classes"]:
        """What is learned from some images, of others."""
        rows = self.candidates[choice.place].rows
        probe = fit_probe(rows[train], self.labels[train], self.classes, choice.strength, self.balanced)
        return probe.probabilities(rows[held])


def _right(probabilities: Float[ndarray, "n classes"], labels: Int64[ndarray, " n"]) -> float:
    return float((probabilities.argmax(1) == labels).mean())


def _confusion(
    labels: Int64[ndarray, " n"], answers: Int64[ndarray, " n"], classes: int
) -> Int64[ndarray, "classes classes"]:
    return np.bincount(labels * classes + answers, minlength=classes * classes).reshape(classes, classes)


def _figures(
    answers: Int64[ndarray, "repeats n"],
    labels: Int64[ndarray, " n"],
    groups: Int64[ndarray, " n"],
    classes: int,
    seed: int,
) -> tuple[Figure, Figure]:
    """Accuracy and balanced accuracy. Both are sums over groups, which are drawn again with replacement."""
    _, group = np.unique(groups, return_inverse=True)
    right = (answers == labels).mean(0)
    per_class = np.zeros((group.max() + 1, classes, 2))  # by group and class: right ones, and all
    np.add.at(per_class, (group, labels), np.stack([right, np.ones(len(labels))], axis=1))
    draws = np.random.default_rng(seed).multinomial(len(per_class), np.full(len(per_class), 1 / len(per_class)), _DRAWS)
    drawn = np.concatenate([per_class.sum(0)[None], np.einsum("dg,gcx->dcx", draws, per_class)])
    with np.errstate(invalid="ignore"):
        recalls = drawn[..., 0] / drawn[..., 1]
    plain, even = drawn[..., 0].sum(1) / drawn[..., 1].sum(1), np.nanmean(recalls, axis=1)
    return _figure(plain), _figure(even)


def _figure(drawn: Float[ndarray, " draws"]) -> Figure:
    """The first is the figure, the others those of the draws."""
    low, high = np.quantile(drawn[1:], [0.025, 0.975])
    return Figure(float(drawn[0]), float(low), float(high))
