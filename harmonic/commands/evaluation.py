"""`harmonic evaluate`."""

from typing import Annotated

import typer

from harmonic.commands.options import DataPaths, Json


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            help="A bundle's folder, an exported version's folder or its place in a store (s3://BUCKET/PREFIX/NAME/1), "
            "or a service's model address."
        ),
    ],
    data: DataPaths,
    against: Annotated[
        str | None, typer.Option(help="A second one to measure on the same images, with a paired test of significance.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Pixels a side, if not the model's own; bundles only.", min=8, max=4096)
    ] = None,
    test_time_pooling: Annotated[
        bool,
        typer.Option(
            "--test-time-pooling",
            help="Above 224 pixels: no cut, windows of the last map, mean of average and maximum.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Measure a classifier on labelled images: top-1, top-5, recall of every class, confusion, calibration, images a
    second."""
    from dataclasses import asdict

    from harmonic import data as datasets
    from harmonic.commands.values import print_json
    from harmonic.data import counted
    from harmonic.evaluation import class_tables, compare, comparison_table, evaluation_table, open_resized
    from harmonic.evaluation import evaluate as measure
    from harmonic.shown import show

    predictors = [open_resized(name, size, test_time_pooling) for name in (target, against) if name]
    images = datasets.read(data, "test")
    if images.left_out:
        typer.echo(f"Left out of {images.source}: {counted(images.left_out)}.", err=True)
    measured, *others = [measure(predictor, images) for predictor in predictors]
    other = others[0] if others else None
    if json:
        figures = {**measured.summary(), "confusion": measured.confusion().tolist(), "seconds": measured.seconds}
        paired = {"against": {**other.summary(), **asdict(compare(measured, other))}} if other else {}
        print_json(figures | paired)
        return
    show(evaluation_table(measured))
    if tables := class_tables(measured):
        show(*tables)
    if other and against:
        show(comparison_table(measured, other, (target, against)))
