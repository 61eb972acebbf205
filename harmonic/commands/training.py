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


class _Head(StrEnum):
    KEEP = "keep"
    NEW = "new"


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
    head: Annotated[
        _Head | None,
        typer.Option(
            help="new: give the network of --from a new last layer, for the classes of --data; keep: leave it its own. "
            "Default: as the recipe says, in the beginning keep."
        ),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="A bundle whose answers are learned beside the labels; [distil] says how.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="A field of the recipe, as train.batch=32 or augment.flip=true; may be given several times. "
            "`harmonic recipes show NAME` prints them all.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Cross-validate: so many runs, each tested on a part of the images that it did not learn from.", min=2
        ),
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
    from harmonic.errors import DataError
    from harmonic.heap import keep_freed_memory
    from harmonic.shown import for_people, show
    from harmonic.training import read_recipe
    from harmonic.training.cross_validation import cross_validate, folds_table
    from harmonic.training.train import Where
    from harmonic.training.train import train as run

    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()
    with for_people(aside=json):
        own_changes = [*(changes or []), *([f"finetune.head={head.value}"] if head else [])]
        plan = read_recipe(recipe, own_changes)
        beginning, teaching = (bundle.load(folder) if folder else None for folder in (start, teacher))
        if jpeg_scale:
            own = beginning.card.pixels if beginning else zoo.native_pixels(plan.model.architecture)
            plan = plan.decoding(jpeg_scale.value, own)
        images = datasets.read(data, "train")
        if only:
            images = datasets.only(images, only)
        place, how = out or Path("runs") / Path(recipe).stem, Where(accelerator.value, devices or "auto")
        if folds:
            if val or test:
                raise DataError("--folds tests on parts of --data itself; leave --val and --test out.")
            figures = cross_validate(
                plan, images, place, folds, where=how, start=beginning, teacher=teaching, tell=typer.echo
            )
            show(folds_table(figures))
        else:
            validation = val or [path for path in data if datasets.has_split(path, "val")]
            held_out = test or [path for path in data if datasets.has_split(path, "test")]
            folder = run(
                plan,
                images,
                place,
                validation=datasets.read(validation, "val") if validation else None,
                test=datasets.read(held_out, "test") if held_out else None,
                where=how,
                start=beginning,
                teacher=teaching,
                tell=typer.echo,
            )
            following = f"harmonic export {shlex.quote(str(folder))} --repository models --name NAME"
            typer.echo(f"The bundle is {folder}. Next: {following}")
            figures = {"bundle": str(folder), **bundle.read_card(folder).model_dump(mode="json", include=_TOLD)}
    if json:
        print_json(figures)
