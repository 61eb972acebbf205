"""`harmonic convert`, `harmonic import` and `harmonic pull`: networks from elsewhere become bundles."""

from pathlib import Path
from typing import Annotated

import typer

from harmonic.disk import must_be_free

Out = Annotated[Path, typer.Option(help="The new bundle's folder.")]
Classes = Annotated[
    str | None,
    typer.Option(help="Names of the classes: a text file with one a line, or a CSV with a column name; else numbers."),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option("--argument", help="An argument of the architecture, name=value; several times for more."),
]


def convert(
    network: Annotated[
        str, typer.Argument(help="torchvision/NAME, timm/NAME, a name of `harmonic models`, or a bundle's folder.")
    ],
    out: Out,
    weights: Annotated[
        Path | None, typer.Option(help="A local file of weights; without it, the hub's own are downloaded.")
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(
            help="3; full,full,3,2 for the stages; or NAME=LEVEL,... by name pattern. Default: the full band."
        ),
    ] = None,
    root_level: Annotated[int | None, typer.Option(help="Level of the first layer; default: its full band.")] = None,
    select: Annotated[str, typer.Option(help="all, root, or name patterns with commas between.")] = "all",
    norm_root: Annotated[bool, typer.Option(help="Give the first layer an inner norm; see --data.")] = False,
    bank: Annotated[
        str | None, typer.Option(help="The fixed filters: dct, gaussian (derivatives), hadamard; default: dct.")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Images from which the inner norm takes its statistics (256 of them).")
    ] = None,
    classes: Classes = None,
    argument: Arguments = None,
) -> None:
    """Make a network harmonic: exactly with the full band, the least-squares fit with fewer frequencies."""
    must_be_free(out)
    from rich.console import Console

    from harmonic import conversion
    from harmonic.commands.values import parse_arguments, parse_levels
    from harmonic.report import conversion_table

    start = conversion.open_network(network, weights, classes, parse_arguments(argument or []))
    made, report = conversion.converted(
        start,
        levels=parse_levels(levels),
        root_level=root_level,
        select=select if select in ("all", "root") else select.split(","),
        norm_root=norm_root,
        bank=bank,
        data=data or [],
    )
    conversion.save(made, out)
    Console().print(conversion_table(report))
    for name, reason in report.skipped.items():
        typer.echo(f"{name} stays as it is: {reason}.")
    typer.echo(f"The bundle is {out}.")


def import_(
    file: Annotated[Path, typer.Argument(help="A checkpoint of the original code: .pth, .pt7, .th or .safetensors.")],
    architecture: Annotated[str, typer.Option(help="A name of `harmonic models`.")],
    out: Out,
    classes: Classes = None,
    argument: Arguments = None,
) -> None:
    """Turn a checkpoint of the original harmonic-networks code into a bundle, strictly."""
    must_be_free(out)
    from harmonic import conversion
    from harmonic.commands.values import parse_arguments

    conversion.save(conversion.imported(file, architecture, classes, parse_arguments(argument or [])), out)
    typer.echo(f"The bundle is {out}.")


def pull(
    name: Annotated[str, typer.Argument(help="A released network, for example harm_resnet50.")],
    out: Annotated[Path | None, typer.Option(help="Make a bundle here too.")] = None,
    classes: Classes = None,
) -> None:
    """Download weights that the original authors released: resumed, checked, and kept in a cache.

    The release states no licence for them. The cache is $HARMONIC_CACHE, or harmonic/ in the user's cache folder.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from harmonic.errors import DownloadError
    from harmonic.pull import RELEASES, cache_folder, download

    if name not in RELEASES:
        raise DownloadError(f"{name} was not released. Released: {', '.join(RELEASES)}.")
    if out is not None:
        must_be_free(out)
    release = RELEASES[name]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(release.file, total=None)
        path = download(
            release.address,
            cache_folder(),
            watch=lambda done, total: progress.update(task, completed=done, total=total),
        )
    typer.echo(f"{path} is there and its content is the released one.")
    if out is not None:
        from harmonic import conversion

        conversion.save(conversion.imported(path, release.architecture, classes, release.arguments), out)
        typer.echo(f"The bundle is {out}.")
