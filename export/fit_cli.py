"""The sub-command `fit`. Nothing heavy is imported before it runs."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from export import fit_told as told
from harmonic.commands import JpegScale, Json
from harmonic.errors import HarmonicError, RunError

if TYPE_CHECKING:
    from export.pipeline import Order
    from harmonic.compression import Budget
    from harmonic.data import Images
    from harmonic.transfer import Transferred, Wanted


class _Finetune(StrEnum):
    AUTO = "auto"
    NEVER = "never"
    ALWAYS = "always"


def fit(
    photographs: Annotated[
        list[Path],
        typer.Argument(
            help="A folder or zip with a folder of images for each class, or a CSV of path,label; several are joined."
        ),
    ],
    name: Annotated[str, typer.Option(help="The model's name in the repository and in addresses.")],
    repository: Annotated[Path, typer.Option(help="Where to publish it: <repository>/<name>/<version>/.")] = Path(
        "models"
    ),
    out: Annotated[
        Path | None, typer.Option(help="A new folder for the bundle and report.html; default: runs/<name>-<number>.")
    ] = None,
    backbone: Annotated[
        str,
        typer.Option(
            help="The pretrained network: auto tries those at hand; starter (the extra of that name), "
            "torchvision/NAME or timm/NAME (downloads), or a bundle's folder."
        ),
    ] = "auto",
    weights: Annotated[
        Path | None, typer.Option(help="A file with the backbone's weights, in place of a download.")
    ] = None,
    size: Annotated[
        list[int] | None,
        typer.Option(
            help="Side of the network's input in pixels, instead of trying several. May be given again.", min=32
        ),
    ] = None,
    minutes: Annotated[
        float,
        typer.Option(help="How long networks may be tried and trained; what would take longer is left out.", min=0.1),
    ] = 10,
    finetune: Annotated[
        _Finetune,
        typer.Option(
            help="Train the whole network further. auto: where that ends within --minutes, and kept only where it is "
            "better on images held out. always: 200 steps, however long they take, and kept in any case."
        ),
    ] = _Finetune.AUTO,
    compress: Annotated[
        str | None,
        typer.Option(
            metavar="BUDGET",
            help="Fewer frequencies: a share of the parameters (0.5), macs=0.5 or bytes=2MB. Kept only if it loses at "
            "most --max-drop; some minutes more.",
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(help="Points of accuracy that --compress and --precision may each lose.", min=0.0, max=100.0),
    ] = 0.5,
    balanced: Annotated[bool, typer.Option(help="Let every class weigh the same, however few images it has.")] = False,
    seed: Annotated[int, typer.Option(help="Draws the folds of the cross-validation.", min=0)] = 1,
    precision: Annotated[
        str,
        typer.Option(
            help="Precisions to publish, with commas between: fp32 (always there), int8 for CPUs, fp16 for GPUs; some "
            "minutes more. "
            "What loses more than --max-drop on the photographs, or is not faster here, is left out."
        ),
    ] = "fp32",
    jpeg_scale: JpegScale = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve the repository afterwards.")] = False,
    json: Json = False,
) -> None:
    """From a folder of photographs to a served classifier: choose a pretrained network, fit a classifier on its
    features, judge it by cross-validation, publish it.

    Features are kept, so that the same command goes on where it was stopped, and new photographs cost only themselves.
    """
    from export.pipeline import Order
    from export.quantize import parse_precisions
    from export.repository import checked_name
    from harmonic.bundles import bundle, cache_folder
    from harmonic.commands import print_json
    from harmonic.disk import must_be_free, must_be_writable
    from harmonic.heap import keep_freed_memory
    from harmonic.shown import for_people
    from harmonic.transfer import Wanted, report, report_page, survey, survey_lines
    from harmonic.transfer import fit as run

    checked_name(name)
    budget = _budget(compress) if compress is not None else None
    precisions = parse_precisions(precision)
    folder = out or _free(Path("runs"), name)
    must_be_free(folder)
    for place in (repository / name, cache_folder() / "features"):
        must_be_writable(place)
    wanted = Wanted(
        backbone,
        weights,
        tuple(size) if size else None,
        jpeg_scale.value if jpeg_scale else None,
        minutes,
        cache_folder() / "features",
        balanced,
        seed,
    )
    keep_freed_memory()
    with for_people(aside=json):
        found = survey(_learned(photographs))
        told.say(survey_lines(found))
        began = time.monotonic()
        try:
            fitted = run(found, wanted, typer.echo)
        except KeyboardInterrupt:
            typer.echo("\nStopped. What was computed is kept: the same command goes on from there.", err=True)
            raise typer.Exit(130) from None
        left = 60 * minutes - (time.monotonic() - began)
        for step in _further(finetune, left, budget, max_drop, wanted):
            with _stopped(fitted, folder / "bundle", repository, name):
                fitted = step(fitted)
        made = replace(fitted.bundle, report=report(fitted))
        bundle.save(made, folder / "bundle")
        with _kept(folder / "bundle", repository, name):
            _write(folder / "report.html", report_page(fitted))
            told.found(fitted)
            test = _held_apart(photographs)
            tested = told.tested(made, test)
            order = Order(made, repository, name, precisions=precisions, most_drop=max_drop)
            published = _published(order, found.images, test or found.images)
        typer.echo(f"The report: {folder / 'report.html'}")
        told.following(repository, name)
    if json:
        print_json({**told.facts(fitted), **tested, "bundle": str(folder / "bundle"), "version": str(published)})
    if serve:
        sys.stdout.flush()
        program = [sys.executable, sys.argv[0], "serve", "--repository", str(repository), "--default-model", name]
        os.execv(sys.executable, program)  # noqa: S606 - this command again, with another sub-command


def _budget(text: str) -> "Budget":
    from harmonic.transfer import shrinking

    return shrinking.budget(text)


def _further(
    how: _Finetune, left: float, budget: "Budget | None", most_drop: float, wanted: "Wanted"
) -> Iterator[Callable[["Transferred"], "Transferred"]]:
    """What is done with the network after its head is fitted. left: seconds."""
    drawn: dict[str, Any] = {"seed": wanted.seed, "balanced": wanted.balanced, "tell": typer.echo}
    if how is not _Finetune.NEVER:
        from harmonic.transfer import finetuning

        yield partial(finetuning.finetuned, always=how is _Finetune.ALWAYS, left=left, **drawn)
    if budget is not None:
        from harmonic.transfer import shrinking

        yield partial(shrinking.smaller, wanted=budget, most_drop=most_drop, **drawn)


@contextmanager
def _stopped(fitted: "Transferred", place: Path, repository: Path, name: str) -> Iterator[None]:
    """Save what there is where somebody stops what would make it better."""
    from harmonic.bundles import bundle
    from harmonic.transfer import report

    try:
        yield
    except KeyboardInterrupt:
        bundle.save(replace(fitted.bundle, report=report(fitted)), place)
        typer.echo(f"\nStopped. {_whole(place, repository, name)}", err=True)
        raise typer.Exit(130) from None


def _whole(saved: Path, repository: Path, name: str) -> str:
    where = f"--repository {shlex.quote(str(repository))} --name {shlex.quote(name)}"
    return f"The bundle {saved} is whole. To publish it: harmonic export {shlex.quote(str(saved))} {where}"


@contextmanager
def _kept(saved: Path, repository: Path, name: str) -> Iterator[None]:
    """Say what there is, and how to go on, where something ends the command between its bundle and its version."""
    said = _whole(saved, repository, name)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. {said}", err=True)
        raise typer.Exit(130) from None
    except HarmonicError:
        typer.echo(said, err=True)
        raise


def _write(path: Path, text: str) -> None:
    from harmonic.disk import renewed

    try:
        with renewed(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}.") from error


def _free(folder: Path, name: str) -> Path:
    """The next numbered folder that is not there."""
    number = 1
    while os.path.lexists(folder / f"{name}-{number}"):
        number += 1
    return folder / f"{name}-{number}"


def _learned(photographs: list[Path]) -> Any:
    from harmonic.data import read

    return read(photographs, "train")


def _held_apart(photographs: list[Path]) -> "Images | None":
    """The photographs' own test images; None where they have none."""
    from harmonic.data import has_split, read

    own = all(has_split(path, "test") or has_split(path, "val") for path in photographs)
    return read(photographs, "test") if own else None


def _published(order: "Order", images: "Images", judges: "Images") -> Path:
    from export.cli import precision_lines
    from export.pipeline import export

    asked = replace(order, calibration=images, judges=judges) if len(order.precisions) > 1 else order
    published = export(asked, tell=lambda step: typer.echo(f"{step} ..."))
    told.say(precision_lines(published))
    return published.folder
