"""Options that several sub-commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harmonic.commands.completion import architectures


class Scale(StrEnum):
    """Values of `PixelSpec.jpeg_scale`."""

    FULL = "full"
    REDUCED = "reduced"


JpegScale = Annotated[
    Scale | None,
    typer.Option(
        "--jpeg-scale",
        help="reduced: decode JPEGs that are much larger than the network's input at a half, a quarter or an eighth "
        "of their sides, here and wherever this network is asked; default: as it was made, in the beginning full.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON on stdout; text for people goes to stderr.")
]
Architecture = Annotated[str, typer.Option(help="A name of `harmonic models`.", autocompletion=architectures)]
Network = Annotated[
    str,
    typer.Argument(
        help="torchvision/NAME, timm/NAME, a name of `harmonic models`, or a bundle's folder.",
        autocompletion=architectures,
    ),
]
DataPaths = Annotated[
    list[Path],
    typer.Option(
        "--data",
        help="Images: a folder or zip of class folders (with or without train/, val/ and test/ above them), "
        "a CSV of path,label, "
        "CIFAR-10/100 or STL-10 as torchvision lays them out, or MNIST's idx files. Give it several times to join "
        "sources.",
    ),
]
