"""`harmonic compress`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from harmonic.commands.options import DataPaths, Json
from harmonic.disk import must_be_free
from harmonic.errors import CompressionError

_FRONT = (0.9, 0.75, 0.6, 0.45, 0.35, 0.25)


def compress(
    target: Annotated[Path, typer.Argument(help="A bundle's folder; its network may be plain or harmonic.")],
    data: DataPaths,
    out: Annotated[Path, typer.Option(help="The new bundle's folder; with --front, the folder of the bundles.")],
    budget: Annotated[
        str | None,
        typer.Option(
            help="params=0.6 or macs=0.6: that share of the parameters, or of the multiplications. bytes=2MB: weights "
            "of that size. accuracy=-1.0: as few parameters as lose at most 1 point of top-1."
        ),
    ] = None,
    front: Annotated[
        bool,
        typer.Option(
            "--front",
            help="Instead of one budget: 90, 75, 60, 45, 35 and 25 % of the parameters, from one run of measurements; "
            "a bundle of each, a table and a picture.",
        ),
    ] = False,
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
        compress_to,
        compression_figures,
        compression_tables,
        device_named,
        draw_front,
        front_table,
        parse_budget,
        shares,
    )
    from harmonic.shown import for_people, show

    if (budget is None) != front:
        raise CompressionError("give either --budget, for one network, or --front, for several sizes of it.")
    budgets, there = [parse_budget(budget)] if budget else [], device_named(device)
    outcomes = {}
    with for_people(aside=json):
        given = bundle.load(target)
        given.model.to(there)
        bench, others = calibration_and_others(data, given.card, images, seed)
        tuning = Tuning(finetune, others, seed) if finetune else None
        budgets = budgets or shares(given, bench, "params", _FRONT)
        for made, outcome in compress_to(given, bench, budgets, _watched, refitted=refit, trials=search, tuning=tuning):
            place = out / str(outcome.budget) if front else out
            bundle.save(made, place)
            outcomes[place] = outcome
            for table in [] if front else compression_tables(outcome):
                show(table)
            typer.echo(f"The bundle is {place}.")
        if front:
            show(front_table(list(outcomes.values())))
            draw_front(list(outcomes.values()), out / "front.svg")
            typer.echo(f"The picture is {out / 'front.svg'}.")
    if json:
        results = [{"bundle": str(place), **compression_figures(outcome)} for place, outcome in outcomes.items()]
        print_json({"front": results} if front else results[0])


def _watched(steps: Sequence[Any], title: str) -> Iterable[Any]:
    from harmonic.data import tracked

    return tracked(steps, title, len(steps))
