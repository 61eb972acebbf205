"""Which ways of running a version are laid beside each other: the whole folded net, and where asked for a native stem.

The whole net is always there. What it may differ by is measured, and stands in the manifest.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import onnx
from onnx import ModelProto
from torch import nn

from export.emit import emit_body
from export.errors import ExportError, ParityError
from export.layout import BATCHES, lay_beside
from export.manifest import (
    BODY,
    CPU_NET,
    NATIVE,
    ON_CPU,
    WHOLE_NET,
    LayoutPlan,
    Measured,
    NormMode,
    ParityReport,
    Variant,
)
from export.processor import processor_name
from export.stem import Split, split, write_stem
from export.verify import measure, stem_and_body, synthetic_images, tolerance, whole_net, within_tolerance
from export.weights import in_16_bits
from harmonic.pixels import PixelSpec

StemOrder = Literal["auto", "folded", "native"]

_STEM = "stem.safetensors"
_HALF, _AGREE = 5e-3, 0.95  # float16 keeps 3 digits. Relative to the largest logit; the share of equal answers.
_GOLDEN_SLACK = 10  # Other devices sum in another order, and may do so in lower precision.


def write_variants(
    network: nn.Module,
    spec: PixelSpec,
    folder: Path,
    batches: Sequence[int],
    stem: StemOrder,
    norm: NormMode,
    tell: Callable[[str], None],
    plan: LayoutPlan | None = None,
) -> tuple[tuple[Variant, ...], ParityReport]:
    """Hold the whole net in `folder` against PyTorch, lay a native stem beside it if that is the order or the need.
    plan: how the whole net's truncated layers lie, where not all are fused.

    Returns the variants and the whole net's report. Raises ParityError for answers beyond rounding, ExportError for a
    network without a root that can stand alone.
    """
    report = measure(network, spec, whole_net(folder / WHOLE_NET), batches)
    exact = report.max_error <= tolerance(report.largest_logit)
    if stem == "folded" or (stem == "auto" and exact):
        within_tolerance(report)
        tell(f"the folded form is within tolerance ({report.max_error:.1e}), so nothing else is needed")
        return (_default(report, plan),), report
    cut = _cut(network, spec, report, exact)
    tell("writing the native stem and its body")
    return (_default(report, plan), _native(network, spec, folder, cut, batches, norm)), report


def write_cpu_variant(
    network: nn.Module,
    spec: PixelSpec,
    folder: Path,
    batches: Sequence[int],
    fused: ModelProto,
    tell: Callable[[str], None],
) -> tuple[Variant, ...]:
    """Lay a graph for CPUs beside the whole net in `folder`, where it is clearly faster and within the same tolerance.
    fused: the network's graph with every layer as one convolution.

    The whole net stays as it is: a graph in tiles would be slow on a GPU.
    """
    images = synthetic_images(max(BATCHES), spec)
    found = lay_beside(fused, folder / WHOLE_NET, folder / CPU_NET, images, tell)
    if found is None:
        return ()
    report = measure(network, spec, whole_net(folder / CPU_NET), batches)
    if not report.max_error <= tolerance(report.largest_logit):
        (folder / CPU_NET).unlink()
        tell(f"the graph for CPUs is not published: its logits differ by {report.max_error:.1e}")
        return ()
    measured = Measured(
        device="cpu",
        processor=processor_name(),
        batch=max(BATCHES),
        speedup=round(found.gain, 2),
        images=sum(batches),
        agreement=report.top1_agreement,
    )
    return (
        Variant(
            name=ON_CPU,
            file=CPU_NET,
            layout="tiled",
            devices=("cpu",),
            tolerance=_allowed(report),
            parity=report,
            measured=measured,
            plan=found.plan,
        ),
    )


def narrow_weights(
    network: nn.Module, spec: PixelSpec, folder: Path, batches: Sequence[int], variants: Sequence[Variant]
) -> tuple[tuple[Variant, ...], ParityReport]:
    """Round the weights in the files of whole nets in float32 to 16 bits, and measure what that moves.

    Returns the variants, with wider tolerances, and the report of the default one. ParityError where the answers move
    by more than float16 explains. A native stem's body stays as it is.
    """
    made: list[Variant] = []
    reports: dict[str, ParityReport] = {}
    for variant in variants:
        if variant.stem is not None or variant.precision != "fp32":
            made.append(variant)
            continue
        path = folder / variant.file
        onnx.save(in_16_bits(onnx.load(path)), path)
        report = reports[variant.name] = measure(network, spec, whole_net(path), batches)
        if not report.max_error <= _HALF * max(1.0, report.largest_logit) or report.top1_agreement < _AGREE:
            raise ParityError(
                f"with weights in 16 bits the logits differ by {report.max_error:.2e}, and {report.top1_agreement:.0%} "
                "of the answers are the same. Export with --weights fp32."
            )
        wider = variant.tolerance + 2 * report.max_error
        made.append(variant.model_copy(update={"tolerance": wider, "parity": variant.parity and report}))
    return tuple(made), reports["default"]


def _cut(network: nn.Module, spec: PixelSpec, report: ParityReport, exact: bool) -> Split:
    """The network in two. A whole net beyond rounding is let through only beside a stem, and if it names the same
    classes: its manifest then says by how much it differs."""
    if exact:
        return split(network, spec)
    if not math.isfinite(report.max_error) or report.top1_agreement < 1:
        within_tolerance(report)
    try:
        return split(network, spec)
    except ExportError:
        within_tolerance(report)
        raise


def _default(report: ParityReport, plan: LayoutPlan | None) -> Variant:
    return Variant(layout="factored" if plan else "fused", tolerance=_allowed(report), plan=plan)


def _allowed(report: ParityReport) -> float:
    """Of a golden logit."""
    return _GOLDEN_SLACK * max(tolerance(report.largest_logit), report.max_error)


def _native(
    network: nn.Module, spec: PixelSpec, folder: Path, cut: Split, batches: Sequence[int], norm: NormMode
) -> Variant:
    emit_body(cut.body, cut.shape, folder / BODY)
    stem = write_stem(cut, spec, folder / _STEM, norm)
    report = within_tolerance(measure(network, spec, stem_and_body(cut.root, spec, folder / BODY), batches))
    return Variant(
        name=NATIVE,
        file=BODY,
        layout="native stem",
        tolerance=_GOLDEN_SLACK * tolerance(report.largest_logit),
        stem=stem,
        parity=report,
    )
