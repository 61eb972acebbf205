"""A linear classifier on features: multinomial logistic regression, its strength chosen by cross-validation."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from harmonic.evaluation.folds import folds

STRENGTHS = (0.0003, 0.003, 0.03, 0.3)  # inverse weights of the penalty, features being scaled
_STEPS = 300
# Of the features' deviation in the mean (of squares). What varies less is scaled as if it varied so much: else its
# weights would be huge, and rounding, as int8 does, of what says next to nothing would decide answers.
_LEAST = 0.2

Features = Float[ndarray, "n features"]
Labels = Int64[ndarray, " n"]
Probabilities = Float[ndarray, "n classes"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Features that a classifier may be built on.

    name: of the backbone; size: of the image's side, in pixels; stages: how many stages' maps the features are of.
    """

    name: str
    size: int
    features: Features
    stages: int = 1

    def __str__(self) -> str:
        return f"{self.name} at {self.size} px" + (f", {self.stages} stages joined" if self.stages > 1 else "")


@dataclass(frozen=True, slots=True)
class Scaled:
    """A candidate's features with mean 0 and deviation 1, or less where they hardly vary, turned onto as few axes as
    they span.

    Turning changes no penalised regression, and it is much cheaper where there are fewer images than features.
    """

    candidate: Candidate
    mean: Float[ndarray, " features"]
    deviation: Float[ndarray, " features"]
    axes: Float[ndarray, "axes features"]
    rows: Float[ndarray, "n axes"]

    def only(self, places: Int64[ndarray, " m"]) -> "Scaled":
        """The rows of some images."""
        return replace(self, rows=self.rows[places])

    def unscaled(
        self, weight: Float[ndarray, "classes axes"], bias: Float[ndarray, " classes"]
    ) -> tuple[Float32[ndarray, "classes features"], Float32[ndarray, " classes"]]:
        """Weights for the features as they are."""
        plain = (weight @ self.axes) / self.deviation
        return plain.astype(np.float32), (bias - plain @ self.mean).astype(np.float32)


def scaled(candidate: Candidate) -> Scaled:
    """No label is used, so this may see images that judge later."""
    given = candidate.features.astype(np.float64)
    mean, deviation = given.mean(0), given.std(0)
    least = _LEAST * float(np.sqrt((deviation**2).mean()))
    deviation = np.maximum(deviation, least) if least > 0 else np.full_like(deviation, np.inf)
    plain = (given - mean) / deviation
    _, values, axes = np.linalg.svd(plain, full_matrices=False)
    axes = axes[values > 1e-8 * values[0]] if values[0] > 0 else axes[:1]
    return Scaled(candidate, mean, deviation, axes, plain @ axes.T)


@dataclass(frozen=True, slots=True)
class Probe:
    """Logits are rows times weight, plus bias."""

    weight: Float[ndarray, "classes axes"]
    bias: Float[ndarray, " classes"]

    def probabilities(self, rows: Float[ndarray, "n axes"]) -> Probabilities:
        """Of every class, for every row."""
        logits = rows @ self.weight.T + self.bias
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))


def fit_probe(
    rows: Float[ndarray, "n axes"], labels: Labels, classes: int, strength: float, balanced: bool = False
) -> Probe:
    """Fit by maximum likelihood with an L2 penalty. balanced: every class weighs the same, however few its images."""
    known, own = np.unique(labels, return_inverse=True)
    weight, bias = np.zeros((classes, rows.shape[1])), np.full(classes, -np.inf)
    regression = LogisticRegression(C=strength, max_iter=_STEPS, class_weight="balanced" if balanced else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is a penalty too, and it is judged as such
        regression.fit(rows, own)
    if len(known) == 2:
        half, level = regression.coef_[0] / 2, regression.intercept_[0] / 2
        weight[known], bias[known] = np.stack([-half, half]), [-level, level]
    else:
        weight[known], bias[known] = regression.coef_, regression.intercept_
    return Probe(weight, np.maximum(bias, bias[known].min() - 20))  # a class that was not there is no answer


@dataclass(frozen=True, slots=True)
class Choice:
    """Which candidate (its place), and how strong its classifier is fitted."""

    place: int
    strength: float


def select(
    candidates: Sequence[Scaled],
    labels: Labels,
    groups: Int64[ndarray, " n"],
    classes: int,
    seed: int,
    balanced: bool = False,
    inner: int = 3,
) -> tuple[Choice, dict[Choice, float]]:
    """The candidate and strength with the least log loss on images held out, and the loss of every one."""
    losses: dict[Choice, float] = {}
    parts = list(folds(labels, groups, inner, seed))
    for place, candidate in enumerate(candidates):
        for strength in STRENGTHS:
            held = [
                _losses(candidate.rows, labels, classes, strength, balanced, train, judge) for train, judge in parts
            ]
            losses[Choice(place, strength)] = float(np.concatenate(held).mean())
    return min(losses, key=lambda choice: losses[choice]), losses


def _losses(
    rows: Float[ndarray, "n axes"],
    labels: Labels,
    classes: int,
    strength: float,
    balanced: bool,
    train: Int64[ndarray, " t"],
    judge: Int64[ndarray, " v"],
) -> Float[ndarray, " v"]:
    probe = fit_probe(rows[train], labels[train], classes, strength, balanced)
    found = probe.probabilities(rows[judge])[np.arange(len(judge)), labels[judge]]
    losses = -np.log(np.maximum(found, 1e-12))
    if balanced:
        counts = np.bincount(labels[judge], minlength=classes)
        losses = losses * len(judge) / (counts[labels[judge]] * (counts > 0).sum())
    return np.asarray(losses)
