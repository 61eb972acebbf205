"""From logits to the likeliest classes: worked out once for a whole batch, then cut into what each caller asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ranked:
    """Logits, (images, classes), and the likeliest classes of each image with their probabilities, best first.

    There are as many of those as were asked for, or as there are classes; equal ones in the order of the labels.
    """

    logits: NDArray[np.float32]
    indices: list[list[int]]
    probabilities: list[list[float]]

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, part: slice) -> "Ranked":
        return Ranked(self.logits[part], self.indices[part], self.probabilities[part])

    def predictions(self, labels: Sequence[str], top_k: int, certain: float | None = None) -> list[dict[str, Any]]:
        """For every image its `top_k` likeliest classes, as far as they were worked out.

        certain: the probability from which on the likeliest one is certain; every image then says whether it is.
        """
        found: list[dict[str, Any]] = [
            {
                "classes": [
                    {"label": labels[index], "index": index, "probability": score}
                    for index, score in zip(indices[:top_k], scores[:top_k], strict=True)
                ]
            }
            for indices, scores in zip(self.indices, self.probabilities, strict=True)
        ]
        if certain is not None:
            for image, scores in zip(found, self.probabilities, strict=True):
                image["certain"] = scores[0] >= certain
        return found


def rank(logits: NDArray[np.float32], best: int) -> Ranked:
    """Work out the `best` likeliest classes of every image; none for 0."""
    if not best:
        none: list[list[Any]] = [[] for _ in logits]
        return Ranked(logits, none, none)
    probabilities = softmax(logits)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :best]
    scores = probabilities[np.arange(len(order))[:, np.newaxis], order]
    return Ranked(logits, order.tolist(), scores.tolist())


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities, (images, classes); each row sums to 1, but one that holds what is no number."""
    shifted = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):
        shifted -= shifted.max(axis=1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted
