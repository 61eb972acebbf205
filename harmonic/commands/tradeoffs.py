"""`harmonic tradeoff`."""

from pathlib import Path
from typing import Annotated

import typer

from harmonic.commands.options import Json


def tradeoff(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs, or of their bundles.")],
    split: Annotated[
        str, typer.Option(help="Whose error: test, or validation for the images that chose the epoch.")
    ] = "test",
    macs: Annotated[
        bool, typer.Option("--macs", help="Against multiplications of one image instead of parameters.")
    ] = False,
    out: Annotated[
        list[Path] | None, typer.Option(help="A picture to write: .png, .svg or .pdf; several times for more.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare trained networks by error and size, and mark those that no other beats in both.

    A line is a family of networks on one data set; runs that differ by their seed alone are one point, at their median.
    """

    from harmonic.analysis import draw_tradeoff, read_points, tradeoff_rows, tradeoff_tables
    from harmonic.commands.values import print_json
    from harmonic.picture import must_be_picture
    from harmonic.shown import show

    for picture in out or []:
        must_be_picture(picture)
    points = read_points(runs, split)
    counted = "macs" if macs else "parameters"
    if json:
        print_json(tradeoff_rows(points, counted))
    else:
        for table in tradeoff_tables(points, split=split, counted=counted):
            show(table)
    for picture in out or []:
        draw_tradeoff(points, picture, split=split, counted=counted)
        typer.echo(f"{picture} is written.", err=True)
