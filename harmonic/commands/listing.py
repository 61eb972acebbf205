"""`harmonic models`."""

from typing import Annotated

import typer


def models(
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the architectures: parameters, multiplications, input size, published error.

    Depth, width and cardinality in a name may be changed. `torchvision/NAME` and `timm/NAME` stand for every classifier
    of these packages.
    """
    import json as encoder
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import track

    from harmonic.report import architecture_rows, architecture_table

    rows = list(track(architecture_rows(), description="Counting", transient=True, disable=json))
    if json:
        typer.echo(encoder.dumps([asdict(row) for row in rows]))
    else:
        Console().print(architecture_table(rows))
