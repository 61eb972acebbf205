"""What `harmonic fit` says: lines and tables on a terminal, and its result as one object. Nothing heavy is imported
before it speaks."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from harmonic.bundles import Bundle
    from harmonic.data import Images
    from harmonic.transfer import Transferred


def say(lines: list[str]) -> None:
    """Line by line."""
    for line in lines:
        typer.echo(line)


def found(fitted: "Transferred") -> None:
    """What was tried, and how good it is."""
    from harmonic.shown import show
    from harmonic.transfer import advice, class_table, tried_lines, worst_confusions

    say(tried_lines(fitted))
    if len(fitted.bundle.card.classes) <= 50:
        show(class_table(fitted))
    worst = [f"{true} taken for {answer} ({share:.0%})" for true, answer, share in worst_confusions(fitted)[:3]]
    if worst:
        typer.echo(f"Confused most: {', '.join(worst)}")
    judged = fitted.judgement
    typer.echo(f"Accuracy on images held out: {judged.accuracy}; mean over the classes: {judged.balanced}")
    typer.echo(advice(fitted))


def tested(made: "Bundle", test: "Images | None") -> dict[str, Any]:
    """Figures of the source's own test images, seen once; nothing where it has none."""
    from harmonic.evaluation import NetworkPredictor, evaluate

    if test is None:
        return {}
    measured = evaluate(NetworkPredictor(made.model, made.card.classes, made.card.pixels), test)
    even = measured.summary()["balanced_accuracy"]
    typer.echo(
        f"On the {len(measured.labels):,} test images of {measured.source}: {measured.top(1):.1%}; mean over the "
        f"classes: {even:.1%}"
    )
    return {"test": {"images": len(measured.labels), "top1": measured.top(1), "balanced_accuracy": even}}


def facts(fitted: "Transferred") -> dict[str, Any]:
    """The result for programs."""
    from dataclasses import asdict

    judged = fitted.judgement
    return {
        "classes": fitted.bundle.card.classes,
        "accuracy": asdict(judged.accuracy),
        "balanced_accuracy": asdict(judged.balanced),
        "threshold_95": fitted.threshold,
        "backbone": str(fitted.chosen),
        "tried": {str(one.candidate): one.loss for one in fitted.tried},
        "finetuned": asdict(fitted.finetuned) if fitted.finetuned else None,
        "compressed": asdict(fitted.compressed) if fitted.compressed else None,
        "curve": [{"images": count, "accuracy": right} for count, right in judged.curve],
        "confusion": judged.confusion.tolist(),
        "unreadable": fitted.survey.unreadable,
    }


def following(repository: Path, name: str) -> None:
    """What to do next."""
    typer.echo(f"Next: harmonic serve --repository {shlex.quote(str(repository))} --default-model {shlex.quote(name)}")
    typer.echo(f"Then: curl --data-binary @photograph.jpg http://127.0.0.1:8000/v1/models/{name}/classify")
