"""The one story of an export: bundle -> fold -> emit -> verify -> publish, whole or not at all."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

import numpy as np
import onnx
from jaxtyping import Num
from numpy import ndarray

from export import triton
from export.card import model_card
from export.emit import INPUT, OPSET, OUTPUT, emit
from export.errors import ExportError
from export.fold import fold
from export.layout import BATCHES, LayoutOrder, lay_out, layouts_of
from export.manifest import (
    CARD,
    GOLDENS,
    MANIFEST,
    REPORT,
    SPECTRUM,
    WHOLE_NET,
    Manifest,
    NormMode,
    ParityReport,
    Precision,
    StemMode,
    Variant,
    sha256,
)
from export.quantize import MOST_DROP, Material, Race, Refused, Source, lay, material, speed
from export.repository import publishing
from export.variants import StemOrder, narrow_weights, write_cpu_variant, write_variants
from export.verify import reference_logits, synthetic_images
from export.weights import WeightsOrder
from harmonic.bundles import Bundle
from harmonic.conversion import spectrum
from harmonic.errors import PixelError
from harmonic.graph import parameters
from harmonic.pixels import PixelSpec, prepare

_SYNTHETIC_GOLDENS = 8


@dataclass(frozen=True, slots=True)
class Order:
    """What to export, and where to.

    version: None takes the next free one. goldens: the caller's own images, replayed besides the synthetic ones.
    card: text of the model card; None writes one from the bundle. max_batch: the largest batch that is verified.
    stem: "native" lays the first layer for PyTorch and the rest for ONNX beside the whole net, "auto" only where the
    whole net alone is not within tolerance. norm: "adaptive" allows a native stem to move its norm in service.
    precisions: float32 is always there; the others are laid beside it if they keep what they must. calibration: images
    they are made with. judges: labelled ones they are judged on. most_drop: points of top-1 that they may lose.
    race: times them.
    layout: of truncated layers, as `lay_out`; "auto" also lays a graph for CPUs beside, where that is faster.
    weights: "fp16" rounds them in the file, which is then half as large; the arithmetic stays float32.
    """

    bundle: Bundle
    repository: Path
    name: str
    version: int | None = None
    goldens: Sequence[Path] = ()
    card: str | None = None
    max_batch: int = 64
    stem: StemOrder = "auto"
    norm: NormMode = "frozen"
    precisions: tuple[Precision, ...] = ("fp32",)
    calibration: Source = ()
    judges: Source = ()
    most_drop: float = MOST_DROP
    race: Race = speed
    layout: LayoutOrder = "auto"
    weights: WeightsOrder = "fp32"


@dataclass(frozen=True, slots=True)
class Published:
    """A version that now lies in the repository. refused: precisions that were asked for and are not in it."""

    folder: Path
    version: int
    parity: ParityReport
    stem: StemMode
    variants: tuple[Variant, ...]
    refused: tuple[Refused, ...] = ()


def export(order: Order, *, tell: Callable[[str], None] = lambda _: None) -> Published:
    """Export a bundle as a new version of a model. `tell` hears of every step.

    Raises FoldError, ExportError, ParityError or RepositoryError; the repository then holds what it held before.
    """
    return export_all([order], [order.version], tell=tell)[0]


def export_all(
    orders: Sequence[Order], numbers: Sequence[int | None], *, tell: Callable[[str], None] = lambda _: None
) -> list[Published]:
    """Export bundles as versions of one model, none before all of them are whole; errors as `export`.

    numbers: of the versions, ascending; None takes the next free one, where there is one bundle alone.
    """
    if any(order.norm == "adaptive" and order.stem != "native" for order in orders):
        raise ExportError("a folded norm cannot adapt. Export with --stem native, or with --norm frozen.")
    sources = [_material(order) for order in orders]
    goldens = [_golden_images(order, order.bundle.card.pixels) for order in orders]
    published: list[Published] = []
    with ExitStack() as stack:
        opened = [
            stack.enter_context(publishing(order.repository, order.name, number))
            # What is opened last is named first: lower numbers before higher ones.
            for order, number in reversed(list(zip(orders, numbers, strict=True)))
        ]
        for order, (folder, version), images, own in zip(orders, reversed(opened), sources, goldens, strict=True):
            published.append(_laid(order, folder, version, images, own, tell))
    order = orders[-1]
    triton.write_config(order.repository / order.name, order.name, order.bundle.card, order.max_batch)
    return published


def _laid(
    order: Order,
    folder: Path,
    version: int,
    images: Material | None,
    goldens: Num[ndarray, "n h w c"],
    tell: Callable[[str], None],
) -> Published:
    """Everything of a version, in the folder where it is written before it has its name."""
    network, spec = order.bundle.model.eval(), order.bundle.card.pixels
    batches = sorted({batch for batch in (1, 2, 7) if batch < order.max_batch} | {order.max_batch})
    tell("folding spectral layers and norms")
    folded = fold(network)
    tell("writing the ONNX graph")
    emit(folded, spec, folder / WHOLE_NET)
    fused = onnx.load(folder / WHOLE_NET)
    plan = lay_out(folder / WHOLE_NET, order.layout, synthetic_images(max(BATCHES), spec), tell)
    tell(f"comparing with PyTorch at batches {', '.join(map(str, batches))}")
    variants, parity = write_variants(network, spec, folder, batches, order.stem, order.norm, tell, plan)
    if order.layout == "auto" and len(variants) == 1:  # beside a native stem nobody would run it
        variants += write_cpu_variant(network, spec, folder, batches, fused, tell)
    tell("writing goldens, spectrum, card and manifest")
    np.savez_compressed(folder / GOLDENS, images=goldens, logits=reference_logits(network, spec, goldens))
    others, refused = _others(order, folder, images, tell, lambda: layouts_of(fused, folder / WHOLE_NET, plan))
    if order.weights == "fp16":  # after all that reads weights
        tell("rounding the weights in the files to 16 bits")
        variants, parity = narrow_weights(network, spec, folder, batches, variants)
    (folder / SPECTRUM).write_text(json.dumps(spectrum(network), indent=1) + "\n")
    if order.bundle.report:
        (folder / REPORT).write_text(order.bundle.report.written())
    (folder / CARD).write_text(order.card or model_card(order.name, order.bundle, plan))
    manifest = _write_manifest(folder, order, (*variants, *others), parity)
    place = order.repository / order.name / str(version)
    return Published(place, version, parity, manifest.stem, manifest.variants, refused)


def _material(order: Order) -> Material | None:
    """The images that other precisions want, read before any other work; None where float32 is enough."""
    if set(order.precisions) <= {"fp32"}:
        return None
    card = order.bundle.card
    return material(order.calibration, order.judges, card.classes, card.pixels)


def _others(
    order: Order,
    folder: Path,
    images: Material | None,
    tell: Callable[[str], None],
    layouts: Callable[[], Mapping[str, onnx.ModelProto]],
) -> tuple[tuple[Variant, ...], tuple[Refused, ...]]:
    """The other precisions. Raises ExportError where nothing is left of what was asked for."""
    if images is None:
        return (), ()
    choose_from = layouts() if order.layout == "auto" else {}
    laid, refused = lay(order.precisions, folder, images, tell, order.most_drop, order.race, choose_from)
    if refused and len(refused) == len(set(order.precisions)):
        raise ExportError("; ".join(f"no {one.precision}: {one.reason}" for one in refused) + ". Nothing is published.")
    return laid, refused


def _golden_images(order: Order, spec: PixelSpec) -> Num[ndarray, "n h w c"]:
    own = [_golden(path, spec) for path in order.goldens]
    return np.concatenate([synthetic_images(_SYNTHETIC_GOLDENS, spec), *(image[None] for image in own)])


def _golden(path: Path, spec: PixelSpec) -> Num[ndarray, "h w c"]:
    try:
        return prepare(path.read_bytes(), spec)
    except (OSError, PixelError) as error:
        raise ExportError(f"the golden image {path} cannot be read ({error}).") from error


def _write_manifest(folder: Path, order: Order, variants: tuple[Variant, ...], parity: ParityReport) -> Manifest:
    card = order.bundle.card
    libraries = {name: installed(name) for name in ("harmonic-inference", "torch", "onnx", "onnxscript", "onnxruntime")}
    manifest = Manifest(
        name=order.name,
        architecture=card.architecture,
        arguments=card.arguments,
        parameters=parameters(order.bundle.model),
        classes=card.classes,
        pixels=card.pixels,
        input=INPUT,
        output=OUTPUT,
        max_batch=order.max_batch,
        opset=OPSET,
        variants=variants,
        stem="native" if any(variant.stem for variant in variants) else "folded",
        parity=parity,
        certainty=card.metrics.get("certainty"),
        metrics=card.metrics,
        license=card.license,
        notice=card.notice,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        libraries=libraries,
        files={path.name: sha256(path) for path in sorted(folder.iterdir())},
    )
    (folder / MANIFEST).write_text(manifest.written() + "\n")
    return manifest
