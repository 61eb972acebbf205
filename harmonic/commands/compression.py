"""`harmonic compress`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmonic.commands.options import DataPaths, Json
from harmonic.disk import must_be_free
from harmonic.errors import CompressionError, HarmonicError

if TYPE_CHECKING:
    from torch import nn

    from harmonic.bundles import Bundle
    from harmonic.compression import Clock, Outcome, Sets, Times
    from harmonic.pixels import PixelSpec


class _Sets(StrEnum):
    CHANNEL = "channel"
    LAYER = "layer"
    LEVELS = "levels"


_FRONT = (0.9, 0.75, 0.6, 0.45, 0.35, 0.25)
_Publish = Callable[[Sequence["Bundle"]], list[Path]]


def compress(
    target: Annotated[Path, typer.Argument(help="A bundle's folder; its network may be plain or harmonic.")],
    data: DataPaths,
    out: Annotated[Path, typer.Option(help="The new bundle's folder; with --front, the folder of the bundles.")],
    budget: Annotated[
        str | None,
        typer.Option(
            help="params=0.6, macs=0.6 or latency=0.6: that share of the parameters, of the multiplications, or of the "
            "time that one image takes on this machine. bytes=2MB: weights of that size. accuracy=-1.0: as few "
            "parameters as lose at most 1 point of top-1."
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
    repository: Annotated[
        Path | None,
        typer.Option(help="With --front: a model repository; every size becomes a version there, or none does."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The model's name in that repository.")] = None,
    sets: Annotated[
        _Sets | None,
        typer.Option(
            help="What is kept of a layer. channel: of each input channel filters of its own. layer: the same filters "
            "of every channel. levels: of every channel the low frequencies, up to a level. The default is channel; "
            "with --no-refit, and for a budget in latency, there are levels alone.",
            show_default=False,
        ),
    ] = None,
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
            help="How many other choices to try, with everything in place; each takes as long as solving on 250 "
            "images. Ctrl-C ends it with the best so far.",
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
    latency: Annotated[
        bool | None,
        typer.Option(
            help="Measure what one image takes on this machine's CPU before and after, whole and by layer. Default: "
            "where ONNX Runtime is installed.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1.")] = "cpu",
    json: Json = False,
) -> None:
    """Choose what to keep of every layer: the fewest frequencies where they are missed least, measured on real images;
    then solve for what is kept, so that it does the work of what was dropped. Needs no labels and no training.

    Fine-tune the result with: harmonic train RECIPE --from OUT --data TRAINING_IMAGES.
    """
    if (budget is None) != front:
        raise CompressionError("give either --budget, for one network, or --front, for several sizes of it.")
    if (repository is None) != (name is None) or (repository and not front):
        raise CompressionError("--repository and --name belong together, and to --front: they publish its sizes.")
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
        parse_budget,
        shares,
    )
    from harmonic.shown import for_people, show

    budgets, there = [parse_budget(budget)] if budget is not None else [], device_named(device)
    in_time = any(each.kind == "latency" for each in budgets)
    kind: Sets = sets.value if sets else "channel" if refit and not in_time else "levels"
    needed = latency or in_time
    if needed and latency is False:
        raise CompressionError("--no-latency leaves unmeasured what the budget is in. Leave one of them out.")
    made: dict[Path, tuple[Bundle, Outcome]] = {}
    with for_people(aside=json), _stopped(made, out):
        publish = _lent("harmonic.publishers")(repository, name, _tell) if repository else None
        given = bundle.load(target)
        given.model.to(there)
        bench, others = calibration_and_others(data, given.card, images, seed)
        tuning = Tuning(finetune, others, seed) if finetune else None
        clock = None if latency is False else _clock(must=bool(needed))
        budgets = budgets or shares(given, bench, "params", _FRONT, kind)
        how = partial(compress_to, refitted=refit, trials=search, tuning=tuning, clock=clock, sets=kind)
        for small, outcome in how(given, bench, budgets, _watched):
            place = out / str(outcome.budget) if front else out
            bundle.save(small, place)
            made[place] = small, outcome
            for table in [] if front else compression_tables(outcome):
                show(table)
            typer.echo(f"The bundle is {place}.")
        published = _ended(made, out, publish) if front else {}
    if json:
        results = [{"bundle": str(place), **compression_figures(outcome)} for place, (_, outcome) in made.items()]
        versions = [str(published.get(place)) for place in made] if published else None
        print_json({"front": results, "versions": versions} if front else results[0])


@contextmanager
def _stopped(made: Mapping[Path, object], out: Path) -> Iterator[None]:
    """Say what is kept where somebody stops the command; what fails leaves no empty folder."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"Whole: {', '.join(map(str, made))}." if made else "Nothing was saved."
        typer.echo(f"\nStopped. {kept}", err=True)
        raise typer.Exit(130) from None
    finally:
        if out.is_dir() and not any(out.iterdir()):
            out.rmdir()


def _ended(made: Mapping[Path, tuple["Bundle", "Outcome"]], out: Path, publish: _Publish | None) -> dict[Path, Path]:
    """What a front ends with: a table, a picture, and versions, the smallest first, so that the newest is the one that
    answers most as the whole network does."""
    from harmonic.compression import draw_front, front_table
    from harmonic.shown import show

    outcomes = [outcome for _, outcome in made.values()]
    show(front_table(outcomes))
    draw_front(outcomes, out / "front.svg")
    typer.echo(f"The picture is {out / 'front.svg'}.")
    if publish is None:
        return {}
    order = sorted(made, key=lambda place: (made[place][1].parameters[1], made[place][1].budget.value))
    try:
        folders = publish([made[place][0] for place in order])
    except HarmonicError as error:
        said = f"The bundles in {out} are whole: `harmonic export` takes each of them."
        raise CompressionError(f"no size was published: {error} {said}") from error
    versions = dict(zip(order, folders, strict=True))
    for place, version in versions.items():
        typer.echo(f"{made[place][1].budget} is {version}.")
    return versions


def _clock(*, must: bool) -> "Clock | None":
    """What measures latency. must: errors are errors; else they are told, and latency is left out."""
    try:
        clock: Clock = _lent("harmonic.clocks")(_quiet)
    except (HarmonicError, ModuleNotFoundError) as error:
        if must:
            raise
        _say_untimed(error)
        return None

    def timed(network: "nn.Module", spec: "PixelSpec") -> "Times | None":
        try:
            return clock(network, spec)
        except HarmonicError as error:
            _say_untimed(error)
            return None

    return clock if must else timed


def _say_untimed(error: Exception) -> None:
    typer.echo(f"Latency is not measured: {error}")


def _lent(group: str) -> Any:
    """What an upper package lends to this command."""
    point = next(iter(entry_points(group=group)), None)
    if point is None:
        raise HarmonicError(
            "this needs the package `export`, which is not installed. Install harmonic-inference again."
        )
    return point.load()


def _tell(step: str) -> None:
    typer.echo(f"{step} ...")


def _quiet(step: str) -> None:
    """Layers are timed in seconds; the progress of what takes minutes is shown."""


def _watched(steps: Sequence[Any], title: str) -> Iterable[Any]:
    from harmonic.data import tracked

    return tracked(steps, title, len(steps))
