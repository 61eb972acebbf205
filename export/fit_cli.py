"""The sub-command `fit`. Nothing heavy is imported before it runs."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmonic.commands import JpegScale, Json
from harmonic.errors import HarmonicError, RunError

if TYPE_CHECKING:
    from export.pipeline import Order
    from harmonic.bundles import Bundle
    from harmonic.data import Images
    from harmonic.transfer import Transferred


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
        float, typer.Option(help="How long networks may be tried; what would take longer is left out.", min=0.1)
    ] = 10,
    balanced: Annotated[bool, typer.Option(help="Let every class weigh the same, however few images it has.")] = False,
    seed: Annotated[int, typer.Option(help="Draws the folds of the cross-validation.", min=0)] = 1,
    precision: Annotated[
        str,
        typer.Option(
            help="Precisions to publish, with commas between: fp32 (always there), int8 for CPUs, fp16 for GPUs; some "
            "minutes more. "
            "What loses more than half a point on the photographs, or is not faster here, is left out."
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
    from harmonic.shown import for_people
    from harmonic.transfer import Wanted, report, report_page, survey, survey_lines
    from harmonic.transfer import fit as run

    checked_name(name)
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
    with for_people(aside=json):
        found = survey(_learned(photographs))
        _say(survey_lines(found))
        try:
            fitted = run(found, wanted, typer.echo)
        except KeyboardInterrupt:
            typer.echo("\nStopped. What was computed is kept: the same command goes on from there.", err=True)
            raise typer.Exit(130) from None
        made = replace(fitted.bundle, report=report(fitted))
        bundle.save(made, folder / "bundle")
        with _kept(folder / "bundle", repository, name):
            _write(folder / "report.html", report_page(fitted))
            _tell(fitted)
            tested = _tested(made, photographs)
            published = _published(Order(made, repository, name, precisions=precisions), found.images)
        typer.echo(f"The report: {folder / 'report.html'}")
        _next(repository, name)
    if json:
        print_json({**_facts(fitted), **tested, "bundle": str(folder / "bundle"), "version": str(published)})
    if serve:
        sys.stdout.flush()
        program = [sys.executable, sys.argv[0], "serve", "--repository", str(repository), "--default-model", name]
        os.execv(sys.executable, program)  # noqa: S606 - this command again, with another sub-command


@contextmanager
def _kept(saved: Path, repository: Path, name: str) -> Iterator[None]:
    """Say what there is, and how to go on, where something ends the command between its bundle and its version."""
    where = f"--repository {shlex.quote(str(repository))} --name {shlex.quote(name)}"
    said = f"The bundle {saved} is whole. To publish it: harmonic export {shlex.quote(str(saved))} {where}"
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


def _say(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)


def _tell(fitted: "Transferred") -> None:
    """What was found, on the terminal."""
    from harmonic.shown import show
    from harmonic.transfer import advice, class_table, tried_lines, worst_confusions

    _say(tried_lines(fitted))
    if len(fitted.bundle.card.classes) <= 50:
        show(class_table(fitted))
    worst = [f"{true} taken for {answer} ({share:.0%})" for true, answer, share in worst_confusions(fitted)[:3]]
    if worst:
        typer.echo(f"Confused most: {', '.join(worst)}")
    judged = fitted.judgement
    typer.echo(f"Accuracy on images held out: {judged.accuracy}; mean over the classes: {judged.balanced}")
    typer.echo(advice(fitted))


def _tested(made: "Bundle", photographs: list[Path]) -> dict[str, Any]:
    """Figures of the source's own test images, seen once; nothing where it has none."""
    from harmonic.data import has_split, read
    from harmonic.evaluation import NetworkPredictor, evaluate

    if not all(has_split(path, "test") or has_split(path, "val") for path in photographs):
        return {}
    measured = evaluate(NetworkPredictor(made.model, made.card.classes, made.card.pixels), read(photographs, "test"))
    typer.echo(f"On the {len(measured.labels):,} test images of {measured.source}: {measured.top(1):.1%}")
    return {"test": {"images": len(measured.labels), "top1": measured.top(1)}}


def _published(order: "Order", images: "Images") -> Path:
    from export.cli import precision_lines
    from export.pipeline import export

    asked = replace(order, calibration=images, judges=images) if len(order.precisions) > 1 else order
    published = export(asked, tell=lambda step: typer.echo(f"{step} ..."))
    _say(precision_lines(published))
    return published.folder


def _facts(fitted: "Transferred") -> dict[str, Any]:
    from dataclasses import asdict

    judged = fitted.judgement
    return {
        "classes": fitted.bundle.card.classes,
        "accuracy": asdict(judged.accuracy),
        "balanced_accuracy": asdict(judged.balanced),
        "threshold_95": fitted.threshold,
        "backbone": str(fitted.chosen),
        "tried": {str(one.candidate): one.loss for one in fitted.tried},
        "curve": [{"images": count, "accuracy": right} for count, right in judged.curve],
        "confusion": judged.confusion.tolist(),
        "unreadable": fitted.survey.unreadable,
    }


def _next(repository: Path, name: str) -> None:
    typer.echo(f"Next: harmonic serve --repository {shlex.quote(str(repository))} --default-model {shlex.quote(name)}")
    typer.echo(f"Then: curl --data-binary @photograph.jpg http://127.0.0.1:8000/v1/models/{name}/classify")
