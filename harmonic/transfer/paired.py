"""Two classifiers on the same held-out images: what one gains over the other, and how much of that may be chance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

_NOISE = 1.0  # standard errors, which no difference at all exceeds in 16 of 100 cases
_LEAST = 1e-12  # probability

Probabilities = Float[ndarray, "n classes"]


@dataclass(frozen=True, slots=True)
class Paired:
    """The first and the second on so many images. accuracy, loss: means of each; loss in nats.

    gain: how much less the second one's loss is; error: its standard error over groups.
    """

    images: int
    accuracy: tuple[float, float]
    loss: tuple[float, float]
    error: float

    @property
    def gain(self) -> float:
        """Of the second one, in nats of log loss."""
        return self.loss[0] - self.loss[1]

    @property
    def better(self) -> bool:
        """Whether the second is better by more than the noise: in log loss, which says more than accuracy where images
        are few. Its accuracy is no lower."""
        return self.gain > _NOISE * self.error and self.accuracy[1] >= self.accuracy[0]


def paired(
    first: Probabilities,
    second: Probabilities,
    labels: Int64[ndarray, " n"],
    groups: Int64[ndarray, " n"],
    weights: Float[ndarray, " n"],
) -> Paired:
    """Compare them. groups: images of one group are no two witnesses. weights: how much each image counts."""
    place = np.arange(len(labels))
    share = weights / weights.sum()
    losses = [-np.log(np.maximum(found[place, labels], _LEAST)) for found in (first, second)]
    right = [float((share * (found.argmax(1) == labels)).sum()) for found in (first, second)]
    means = [float((share * loss).sum()) for loss in losses]
    difference = losses[0] - losses[1]
    _, group = np.unique(groups, return_inverse=True)
    apart = np.bincount(group, share * (difference - (means[0] - means[1])))
    witnesses = len(apart)
    error = float(np.sqrt((apart**2).sum() * witnesses / max(witnesses - 1, 1)))
    return Paired(len(labels), (right[0], right[1]), (means[0], means[1]), error)
