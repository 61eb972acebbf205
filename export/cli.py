"""The sub-command `export`. Nothing heavy is imported before it runs."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harmonic.commands import JpegScale, Json


class _Stem(StrEnum):
    AUTO = "auto"
    FOLDED = "folded"
    NATIVE = "native"


class _Norm(StrEnum):
    FROZEN = "frozen"
    ADAPTIVE = "adaptive"


def export(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder, as `harmonic train` leaves it.")],
    name: Annotated[str, typer.Option(help="The model's name in the repository and in addresses.")],
    repository: Annotated[Path, typer.Option(help="The model repository: <repository>/<name>/<version>/.")] = Path(
        "models"
    ),
    version: Annotated[int | None, typer.Option(help="Version number; default: the next free one.", min=1)] = None,
    golden: Annotated[
        list[Path] | None,
        typer.Option(
            help="An image, or a folder of images, that the service must answer as PyTorch did before it is ready."
        ),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="A model card in Markdown; default: one written from the bundle.")
    ] = None,
    max_batch: Annotated[int, typer.Option(help="Largest batch to verify.", min=1, max=1024)] = 64,
    stem: Annotated[
        _Stem,
        typer.Option(
            help="First layer: folded into one convolution; native: laid beside it for PyTorch, too; "
            "auto: folded where that is within tolerance."
        ),
    ] = _Stem.AUTO,
    norm: Annotated[
        _Norm, typer.Option(help="adaptive: the native stem's norm may follow the traffic, if the service is told to.")
    ] = _Norm.FROZEN,
    jpeg_scale: JpegScale = None,
    json: Json = False,
) -> None:
    """Fold a bundle into plain convolutions and publish it as a version that the service can load.

    The ONNX graph is compared with PyTorch before anything is published. A version that exists is never overwritten.
    """

    from export.pipeline import Order
    from export.pipeline import export as run
    from harmonic.bundles import adopt, load
    from harmonic.commands import print_json
    from harmonic.shown import for_people

    text = _card_text(card) if card else None
    with for_people(aside=json):
        trained = adopt.with_jpeg_scale(load(bundle), jpeg_scale.value if jpeg_scale else None)
        order = Order(
            trained, repository, name, version, _images(golden or []), text, max_batch, stem.value, norm.value
        )
        published = run(order, tell=lambda step: typer.echo(f"{step} ..."))
        parity = published.parity
        typer.echo(
            f"Published {published.folder}. Against PyTorch at batches {', '.join(map(str, parity.batches))}: "
            f"max error {parity.max_error:.1e}, mean {parity.mean_error:.1e}, on logits up to "
            f"{parity.largest_logit:.1f}; top-1 agreement {parity.top1_agreement:.0%}. First layer: {published.stem}."
        )
        typer.echo(f"Next: harmonic serve --repository {shlex.quote(str(repository))} --default-model {name}")
    if json:
        facts = {"name": name, "version": published.version, "folder": str(published.folder), "stem": published.stem}
        print_json({**facts, "parity": parity.model_dump(mode="json")})


def _card_text(path: Path) -> str:
    from export.errors import ExportError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: cannot be read as a model card ({error}).") from error


def _images(paths: list[Path]) -> list[Path]:
    """The files given, and those of the folders given."""
    return [file for path in paths for file in (_files(path) if path.is_dir() else [path])]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
