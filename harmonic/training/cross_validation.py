"""How good a recipe is on all images: each of them is tested once, by a run that learned from the others."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from harmonic.bundles import Bundle, read_card
from harmonic.data import Images
from harmonic.disk import renewed
from harmonic.errors import DataError
from harmonic.evaluation.folds import folds
from harmonic.training.hardware import Where
from harmonic.training.recipe import Recipe
from harmonic.training.train import train

_FIGURES = ("top1", "balanced_accuracy", "calibration_error")


def cross_validate(
    recipe: Recipe,
    images: Images,
    out: Path,
    count: int,
    *,
    where: Where,
    start: Bundle | None,
    teacher: Bundle | None,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Train and test `count` runs in `out/fold-1` and so on, and give their figures, which `out/folds.json` has too.

    Images of one group are never on both sides. A killed one goes on where it was. DataError if a class has fewer
    images or groups than there are folds; whatever `train` raises.
    """
    parts = list(folds(images.labels, images.own_groups(), count, recipe.train.seed))
    if len(parts) < count:
        raise DataError(f"{images.source}: the rarest class has images for {len(parts)} folds, not {count}.")
    runs = []
    for number, (learned, held_out) in enumerate(parts, start=1):
        tell(f"Fold {number} of {count}:")
        folder = train(
            recipe,
            images.subset(learned),
            out / f"fold-{number}",
            test=images.subset(held_out),
            where=where,
            start=start,
            teacher=teacher,
            tell=tell,
        )
        runs.append(read_card(folder).metrics["test"])
    figures = summed_up(runs)
    with renewed(out / "folds.json") as part:
        part.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def summed_up(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the runs of each figure, and what each run had.

    interval: of the mean, two of its standard errors either way. The runs share images, so it is a little too narrow.
    """
    result: dict[str, Any] = {"folds": len(runs), "images": sum(run["images"] for run in runs)}
    for name in _FIGURES:
        values = [float(run[name]) for run in runs]
        mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
        error = 2 * deviation / math.sqrt(len(values))
        interval = [mean - error, mean + error]
        result[name] = {"mean": mean, "deviation": deviation, "interval": interval, "values": values}
    return result


def folds_table(figures: dict[str, Any]) -> Table:
    """The figures for people."""
    table = Table("figure", "mean", "deviation", "95 % of the mean", "each fold")
    for name in _FIGURES:
        one = figures[name]
        low, high = one["interval"]
        table.add_row(
            name.replace("_", " "),
            f"{one['mean']:.4f}",
            f"{one['deviation']:.4f}",
            f"{low:.4f} to {high:.4f}",
            " ".join(f"{value:.4f}" for value in one["values"]),
        )
    return table
