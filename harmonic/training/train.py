"""Training: recipe and images in, run folder out (recipe, log, curves, checkpoint, bundle).

The story alone: a run is opened, fitted and published. A killed run resumes from its last finished epoch when the same
command is given again.
"""

from collections.abc import Callable
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from harmonic.bundles import Bundle
from harmonic.data import Images
from harmonic.disk import full_disk_told
from harmonic.training.fitting import fitted
from harmonic.training.hardware import Where
from harmonic.training.publishing import published
from harmonic.training.recipe import Recipe
from harmonic.training.report import found, reached
from harmonic.training.run import continued, opened
from harmonic.training.run_folder import Given, refuse_another_run

__all__ = ["Where", "train"]

_ANYWHERE = Where()
Tell = Callable[[str], None]


def _nobody(line: str) -> None:
    """Hears nothing."""


def train(
    recipe: Recipe,
    images: Images,
    out: Path,
    *,
    validation: Images | None = None,
    test: Images | None = None,
    where: Where = _ANYWHERE,
    start: Bundle | None = None,
    teacher: Bundle | None = None,
    tell: Tell = _nobody,
) -> Path:
    """Train a classifier and return its bundle's folder, `out/bundle`.

    validation: images that find the best epoch; without them, the recipe's share of `images`.
    test: measured once, with the chosen epoch's weights.
    start: fine-tune its network, which replaces the recipe's, as does its input where the recipe names none.
    teacher: learn its answers, too, as the recipe's `distil` says.
    tell: hears, a line at a time, what the run found before its first epoch and what it reached in the end.
    A finished run is returned as it is. RecipeError if `out` holds a run of another recipe, DataError if of other
    images or labels, or if their classes are not those of `start`; RunError if what it stored is damaged, or if the
    disk is full; DeviceError if the hardware that `where` asks for is not there.
    """
    recipe, images, start = continued(recipe, images, start, validation)
    given, tell = Given(images, validation, test), rank_zero_only(tell)
    rank_zero_only(refuse_another_run)(recipe, given, out)  # It reads every image; helpers begin after that.
    if (out / "bundle").exists():
        tell(f"{out} holds this run already, finished: nothing was trained.")
        return out / "bundle"
    run = opened(recipe, given, out, start, teacher)
    for line in found(run):
        tell(line)
    with full_disk_told(out):
        done = fitted(run, where)
        folder, judged = published(run, done)
    for line in reached(run, done.checkpoints, judged):
        tell(line)
    return folder
