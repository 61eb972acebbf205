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

    from harmonic import zoo
    from harmonic.report import architecture_rows, architecture_tables
    from harmonic.shown import show
    from harmonic.tracking import tracked

    rows = list(tracked(architecture_rows(), "Counting", len(zoo.listed_names())))
    if json:
        typer.echo(encoder.dumps([asdict(row) for row in rows]))
    else:
        show(*architecture_tables(rows))
