"""From logits to the likeliest classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities, (images, classes); each row sums to 1."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted


def predictions(logits: NDArray[np.float32], labels: Sequence[str], top_k: int) -> list[dict[str, Any]]:
    """For every image its `top_k` likeliest classes, or as many as there are; equal ones in the order of the labels."""
    probabilities = softmax(logits)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    scores = np.take_along_axis(probabilities, order, axis=1)
    return [
        {
            "classes": [
                {"label": labels[index], "index": index, "probability": score}
                for index, score in zip(*row, strict=True)
            ]
        }
        for row in zip(order.tolist(), scores.tolist(), strict=True)
    ]
