"""Rare classes: weights that make every class count the same. The way back to their true shares: `prior`."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonic.data import Images
from harmonic.training.recipe import Recipe


def class_weights(images: Images) -> NDArray[np.float64]:
    """1 / frequency of every class, scaled so that the mean over the images is 1; 0 for a class without images."""
    counts = np.bincount(images.labels, minlength=len(images.classes))
    present = int((counts > 0).sum())
    return np.divide(len(images), counts * present, out=np.zeros(len(counts)), where=counts > 0)


@dataclass(frozen=True, slots=True)
class Balance:
    """Weights by class. loss: of a training image's loss; hits: of a validation image's right answer. None: all 1."""

    loss: Tensor | None = None
    hits: Tensor | None = None

    @classmethod
    def of(cls, recipe: Recipe, training: Images, validation: Images) -> "Balance":
        """What the recipe asks for."""
        if recipe.data.balance == "none":
            return cls()
        loss = torch.from_numpy(class_weights(training)).float() if recipe.data.balance == "loss" else None
        return cls(loss, torch.from_numpy(class_weights(validation)).float())
