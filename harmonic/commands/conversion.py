"""`harmonic convert`, `harmonic import` and `harmonic pull`: networks from elsewhere become bundles."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmonic.commands.completion import releases
from harmonic.commands.options import Architecture, JpegScale, Json, Network, Scale
from harmonic.disk import must_be_free

if TYPE_CHECKING:
    from harmonic.bundles import Bundle, Release

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
    network: Network,
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
    norm_root: Annotated[
        bool, typer.Option("--norm-root", help="Give the first layer an inner norm; see --data.")
    ] = False,
    bank: Annotated[
        str | None, typer.Option(help="The fixed filters: dct, gaussian (derivatives), hadamard; default: dct.")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Images from which the inner norm takes its statistics (256 of them).")
    ] = None,
    classes: Classes = None,
    argument: Arguments = None,
    jpeg_scale: JpegScale = None,
    json: Json = False,
) -> None:
    """Make a network harmonic: exactly with the full band, the least-squares fit with fewer frequencies."""
    must_be_free(out)
    from harmonic.bundles import adopt
    from harmonic.commands.values import parse_arguments, parse_levels, parse_select
    from harmonic.conversion import LayerChoice, conversion_figures, conversion_table
    from harmonic.layers import checked_bank
    from harmonic.shown import for_people, show

    with for_people(aside=json):
        start = adopt.open_network(network, weights, classes, parse_arguments(argument or []))
        start = adopt.with_jpeg_scale(start, jpeg_scale.value if jpeg_scale else None)
        made, report = adopt.converted(
            start,
            LayerChoice(
                levels=parse_levels(levels),
                select=parse_select(select),
                root_level=root_level,
                norm_root=norm_root,
                bank=checked_bank(bank) if bank else None,
            ),
            data=data or [],
        )
        adopt.save_checked(made, out)
        show(conversion_table(report))
        for name, reason in report.skipped.items():
            typer.echo(f"{name} stays as it is: {reason}.")
        _tell(made, out, named=classes is not None or (Path(network) / "bundle.json").is_file())
    if json:
        _print_result(conversion_figures(report), made, out)


def import_(
    file: Annotated[Path, typer.Argument(help="A checkpoint of the original code: .pth, .pt7, .th or .safetensors.")],
    architecture: Architecture,
    out: Out,
    classes: Classes = None,
    argument: Arguments = None,
    jpeg_scale: JpegScale = None,
    json: Json = False,
) -> None:
    """Turn a checkpoint of the original code (harmonic, windowed, scale-equivariant) into a bundle, strictly."""
    must_be_free(out)
    from harmonic.bundles import adopt
    from harmonic.commands.values import parse_arguments
    from harmonic.shown import for_people

    with for_people(aside=json):
        made = adopt.imported(file, architecture, classes, parse_arguments(argument or []), typer.echo)
        made = adopt.with_jpeg_scale(made, jpeg_scale.value if jpeg_scale else None)
        adopt.save_checked(made, out)
        _tell(made, out, named=classes is not None)
    if json:
        _print_result({}, made, out)


def pull(
    name: Annotated[
        str, typer.Argument(help="A released network, for example harm_resnet50.", autocompletion=releases)
    ],
    out: Annotated[Path | None, typer.Option(help="Make a bundle here too.")] = None,
    classes: Classes = None,
    jpeg_scale: JpegScale = None,
    json: Json = False,
) -> None:
    """Download weights that the original authors released: resumed, checked, and kept in a cache.

    The release states no licence for them. The cache is $HARMONIC_CACHE, or harmonic/ in the user's cache folder.
    """
    from harmonic.bundles import RELEASES
    from harmonic.errors import DownloadError
    from harmonic.near import near
    from harmonic.shown import for_people

    if name not in RELEASES:
        raise DownloadError(f"{name} was not released. {near(name, RELEASES)}Released: {', '.join(RELEASES)}.")
    if out is not None:
        must_be_free(out)
    release = RELEASES[name]
    with for_people(aside=json):
        path = _downloaded(release)
        typer.echo(f"{path} is there and its content is the released one.")
        made = _bundled(path, release, classes, jpeg_scale, out) if out else None
    if json:
        _print_result({"file": str(path)}, made, out)


def _downloaded(release: "Release") -> Path:
    """The release's file in the cache; a bar on stderr shows how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from harmonic.bundles import cache_folder, download

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(release.file, total=None)
        return download(
            release.address,
            cache_folder(),
            watch=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _bundled(path: Path, release: "Release", classes: str | None, scale: Scale | None, out: Path) -> "Bundle":
    from harmonic.bundles import adopt

    made = adopt.imported(path, release.architecture, classes, release.arguments)
    made = adopt.with_jpeg_scale(made, scale.value if scale else None)
    adopt.save_checked(made, out)
    _tell(made, out, named=classes is not None)
    return made


def _tell(made: "Bundle", out: Path, *, named: bool) -> None:
    """Where the bundle is, and, if nobody has named its classes, what they are called."""
    if not named:
        first = ", ".join(made.card.classes[:3])
        typer.echo(f"The classes are {first}, ... ({len(made.card.classes):,}); --classes FILE gives other names.")
    typer.echo(f"The bundle is {out}.")


def _print_result(figures: dict[str, Any], made: "Bundle | None", out: Path | None) -> None:
    from harmonic.commands.values import print_json
    from harmonic.graph import parameters

    card = made and made.card
    about = (
        {
            "bundle": str(out),
            "architecture": card.architecture,
            "arguments": card.arguments,
            "classes": card.classes,
            "parameters": parameters(made.model),
        }
        if made and card
        else {"bundle": None}
    )
    print_json({**about, **figures})
