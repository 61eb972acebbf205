"""`harmonic evaluate`."""

from typing import Annotated

import typer

from harmonic.commands.options import DataPaths


def evaluate(
    target: Annotated[
        str, typer.Argument(help="A bundle's folder, an exported version's folder, or a service's model address.")
    ],
    data: DataPaths,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure a classifier on labelled images: top-1, top-5, recall of every class, confusion, calibration, images a
    second."""
    import json as encoder

    from rich.console import Console

    from harmonic import data as datasets
    from harmonic.evaluate import evaluate as measure
    from harmonic.evaluate import open_predictor
    from harmonic.report import evaluation_tables

    measured = measure(open_predictor(target), datasets.read(data, "test"))
    if json:
        typer.echo(
            encoder.dumps(
                {**measured.summary(), "confusion": measured.confusion().tolist(), "seconds": measured.seconds}
            )
        )
        return
    for table in evaluation_tables(measured):
        Console().print(table)
