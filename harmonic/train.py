"""Training: recipe and images in, run folder out (recipe, log, curves, checkpoint, bundle).

The story alone: a run is opened, fitted and published. A killed run resumes from its last finished epoch when the same
command is given again.
"""

from pathlib import Path

from harmonic.bundle import Bundle
from harmonic.claim import refuse_another_run
from harmonic.disk import full_disk_told
from harmonic.fitting import fitted
from harmonic.hardware import Where
from harmonic.images import Images
from harmonic.publishing import published
from harmonic.recipe import Recipe
from harmonic.run import continued, opened

__all__ = ["Where", "train"]

_ANYWHERE = Where()


def train(
    recipe: Recipe,
    images: Images,
    out: Path,
    *,
    val: Images | None = None,
    test: Images | None = None,
    where: Where = _ANYWHERE,
    start: Bundle | None = None,
) -> Path:
    """Train a classifier and return its bundle's folder, `out/bundle`.

    val: images that choose the best epoch; without them the recipe's share of the training images does.
    test: measured once, with the chosen epoch's weights.
    start: fine-tune its network, which replaces the recipe's, as does its input where the recipe names none.
    A finished run is returned as it is. RecipeError if `out` holds a run of another recipe, DataError if of other
    images or if their classes are not those of `start`; RunError if what it stored is damaged, or if the disk is full;
    DeviceError if the hardware that `where` asks for is not there.
    """
    recipe, images = continued(recipe, images, start)
    refuse_another_run(recipe, images, out)
    if (out / "bundle").exists():
        return out / "bundle"
    run = opened(recipe, images, out, val, test, start)
    with full_disk_told(out):
        done = fitted(run, where)
    return published(run, done)
