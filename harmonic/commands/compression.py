"""`harmonic compress`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from harmonic.commands.options import DataPaths, Json
from harmonic.disk import must_be_free


def compress(
    target: Annotated[Path, typer.Argument(help="A bundle's folder; its network may be plain or harmonic.")],
    data: DataPaths,
    budget: Annotated[
        str,
        typer.Option(
            help="params=0.6 or macs=0.6: that share of the parameters, or of the multiplications. bytes=2MB: weights "
            "of that size. accuracy=-1.0: as few parameters as lose at most 1 point of top-1."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The new bundle's folder.")],
    images: Annotated[
        int, typer.Option(help="Calibration images, taken evenly from the classes; a fifth is held out.", min=10)
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Draws the calibration images.", min=0)] = 1,
    refit: Annotated[
        bool, typer.Option(help="Solve for the kept coefficients again, on the images; else they stay as they are.")
    ] = True,
    search: Annotated[
        int,
        typer.Option(
            help="How many other levels to try, with everything in place; each takes as long as solving on 250 images. "
            "Ctrl-C ends it with the best so far.",
            min=0,
        ),
    ] = 0,
    finetune: Annotated[
        int,
        typer.Option(
            help="Then learn from the whole network, for so many passes over all images of --data, without their "
            "labels; Ctrl-C keeps the best so far.",
            min=0,
        ),
    ] = 0,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1.")] = "cpu",
    json: Json = False,
) -> None:
    """Choose a level for every layer: the fewest frequencies where they are missed least, measured on real images; then
    solve for what is kept, so that it does the work of what was dropped. Needs no labels and no training.

    Fine-tune the result with: harmonic train RECIPE --from OUT --data TRAINING_IMAGES.
    """
    must_be_free(out)
    from harmonic.bundles import bundle
    from harmonic.commands.values import print_json
    from harmonic.compression import (
        Tuning,
        calibration_and_others,
        compress_bundle,
        compression_figures,
        compression_tables,
        device_named,
        parse_budget,
    )
    from harmonic.shown import for_people, show

    wanted, there = parse_budget(budget), device_named(device)
    with for_people(aside=json):
        given = bundle.load(target)
        given.model.to(there)
        bench, others = calibration_and_others(data, given.card, images, seed)
        tuning = Tuning(finetune, others, seed) if finetune else None
        made, outcome = compress_bundle(given, bench, wanted, _watched, refitted=refit, trials=search, tuning=tuning)
        bundle.save(made, out)
        for table in compression_tables(outcome):
            show(table)
        typer.echo(f"The bundle is {out}.")
    if json:
        print_json({"bundle": str(out), **compression_figures(outcome)})


def _watched(steps: Sequence[Any], title: str) -> Iterable[Any]:
    from harmonic.data import tracked

    return tracked(steps, title, len(steps))
