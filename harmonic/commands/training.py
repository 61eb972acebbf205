"""`harmonic train`."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harmonic.commands.completion import recipes
from harmonic.commands.options import DataPaths, JpegScale, Json


class _Accelerator(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


_TOLD = {"architecture", "arguments", "classes", "metrics"}  # of a bundle's card, to programs


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A TOML file, or the name of a recipe that comes with the package.", autocompletion=recipes
        ),
    ],
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
    accelerator: Annotated[_Accelerator, typer.Option(help="What computes.")] = _Accelerator.AUTO,
    devices: Annotated[int, typer.Option(help="How many devices; 0 takes all GPUs, or the CPU.", min=0)] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads for the arithmetic; 0 leaves PyTorch's choice.", min=0)] = 0,
    jpeg_scale: JpegScale = None,
    json: Json = False,
) -> None:
    """Train a classifier. Give the same command again to resume a run that was killed.

    The run's folder holds the recipe, the log (CSV and TensorBoard), the curves, and the bundle for `harmonic export`.
    """
    import torch

    from harmonic import data as datasets
    from harmonic import zoo
    from harmonic.bundles import bundle
    from harmonic.commands.values import print_json
    from harmonic.shown import for_people
    from harmonic.training import read_recipe
    from harmonic.training.train import Where
    from harmonic.training.train import train as run

    if threads:
        torch.set_num_threads(threads)
    with for_people(aside=json):
        plan, beginning = read_recipe(recipe), bundle.load(start) if start else None
        if jpeg_scale:
            own = beginning.card.pixels if beginning else zoo.native_pixels(plan.model.architecture)
            plan = plan.decoding(jpeg_scale.value, own)
        images = datasets.read(data, "train")
        if only:
            images = datasets.only(images, only)
        validation = val or [path for path in data if datasets.has_split(path, "val")]
        held_out = test or [path for path in data if datasets.has_split(path, "test")]
        folder = run(
            plan,
            images,
            out or Path("runs") / Path(recipe).stem,
            validation=datasets.read(validation, "val") if validation else None,
            test=datasets.read(held_out, "test") if held_out else None,
            where=Where(accelerator.value, devices or "auto"),
            start=beginning,
            tell=typer.echo,
        )
        following = f"harmonic export {shlex.quote(str(folder))} --repository models --name NAME"
        typer.echo(f"The bundle is {folder}. Next: {following}")
    if json:
        card = bundle.read_card(folder)
        print_json({"bundle": str(folder), **card.model_dump(mode="json", include=_TOLD)})
