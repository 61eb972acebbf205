"""Options that several sub-commands share."""

from pathlib import Path
from typing import Annotated

import typer

from harmonic.commands.completion import architectures

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
        "CIFAR-10/100 or STL-10 as torchvision lays them out, or MNIST's idx files. Give it several times to join "
        "sources.",
    ),
]
