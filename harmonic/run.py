"""A training run as it is opened: the recipe, the images by what they are for, and the network before its first step.

Nothing is written here.
"""

from dataclasses import dataclass
from pathlib import Path

import lightning as L
from torch import nn

from harmonic import bundle, zoo
from harmonic.balance import PriorCorrectable
from harmonic.errors import RecipeError
from harmonic.images import Images, check_all
from harmonic.loaders import split
from harmonic.pixels import PixelSpec
from harmonic.recipe import ModelSection, Recipe


@dataclass(frozen=True, slots=True)
class Run:
    """What a run needs, from its opening to its bundle.

    images: all that the run was given to learn from, of which `learning` teach and `choosing` (none, maybe) choose the
    epoch. test: measured once, at the end. network: trained in place.
    """

    recipe: Recipe
    images: Images
    learning: Images
    choosing: Images
    test: Images | None
    spec: PixelSpec
    network: nn.Module
    out: Path


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


def opened(
    recipe: Recipe, images: Images, out: Path, val: Images | None, test: Images | None, start: bundle.Bundle | None
) -> Run:
    """Everything that can be told to be wrong before the first epoch is told here.

    RecipeError, ZooError or DataError for what cannot be trained, tested or corrected as the recipe asks.
    """
    spec = _pixels(recipe)
    val, test = (part.labelled_as(images.classes) if part else None for part in (val, test))
    network = _network(recipe, images.classes, start)
    if test:
        check_all(test, spec, title="Checking test images")
    learning, choosing = split(recipe, images, val)
    return Run(recipe, images, learning, choosing, test, spec, network, out)


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
    if recipe.data.balance != "none" and not isinstance(network, PriorCorrectable):
        raise RecipeError(f"{recipe.model.architecture} cannot be corrected for true class shares; drop data.balance.")
    return network
