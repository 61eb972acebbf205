"""What a run says to people: first what it found, last what it reached, and whether that is worth anything."""

import math
from collections.abc import Iterator

import numpy as np

from harmonic.data import Images, counted, some
from harmonic.evaluation import Evaluation
from harmonic.training.checkpoint import Checkpoints
from harmonic.training.loaders import steps
from harmonic.training.run import Run


def found(run: Run) -> Iterator[str]:
    """The images, their classes, what each part is for, and what was left out."""
    given, plan = run.given.images, run.recipe.train
    classes = f"{len(run.classes)} classes ({_counts(given)}): {some(run.classes)}"
    yield f"{given.source}: {len(given):,} images in {classes}."
    parts = [
        f"{len(run.training):,} are for training",
        f"{len(run.validation):,} for validation" if run.validation else "",
    ]
    parts += [f"{len(run.test):,} for the test" if run.test else "none for a test"]
    offered = len(given) + (len(run.given.validation) if run.given.validation else 0)
    unused = offered - len(run.training) - len(run.validation)
    parts += [f"{unused:,} are left out by the recipe" if unused else ""]
    yield f"Of the images {', '.join(part for part in parts if part)}."
    yield f"{steps(run.recipe, len(run.training)):,} steps an epoch, {plan.epochs:,} epochs."
    for part in (run.given.images, run.given.validation, run.given.test):
        if part and part.left_out:
            yield f"Left out of {part.source}: {counted(part.left_out)}."


def reached(run: Run, checkpoints: Checkpoints, judged: Evaluation | None) -> Iterator[str]:
    """The chosen epoch and its figures, the test's, and a warning where the network has learned nothing."""
    figures = checkpoints.figures
    by = "val_accuracy" if "val_accuracy" in figures else "train_accuracy"
    which = f"{'balanced ' if run.balanced and run.validation else ''}{'validation' if run.validation else 'training'}"
    yield f"Epoch {checkpoints.epoch + 1} of {run.recipe.train.epochs} was kept: {which} accuracy {figures[by]:.2%}."
    if run.test and judged:
        balanced = judged.figures()["balanced_accuracy"]
        yield (
            f"Test on {len(judged.labels):,} images of {judged.source}: {judged.top(1):.2%} top-1, "
            f"balanced accuracy {balanced:.2%}."
        )
    if judged:
        yield from warnings(judged.for_even_classes(run.shares()) if run.balanced else judged)


def warnings(judged: Evaluation) -> Iterator[str]:
    """What is wrong with a classifier that answers alike whatever it sees, or no better than by chance."""
    confusion = judged.confusion()
    answered = np.flatnonzero(confusion.sum(axis=0))
    present = confusion.sum(axis=1) > 0
    if present.sum() < 2:
        return
    if len(answered) == 1:
        yield (
            f"Warning: it answers {judged.classes[answered[0]]!r} to every image. Try a lower rate, more epochs, or "
            "data.balance where classes are rare."
        )
    elif judged.figures()["balanced_accuracy"] <= _by_chance(confusion.sum(axis=1)[present]):
        yield (
            f"Warning: it is not measurably better than guessing (1 in {present.sum()}). Are the labels right? "
            "Try more epochs, another rate, more images."
        )


def _by_chance(counts: np.ndarray) -> float:
    """The balanced accuracy that 39 of 40 guessers stay below, whose answers do not depend on the image.

    Each class's recall is then a mean of its number of draws; their mean is 1 / classes, whatever is guessed how often.
    """
    share = 1 / len(counts)
    return share + 2 * math.sqrt(share * (1 - share) * float((1 / counts).sum())) / len(counts)


def _counts(images: Images) -> str:
    counts = np.bincount(images.labels, minlength=len(images.classes))
    few, many = int(counts.min()), int(counts.max())
    return f"{few:,} each" if few == many else f"{few:,} to {many:,} each"
