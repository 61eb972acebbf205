"""`harmonic models`."""

from harmonic.commands.options import Json


def models(
    json: Json = False,
) -> None:
    """List the architectures: parameters, multiplications, input size, published error.

    Depth, width and cardinality in a name may be changed. `torchvision/NAME` and `timm/NAME` stand for every classifier
    of these packages.
    """
    from dataclasses import asdict

    from harmonic import zoo
    from harmonic.commands.values import print_json
    from harmonic.data import tracked
    from harmonic.shown import show
    from harmonic.zoo import architecture_rows, architecture_tables

    rows = list(tracked(architecture_rows(), "Counting", len(zoo.listed_names())))
    if json:
        print_json([asdict(row) for row in rows])
    else:
        show(*architecture_tables(rows))
