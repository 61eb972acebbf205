"""Error against size, of finished runs: which network is worth its parameters.

Reads the cards of bundles alone, and builds networks without memory to count them.
Source: Ulicny, Krylov, Dahyot, BMVC 2019, figure 4.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from harmonic import zoo
from harmonic.bundles import CARD, Card, read_card
from harmonic.errors import BundleError, HarmonicError, SpectrumError, ZooError
from harmonic.graph import macs, parameters

_FIGURES = {"test": ("test", "top1"), "validation": ("validation", "val_accuracy")}  # where a card's metrics have them

_REMEDIES = {
    "test": "Train it with --test IMAGES, or compare by --split validation",
    "validation": "Train it with --val IMAGES, or compare by --split test",
}


@dataclass(frozen=True, slots=True)
class Point:
    """A network as it was trained, once or with several seeds.

    arguments: those that are not the architecture's defaults. data: the images that were asked. recipe: its title.
    parameters: trainable ones. macs: multiply-accumulates of one image; None where they cannot be counted.
    errors: of each run, in percent. runs: the bundles' folders.
    """

    architecture: str
    arguments: dict[str, Any]
    data: str
    recipe: str
    parameters: int
    macs: int | None
    errors: tuple[float, ...]
    runs: tuple[str, ...]

    @property
    def error(self) -> float:
        """The median of the runs, in percent."""
        return median(self.errors)

    @property
    def family(self) -> str:
        """The registry's template; for a network of torchvision or timm its name, since theirs hold all kinds."""
        template = zoo.find(self.architecture).template
        return self.architecture if "{name}" in template else template

    def size(self, counted: str) -> int:
        """What `counted` names, "parameters" or "macs"; HarmonicError if it cannot be counted."""
        if counted == "parameters":
            return self.parameters
        if self.macs is None:
            raise HarmonicError(f"{self.runs[0]}: the multiplications of {self.architecture} cannot be counted.")
        return self.macs


@dataclass(frozen=True, slots=True)
class _Run:
    folder: Path
    card: Card
    data: str
    error: float


def read_points(runs: Iterable[Path], split: str = "test") -> list[Point]:
    """One point for each network, in the order given: runs that differ by their seed alone share one.

    runs: folders of runs or of their bundles; one that is given twice counts once. split: "test", or "validation" for
    the images that chose the epoch.
    Raises BundleError for a folder that holds no finished run or no such figure.
    """
    if split not in _FIGURES:
        raise HarmonicError(f"a split is {' or '.join(_FIGURES)}, not {split!r}.")
    same: dict[str, list[_Run]] = {}
    for folder in dict.fromkeys(bundle_folder(run).resolve() for run in runs):
        found = _read(folder, split)
        same.setdefault(_key(found), []).append(found)
    return [_point(group) for group in same.values()]


def bundle_folder(run: Path) -> Path:
    """The bundle of a run, or the folder itself if it is a bundle; BundleError for anything else."""
    for folder in (run, run / "bundle"):
        if (folder / CARD).is_file():
            return folder
    if (run / "recipe.json").is_file():
        raise BundleError(f"{run} is a run that has not finished. Give its `harmonic train` command again: it goes on.")
    raise BundleError(f"{run} is neither a run nor a bundle: it has no {CARD} and no bundle/{CARD}.")


def front(points: Iterable[Point], counted: str = "parameters") -> list[Point]:
    """The points that no other on the same data beats: none is as small and as good, and better in one of the two."""
    points = list(points)
    return [point for point in points if not any(_beats(other, point, counted) for other in points)]


def lines(points: Iterable[Point], counted: str = "parameters") -> list[list[Point]]:
    """Points of one family on one data set, by size; lines in the order of the points."""
    grouped: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        grouped.setdefault((point.data, point.family), []).append(point)
    return [by_size(line, counted) for line in grouped.values()]


def by_size(points: Iterable[Point], counted: str = "parameters") -> list[Point]:
    """The smallest first; of equals, the one with the smallest error."""
    return sorted(points, key=lambda point: (point.size(counted), point.error))


def _beats(one: Point, other: Point, counted: str) -> bool:
    ours, theirs = (one.size(counted), one.error), (other.size(counted), other.error)
    return one.data == other.data and ours != theirs and ours[0] <= theirs[0] and ours[1] <= theirs[1]


def _read(folder: Path, split: str) -> _Run:
    card = read_card(folder)
    section, name = _FIGURES[split]
    figures = card.metrics.get(section)
    accuracy = figures.get(name) if isinstance(figures, dict) else None
    if not isinstance(figures, dict) or not isinstance(accuracy, int | float):
        raise BundleError(f"{folder} has no figure for {split} images. {_REMEDIES[split]}.")
    source = figures.get("source") if split == "test" else card.metrics.get("trained_on")
    return _Run(folder, card, str(source), round(100 * (1 - accuracy), 6))


def _key(run: _Run) -> str:
    """Equal for runs that differ by their seed alone."""
    card = run.card
    recipe = {name: part for name, part in (card.recipe or {}).items() if name not in ("title", "license", "notice")}
    if isinstance(recipe.get("train"), dict):
        recipe["train"] = {**recipe["train"], "seed": None}
    recipe.pop("model", None)  # It says what architecture and arguments say, with or without defaults.
    network = (card.architecture, _arguments(run), len(card.classes), card.pixels.model_dump(mode="json"))
    return json.dumps([run.data, network, recipe], sort_keys=True)


def _arguments(run: _Run) -> dict[str, Any]:
    """Those that are not the architecture's defaults, whether they stand in the card or not."""
    defaults = {name: json.dumps(value) for name, value in _known(run).arguments.items()}
    return {
        name: value for name, value in sorted(run.card.arguments.items()) if defaults.get(name) != json.dumps(value)
    }


def _known(run: _Run) -> zoo.Architecture:
    try:
        return zoo.find(run.card.architecture)
    except ZooError as error:
        raise BundleError(f"{run.folder / CARD}: {error}") from error


def _point(runs: list[_Run]) -> Point:
    first = runs[0]
    counts = _counts(first)
    title = str((first.card.recipe or {}).get("title", ""))
    errors, folders = tuple(run.error for run in runs), tuple(str(run.folder) for run in runs)
    return Point(first.card.architecture, _arguments(first), first.data, title, *counts, errors, folders)


def _counts(run: _Run) -> tuple[int, int | None]:
    """Trainable parameters, and multiply-accumulates of one image where they can be counted."""
    spec = run.card.pixels
    try:
        model = _built(run.card)
    except (ZooError, SpectrumError) as error:
        raise BundleError(f"{run.folder / CARD}: {error}") from error
    try:
        return parameters(model), macs(model, (spec.channels, spec.height, spec.width))
    except SpectrumError:
        return parameters(model), None


def _built(card: Card) -> nn.Module:
    try:
        with torch.device("meta"):
            return zoo.create(card.architecture, len(card.classes), **card.arguments)
    except NotImplementedError:  # Some networks look at their first weights while they are built.
        return zoo.create(card.architecture, len(card.classes), **card.arguments)
