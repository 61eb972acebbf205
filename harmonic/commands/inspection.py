"""`harmonic spectrum`."""

from pathlib import Path
from typing import Annotated

import typer

from harmonic.commands.options import Json


def spectrum(
    target: Annotated[str, typer.Argument(help="A bundle's folder; its network may be plain or harmonic.")],
    out: Annotated[
        list[Path] | None, typer.Option(help="A picture to write: .png, .svg or .pdf; several times for more.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the weight that a network gives to each frequency in each layer."""

    from harmonic.analysis import draw_spectrum
    from harmonic.bundles import bundle
    from harmonic.commands.values import print_json
    from harmonic.conversion import spectrum as measure
    from harmonic.conversion import spectrum_table
    from harmonic.shown import show

    layers = measure(bundle.load(Path(target)).model)
    if json:
        print_json(layers)
    else:
        show(spectrum_table(layers))
    for picture in out or []:
        draw_spectrum(layers, picture, title=f"Weight of each frequency: {Path(target).name}")
        typer.echo(f"{picture} is written.", err=True)
