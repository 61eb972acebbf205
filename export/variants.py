"""Which ways of running a version are laid beside each other: the whole folded net, and where asked for a native stem.

The whole net is always there. What it may differ by is measured, and stands in the manifest.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from torch import nn

from export.emit import emit_body
from export.errors import ExportError
from export.manifest import BODY, NATIVE, WHOLE_NET, LayoutPlan, NormMode, ParityReport, Variant
from export.stem import Split, split, write_stem
from export.verify import measure, stem_and_body, tolerance, whole_net, within_tolerance
from harmonic.pixels import PixelSpec

StemOrder = Literal["auto", "folded", "native"]

_STEM = "stem.safetensors"
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
    allowed = _GOLDEN_SLACK * max(tolerance(report.largest_logit), report.max_error)
    return Variant(layout="factored" if plan else "fused", tolerance=allowed, plan=plan)


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
