"""`harmonic train`."""

from pathlib import Path
from typing import Annotated

import typer

from harmonic.commands.options import DataPaths


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
    only: Annotated[
        Path | None,
        typer.Option(help="A file with the numbers of the training images to learn from, counted from 0."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; default: runs/<recipe>.")] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="A bundle to fine-tune: its network and input replace the recipe's."),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[int, typer.Option(help="How many devices; 0 takes all GPUs, or the CPU.", min=0)] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads for the arithmetic; 0 leaves PyTorch's choice.", min=0)] = 0,
) -> None:
    """Train a classifier. Give the same command again to resume a run that was killed.

    The run's folder holds the recipe, the log (CSV and TensorBoard), the curves, and the bundle for `harmonic export`.
    """
    import torch
    from rich.console import Console

    from harmonic import bundle
    from harmonic import data as datasets
    from harmonic import recipe as recipes
    from harmonic.train import Where
    from harmonic.train import train as run

    if threads:
        torch.set_num_threads(threads)
    plan = recipes.read(recipe)
    images = datasets.read(data, "train")
    if only:
        images = datasets.only(images, only)
    choosing = val or [path for path in data if datasets.has_split(path, "val")]
    held_out = test or [path for path in data if datasets.has_split(path, "test")]
    folder = run(
        plan,
        images,
        out or Path("runs") / Path(recipe).stem,
        val=datasets.read(choosing, "val") if choosing else None,
        test=datasets.read(held_out, "test") if held_out else None,
        where=Where(accelerator, devices or "auto"),
        start=bundle.load(start) if start else None,
    )
    Console(highlight=False, soft_wrap=True).print(
        f"The bundle is {folder}. Next: harmonic export {folder} --repository models --name NAME"
    )
