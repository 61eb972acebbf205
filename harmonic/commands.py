"""The sub-commands `train`, `evaluate` and `models`. Nothing heavy is imported before a command runs."""

from pathlib import Path
from typing import Annotated

import typer

DataPaths = Annotated[
    list[Path],
    typer.Option(
        "--data",
        help="Images: a folder or zip of class folders (with or without train/, val/ and test/ above them), "
        "CIFAR-10/100 as torchvision lays them out, or MNIST's idx files. Give it several times to join sources.",
    ),
]


def train(
    recipe: Annotated[str, typer.Argument(help="A TOML file, or the name of a recipe that comes with the package.")],
    data: DataPaths,
    val: Annotated[
        list[Path] | None,
        typer.Option(help="Images that choose the best epoch; default: --data's own, else a share."),
    ] = None,
    test: Annotated[
        list[Path] | None, typer.Option(help="Images to measure once at the end; default: --data's own test split.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; default: runs/<recipe>.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[int, typer.Option(help="How many devices; 0 takes all GPUs, or the CPU.", min=0)] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads for the arithmetic; 0 leaves PyTorch's choice.", min=0)] = 0,
) -> None:
    """Train a classifier. Give the same command again to resume a run that was killed.

    The run's folder holds the recipe, the log (CSV and TensorBoard), the curves, and the bundle for `harmonic export`.
    """
    import torch
    from rich.console import Console

    from harmonic import data as datasets
    from harmonic import recipe as recipes
    from harmonic.train import Where
    from harmonic.train import train as run

    if threads:
        torch.set_num_threads(threads)
    plan = recipes.read(recipe)
    images = datasets.read(data, "train")
    choosing = val or [path for path in data if datasets.has_split(path, "val")]
    held_out = test or [path for path in data if datasets.has_split(path, "test")]
    folder = run(
        plan,
        images,
        out or Path("runs") / Path(recipe).stem,
        val=datasets.read(choosing, "val") if choosing else None,
        test=datasets.read(held_out, "test") if held_out else None,
        where=Where(accelerator, devices or "auto"),
    )
    Console(highlight=False, soft_wrap=True).print(
        f"The bundle is {folder}. Next: harmonic export {folder} --repository models --name NAME"
    )


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


def models(
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the architectures: parameters, multiplications, input size, published error.

    Depth, width and cardinality in a name may be changed. `torchvision/NAME` and `timm/NAME` stand for every classifier
    of these packages.
    """
    import json as encoder
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import track

    from harmonic.report import architecture_rows, architecture_table

    rows = list(track(architecture_rows(), description="Counting", transient=True, disable=json))
    if json:
        typer.echo(encoder.dumps([asdict(row) for row in rows]))
    else:
        Console().print(architecture_table(rows))
