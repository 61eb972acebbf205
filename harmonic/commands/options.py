"""Options that several sub-commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataPaths = Annotated[
    list[Path],
    typer.Option(
        "--data",
        help="Images: a folder or zip of class folders (with or without train/, val/ and test/ above them), "
        "CIFAR-10/100 or STL-10 as torchvision lays them out, or MNIST's idx files. Give it several times to join "
        "sources.",
    ),
]
