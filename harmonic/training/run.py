"""A training run as it is opened: the recipe, the images by what they are for, and the network before its first step.

Nothing is written here.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import numpy as np
from jaxtyping import Float
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from harmonic import zoo
from harmonic.bundles import Bundle, with_new_head
from harmonic.data import Images, check_all
from harmonic.errors import DataError, RecipeError
from harmonic.pixels import PixelSpec
from harmonic.training.loaders import split
from harmonic.training.prior import output_bias
from harmonic.training.recipe import FinetuneSection, ModelSection, Recipe
from harmonic.training.run_folder import Given
from harmonic.training.teacher import refuse_teacher
from harmonic.training.temperature import scales
from harmonic.training.thawing import must_fit
from harmonic.training.trainee import OwnTraining

_BATCHES = 8  # at least so many are in an epoch of a run whose batch follows from its images
Shares = Float[np.ndarray, " classes"]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run needs, from its opening to its bundle.

    given: all that the run was given; of it, `training` is learned, `validation` (which may be empty) finds the best
    epoch, and `test` is measured once, at the end. network: trained in place. finetuned: it was trained before.
    teacher: its answers are learned beside the labels.
    """

    recipe: Recipe
    given: Given
    training: Images
    validation: Images
    test: Images | None
    spec: PixelSpec
    network: nn.Module
    out: Path
    finetuned: bool = False
    teacher: Bundle | None = None

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


def continued(
    recipe: Recipe, images: Images, start: Bundle | None, validation: Images | None
) -> tuple[Recipe, Images, Bundle | None]:
    """The recipe, images and first weights of a run as they are once the images are known.

    A run that fine-tunes a bundle has its network, input, licence and, if it keeps its head, classes. Where the recipe
    wants a number of steps, epochs and batch follow from the number of images.
    DataError if the images have classes that a head which is kept does not answer; RecipeError if the recipe wants a
    new head without a bundle, FeatureError if there is no single last layer to replace.
    """
    if start:
        if recipe.finetune.head == "new":
            L.seed_everything(recipe.train.seed, verbose=False)
            start = with_new_head(start, images.classes).bundle
        card = start.card
        recipe = recipe.model_copy(
            update={
                "model": ModelSection(architecture=card.architecture, arguments=card.arguments),
                "pixels": recipe.pixels or card.pixels,
                "license": recipe.license or card.license,
                "notice": recipe.notice or card.notice,
            }
        )
        images = _answered(images, card.classes)
    elif recipe.finetune != FinetuneSection():
        raise RecipeError("[finetune] says how a bundle's network goes on learning: name the bundle with --from.")
    return in_steps(recipe, len(images), validation), images, start


def _answered(images: Images, classes: tuple[str, ...]) -> Images:
    try:
        return images.labelled_as(classes)
    except DataError as error:
        raise DataError(f"{error} Give --head new for a network that answers the classes of the images.") from error


def in_steps(recipe: Recipe, images: int, validation: Images | None) -> Recipe:
    """The recipe with its epochs and batch for so many images, where it says how many steps it wants."""
    plan, data = recipe.train, recipe.data
    if plan.steps is None:
        return recipe
    learned = min(images, data.limit or images)
    learned = max(2, learned if validation else round(learned * (1 - data.validation)))
    batch = min(plan.batch, max(2, 2 ** int(math.log2(learned / _BATCHES)))) if learned >= 2 * _BATCHES else 2
    each, least = plan.validate_every, recipe.finetune.head_epochs + recipe.finetune.thaw_epochs + 1
    epochs = each * max(math.ceil(least / each), round(plan.steps * batch * plan.accumulate / learned / each))
    return recipe.model_copy(update={"train": plan.model_copy(update={"epochs": epochs, "batch": batch})})


def opened(recipe: Recipe, given: Given, out: Path, start: Bundle | None, teacher: Bundle | None = None) -> Run:
    """Everything that can be told to be wrong before the first epoch is told here.

    RecipeError, ZooError or DataError for what cannot be trained, tested or corrected as the recipe asks.
    """
    spec, images = _pixels(recipe), given.images
    held_out, test = (part.labelled_as(images.classes) if part else None for part in (given.validation, given.test))
    network = _network(recipe, images.classes, start)
    _refuse_balance(recipe, network, spec, len(images.classes))
    must_fit(recipe.finetune, recipe.train.epochs)
    _refuse_for_own_loss(recipe, network, teacher)
    _refuse_muon(recipe, network, finetuned=start is not None)
    if teacher:
        refuse_teacher(teacher, images.classes, spec)
    if test:
        _check(test, spec)
    training, validation = split(recipe, images, held_out)
    _refuse_unjudged(recipe, network, spec, len(validation))
    return Run(recipe, given, training, validation, test, spec, network, out, start is not None, teacher)


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


def _network(recipe: Recipe, classes: tuple[str, ...], start: Bundle | None) -> nn.Module:
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


def _refuse_for_own_loss(recipe: Recipe, network: nn.Module, teacher: Bundle | None) -> None:
    """RecipeError where a network that brings its own loss is asked to learn from anything but plain labels."""
    mixed = recipe.augment.mixup or recipe.augment.cutmix
    if isinstance(network, OwnTraining) and (mixed or teacher or recipe.finetune.lowest_rate != 1):
        raise RecipeError(
            f"{recipe.model.architecture} brings a loss of its own: it takes no mixup, cutmix, teacher or "
            "finetune.lowest_rate."
        )


def _refuse_muon(recipe: Recipe, network: nn.Module, *, finetuned: bool) -> None:
    """RecipeError where something else says how fast each parameter learns."""
    if recipe.train.optimiser == "muon" and (finetuned or isinstance(network, OwnTraining)):
        raise RecipeError(
            f'train.optimiser = "muon" is for networks that begin anew with a plain loss, and '
            f"{recipe.model.architecture} {'goes on from a bundle' if finetuned else 'brings a loss of its own'}. "
            'Set train.optimiser to "sgd" or "adamw".'
        )


def _refuse_unjudged(recipe: Recipe, network: nn.Module, spec: PixelSpec, images: int) -> None:
    """RecipeError for what needs validation images where there are none, or a last layer of another kind."""
    plan = recipe.train
    if not images and (plan.patience or plan.temperature):
        raise RecipeError("train.patience and train.temperature need validation images; raise data.validation.")
    if plan.temperature and not scales(network, spec):
        raise RecipeError(f"{recipe.model.architecture} cannot be given a temperature; drop train.temperature.")
