"""A training run as it is opened: the recipe, the images by what they are for, and the network before its first step.

Nothing is written here.
"""

from dataclasses import dataclass
from pathlib import Path

import lightning as L
import numpy as np
from jaxtyping import Float
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.data import Images, check_all
from harmonic.errors import RecipeError
from harmonic.pixels import PixelSpec
from harmonic.training.loaders import split
from harmonic.training.prior import output_bias
from harmonic.training.recipe import ModelSection, Recipe
from harmonic.training.run_folder import Given
from harmonic.training.trainee import OwnTraining

Shares = Float[np.ndarray, " classes"]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run needs, from its opening to its bundle.

    given: all that the run was given; of it, `training` is learned, `validation` (which may be empty) finds the best
    epoch, and `test` is measured once, at the end. network: trained in place.
    """

    recipe: Recipe
    given: Given
    training: Images
    validation: Images
    test: Images | None
    spec: PixelSpec
    network: nn.Module
    out: Path

    @property
    def classes(self) -> tuple[str, ...]:
        """What the network answers, in its order."""
        return self.given.images.classes

    @property
    def balanced(self) -> bool:
        """Whether rare classes are made to count as much as frequent ones."""
        return self.recipe.data.balance != "none"

    def shares(self) -> Shares:
        """Of every class among the training images; one without any counts as half an image: no share is 0."""
        counts = np.maximum(np.bincount(self.training.labels, minlength=len(self.classes)), 0.5)
        return np.asarray(counts / counts.sum())


def continued(recipe: Recipe, images: Images, start: bundle.Bundle | None) -> tuple[Recipe, Images]:
    """The recipe and images of a run that fine-tunes a bundle: its network, input and classes; without one, as given.

    DataError if the images have classes that the bundle does not answer.
    """
    if not start:
        return recipe, images
    card = start.card
    section = ModelSection(architecture=card.architecture, arguments=card.arguments)
    changes = {"model": section, "pixels": recipe.pixels or card.pixels}
    return recipe.model_copy(update=changes), images.labelled_as(card.classes)


def opened(recipe: Recipe, given: Given, out: Path, start: bundle.Bundle | None) -> Run:
    """Everything that can be told to be wrong before the first epoch is told here.

    RecipeError, ZooError or DataError for what cannot be trained, tested or corrected as the recipe asks.
    """
    spec, images = _pixels(recipe), given.images
    held_out, test = (part.labelled_as(images.classes) if part else None for part in (given.validation, given.test))
    network = _network(recipe, images.classes, start)
    _refuse_balance(recipe, network, spec, len(images.classes))
    if test:
        _check(test, spec)
    training, validation = split(recipe, images, held_out)
    return Run(recipe, given, training, validation, test, spec, network, out)


@rank_zero_only
def _check(test: Images, spec: PixelSpec) -> None:
    """By the first process, for its helpers too."""
    check_all(test, spec, title="Checking test images")


def _pixels(recipe: Recipe) -> PixelSpec:
    native = zoo.native_pixels(recipe.model.architecture)
    if recipe.pixels and recipe.pixels.channels != native.channels:
        raise RecipeError(
            f"{recipe.model.architecture} takes {native.mode} images, pixels.mode says {recipe.pixels.mode}. "
            "Grey and coloured files are read as either; set pixels.mode to what the architecture takes."
        )
    return recipe.pixels or native


def _network(recipe: Recipe, classes: tuple[str, ...], start: bundle.Bundle | None) -> nn.Module:
    """The network before its first step: drawn from the recipe's seed, or with a bundle's weights."""
    L.seed_everything(recipe.train.seed, verbose=False)
    network = zoo.create(recipe.model.architecture, len(classes), **recipe.model.arguments)
    if start:
        network.load_state_dict(start.model.state_dict())
    return network


def _refuse_balance(recipe: Recipe, network: nn.Module, spec: PixelSpec, classes: int) -> None:
    """RecipeError where rare classes cannot be made to count as much as the recipe asks."""
    name = recipe.model.architecture
    if recipe.data.balance == "loss" and isinstance(network, OwnTraining):
        raise RecipeError(f'{name} brings a loss of its own, which knows no weights. Set data.balance to "sampling".')
    if recipe.data.balance != "none" and output_bias(network, spec, classes) is None:
        raise RecipeError(f"{name} cannot be corrected for true class shares; drop data.balance.")
