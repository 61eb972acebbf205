"""The sub-command `export`. Nothing heavy is imported before it runs."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harmonic.commands import JpegScale, Json

if TYPE_CHECKING:
    from export.manifest import Measured
    from export.pipeline import Published


class _Stem(StrEnum):
    AUTO = "auto"
    FOLDED = "folded"
    NATIVE = "native"


class _Layout(StrEnum):
    AUTO = "auto"
    FUSED = "fused"
    FACTORED = "factored"


class _Weights(StrEnum):
    FP32 = "fp32"
    FP16 = "fp16"


class _Norm(StrEnum):
    FROZEN = "frozen"
    ADAPTIVE = "adaptive"


def export(
    bundle: Annotated[
        Path,
        typer.Argument(
            help="A bundle's folder, as `harmonic train` leaves it; or a version's, to lay another precision beside it."
        ),
    ],
    name: Annotated[str, typer.Option(help="The model's name in the repository and in addresses.")],
    repository: Annotated[
        str,
        typer.Option(help="The model repository: <repository>/<name>/<version>/; or a store, as s3://BUCKET/PREFIX."),
    ] = "models",
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
    precision: Annotated[
        str,
        typer.Option(
            help="Which precisions to publish, with commas between: fp32 (always there), int8 for CPUs, fp16 for GPUs. "
            "The others are published only if they keep what --max-drop says and are faster here."
        ),
    ] = "fp32",
    calibration: Annotated[
        list[Path] | None,
        typer.Option(help="Real images like those that will be asked, for int8 and fp16: as --data of `evaluate`."),
    ] = None,
    judge: Annotated[
        list[Path] | None,
        typer.Option(
            help="Labelled images on which int8 and fp16 are judged; default: agreement with fp32 on images of "
            "--calibration."
        ),
    ] = None,
    max_drop: Annotated[
        float, typer.Option(help="Points of top-1 that another precision may lose on --judge.", min=0, max=100)
    ] = 0.5,
    layout: Annotated[
        _Layout,
        typer.Option(
            help="Truncated layers: fused into one convolution, each as dear as a whole one; factored into few "
            "multiplications; auto: what is fastest on this machine, measured."
        ),
    ] = _Layout.AUTO,
    weights: Annotated[
        _Weights,
        typer.Option(
            help="How the files hold weights. fp16: half as large; they are float32 again once loaded, so the "
            "speed stays, and by how much the answers move is measured."
        ),
    ] = _Weights.FP32,
    jpeg_scale: JpegScale = None,
    json: Json = False,
) -> None:
    """Fold a bundle into plain convolutions and publish it as a version that the service can load.

    The ONNX graph is compared with PyTorch before anything is published. A version that exists is never overwritten.
    """

    from export.again import Again, export_again, is_version
    from export.destination import destination
    from export.errors import ExportError
    from export.pipeline import Order
    from export.pipeline import export as run
    from export.quantize import parse_precisions
    from harmonic.bundles import adopt, load
    from harmonic.commands import print_json
    from harmonic.shown import for_people

    precisions, text = parse_precisions(precision), _card_text(card) if card else None
    sources, judges, images = calibration or [], judge or [], _images(golden or [])
    with for_people(aside=json), destination(repository, name, version) as to:
        if is_version(bundle):
            if (
                card
                or golden
                or jpeg_scale
                or (stem, norm, layout, max_batch, weights)
                != (_Stem.AUTO, _Norm.FROZEN, _Layout.AUTO, 64, _Weights.FP32)
            ):
                raise ExportError(f"{bundle} is a version: all but its precisions stays as it is. Export its bundle.")
            again = Again(bundle, to.folder, name, precisions, sources, judges, max_drop, to.version)
            published = export_again(again, tell=_tell)
        else:
            trained = adopt.with_jpeg_scale(load(bundle), jpeg_scale.value if jpeg_scale else None)
            order = Order(
                trained,
                to.folder,
                name,
                to.version,
                goldens=images,
                card=text,
                max_batch=max_batch,
                stem=stem.value,
                norm=norm.value,
                precisions=precisions,
                calibration=sources,
                judges=judges,
                most_drop=max_drop,
                layout=layout.value,
                weights=weights.value,
            )
            published = run(order, tell=_tell)
        place, number = to.publish(published.folder, _tell)
        parity = published.parity
        typer.echo(
            f"Published {place}. Against PyTorch at batches {', '.join(map(str, parity.batches))}: "
            f"max error {parity.max_error:.1e}, mean {parity.mean_error:.1e}, on logits up to "
            f"{parity.largest_logit:.1f}; top-1 agreement {parity.top1_agreement:.0%}. First layer: {published.stem}."
        )
        for line in precision_lines(published):
            typer.echo(line)
        typer.echo(f"Next: harmonic serve --repository {shlex.quote(repository)} --default-model {name}")
    if json:
        facts = {"name": name, "version": number, "folder": place, "stem": published.stem}
        variants = [variant.model_dump(mode="json") for variant in published.variants]
        refusals = {one.precision: one.reason for one in published.refused}
        print_json({**facts, "parity": parity.model_dump(mode="json"), "variants": variants, "refused": refusals})


def _tell(step: str) -> None:
    typer.echo(f"{step} ...")


def precision_lines(published: "Published") -> list[str]:
    """What became of the precisions that were asked for, for people."""
    kept = [f"{one.name}: {_said(one.measured)}." for one in published.variants if one.measured]
    return [*kept, *(f"{one.precision} was left out: {one.reason}." for one in published.refused)]


def _said(measured: "Measured") -> str:
    lost = (
        f"agreement {measured.agreement:.2%}" if measured.drop is None else f"{measured.drop:.2f} points of top-1 lost"
    )
    speed = f"{measured.speedup:.2f} times as fast as fp32 on {measured.processor}"
    return f"{speed}; {lost} on {measured.images} images; {len(measured.kept)} layers in float"


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
