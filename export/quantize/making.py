"""The other precisions of a version: made of its float32 graph, judged, timed, and laid beside it, or left out with the
reason."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
from jaxtyping import Num
from numpy import ndarray
from numpy.typing import NDArray

from export.errors import ExportError
from export.manifest import GOLDENS, WHOLE_NET, DeviceKind, Measured, Precision, Variant
from export.processor import processor_name
from export.quantize.gate import Judges, Loss, Race, Run, Speed, answers, loss, opened, speed
from export.quantize.half import halved
from export.quantize.material import Material
from export.quantize.norms import without_norms
from export.quantize.pooling import with_pools
from export.quantize.search import Maker, tries
from export.weights import in_32_bits

Tell = Callable[[str], None]

MOST_DROP = 0.5
_TIMED = {"cpu": 8, "cuda": 32}  # images of a timed call
_COSTS = 128  # images on which the layers' costs are measured
_SLACK = 3.0  # other processors round some values the other way
_SHARE = 0.25  # of what the precision itself moves a logit by
_ROUNDING = 1e-3  # of the largest logit


@dataclass(frozen=True, slots=True)
class Refused:
    """A precision that was asked for and not published, and why."""

    precision: Precision
    reason: str


@dataclass(frozen=True)
class _Work:
    """What both precisions are made of. most_drop: points of top-1. layouts: what int8 may be made of, by name; empty
    for the whole net alone."""

    folder: Path
    material: Material
    most_drop: float
    tell: Tell
    race: Race
    layouts: Mapping[str, onnx.ModelProto] = field(default_factory=dict)

    @property
    def whole(self) -> onnx.ModelProto:
        return in_32_bits(onnx.load(self.folder / WHOLE_NET))

    def judges(self, device: DeviceKind) -> Judges:
        """The float32 graph's answers, on the device where the variant will run."""
        run = opened(self.folder / WHOLE_NET, device)
        return Judges(self.material.judged, answers(run, self.material.judged), self.material.labels)


def parse_precisions(text: str) -> tuple[Precision, ...]:
    """Read `int8` or `fp32,int8`. Raises ExportError for a word that is no precision."""
    known = get_args(Precision)
    words = [word.strip() for word in text.split(",")]
    if strangers := [word for word in words if word not in known]:
        raise ExportError(f"precision {strangers[0][:40]!r} is none of {', '.join(known)}. Give some, commas between.")
    return tuple(precision for precision in known if precision in words)


def int8_of(model: onnx.ModelProto, images: Num[ndarray, "n h w c"]) -> onnx.ModelProto:
    """A float32 graph wholly in int8, with ranges from these images; nothing of it is judged."""
    return _maker(model, Material(images, images, None).batches())()


def lay(
    precisions: Sequence[Precision],
    folder: Path,
    material: Material,
    tell: Tell,
    most_drop: float = MOST_DROP,
    race: Race = speed,
    layouts: Mapping[str, onnx.ModelProto] | None = None,
) -> tuple[tuple[Variant, ...], tuple[Refused, ...]]:
    """Lay these precisions beside the float32 graph and its goldens in `folder`. Returns what was laid and what not.

    most_drop: points of top-1 that each may lose. race: times float32 and a variant. layouts: graphs with the same
    answers, by name, where int8 need not be made of the one in `folder`: the one whose int8 is fastest is taken.
    """
    work = _Work(folder, material, most_drop, tell, race, layouts or {})
    makers = {"int8": _int8, "fp16": _fp16}
    outcomes = [makers[precision](work) for precision in dict.fromkeys(precisions) if precision != "fp32"]
    laid = tuple(one for one in outcomes if isinstance(one, Variant))
    refused = tuple(one for one in outcomes if isinstance(one, Refused))
    for one in refused:
        (folder / f"{one.precision}.onnx").unlink(missing_ok=True)
        tell(f"{one.precision} is not published: {one.reason}")
    return laid, refused


def _int8(work: _Work) -> Variant | Refused:
    judges, refusal = work.judges("cpu"), Refused("int8", "the network has no layer that int8 kernels could run")
    for layout, model in _fastest_first(work):
        work.tell(f"calibrating int8 on {len(work.material.calibration)} images")
        maker = _maker(model, work.material.batches())
        outcome = _judged(work, maker, judges, layout) if maker.layers else refusal
        if isinstance(outcome, Variant):
            return outcome
        refusal = outcome
    return refusal


def _judged(work: _Work, maker: Maker, judges: Judges, layout: str) -> Variant | Refused:
    """int8 with the fewest layers in float that loses little enough, timed; else why not."""
    path, few = work.folder / "int8.onnx", work.material.calibration[:_COSTS]
    refusal = ""
    for kept in tries(maker, few, answers(opened(work.folder / WHOLE_NET), few), work.tell):
        onnx.save(maker(kept), path)
        lost = loss(opened(path), judges)
        refusal = lost.refusal(work.most_drop)
        work.tell(f"int8 with {len(kept)} of {len(maker.layers)} layers in float: {_said(lost)}")
        if not refusal:
            return _timed(work, "int8", "cpu", lost, kept, layout)
    return Refused("int8", refusal)


def _fastest_first(work: _Work) -> list[tuple[str, onnx.ModelProto]]:
    """What int8 may be made of. What is fastest in float32 need not be: int8 convolutions cost otherwise."""
    if len(work.layouts) < 2:
        return list(work.layouts.items()) or [("fused", work.whole)]
    images = _images(work, "cpu")
    runs = {name: _wholly_int8(work, model) for name, model in work.layouts.items()}
    first, *others = runs
    gains = {first: 1.0} | {name: work.race(runs[first], runs[name], images).gain for name in others}
    for name in others:
        work.tell(f"int8 {name} runs at {gains[name]:.2f} times the speed of int8 {first} here")
    return sorted(work.layouts.items(), key=lambda layout: -gains[layout[0]])


def _wholly_int8(work: _Work, model: onnx.ModelProto) -> Run:
    """For its speed alone, so with ranges from few images."""
    path = work.folder / "int8.onnx"
    onnx.save(_maker(model, work.material.batches()[:1])(), path)
    return opened(path, threads=1)


def _maker(model: onnx.ModelProto, batches: Sequence[NDArray[Any]]) -> Maker:
    return Maker(without_norms(with_pools(model)), batches)


def _fp16(work: _Work) -> Variant | Refused:
    path = work.folder / "fp16.onnx"
    onnx.save(halved(work.whole), path)
    try:
        run, judges = opened(path, "cuda"), work.judges("cuda")
    except ExportError as error:
        return Refused("fp16", f"it is for GPUs, and has to be measured on one: {error}")
    lost = loss(run, judges)
    work.tell(f"fp16: {_said(lost)}")
    refusal = lost.refusal(work.most_drop)
    return Refused("fp16", refusal) if refusal else _timed(work, "fp16", "cuda", lost, ())


def _images(work: _Work, device: DeviceKind) -> Num[ndarray, "n h w c"]:
    """Of a timed call."""
    return np.resize(work.material.calibration, (_TIMED[device], *work.material.calibration.shape[1:]))


def _timed(
    work: _Work, precision: Precision, device: DeviceKind, lost: Loss, kept: Sequence[str], layout: str = "fused"
) -> Variant | Refused:
    path = work.folder / f"{precision}.onnx"
    run = opened(path, device, threads=1)
    measured = work.race(opened(work.folder / WHOLE_NET, device, threads=1), run, _images(work, device))
    if refusal := measured.refusal():
        return Refused(precision, refusal)
    work.tell(f"{precision} runs at {measured.gain:.2f} times the speed of fp32 here")
    return Variant(
        name=precision,
        file=path.name,
        precision=precision,
        layout=layout,
        devices=(device,),
        goldens=f"golden-{precision}.npz",
        tolerance=_write_goldens(work.folder, precision, run, opened(path, device, plain=True)),
        measured=_figures(device, lost, measured, kept),
    )


def _write_goldens(folder: Path, precision: Precision, run: Run, plain: Run) -> float:
    """The variant's own answers to the version's golden images. Returns by how much others may differ: a few times what
    the same graph differs by when it is run as it is written, without fused kernels; or a part of what it differs from
    float32 by, if that is more."""
    with np.load(folder / GOLDENS) as goldens:
        images, whole = goldens["images"], goldens["logits"]
    logits = answers(run, images)
    np.savez_compressed(folder / f"golden-{precision}.npz", images=images, logits=logits)
    apart, moved = (float(np.abs(logits - other).max()) for other in (answers(plain, images), whole))
    return max(_SLACK * apart, _SHARE * moved, _ROUNDING * max(1.0, float(np.abs(logits).max())))


def _figures(device: DeviceKind, lost: Loss, measured: Speed, kept: Sequence[str]) -> Measured:
    rounded: Callable[[Any], Any] = partial(round, ndigits=4)
    return Measured(
        device=device,
        processor=processor_name(),
        batch=measured.batch,
        speedup=round(measured.gain, 2),
        images=lost.images,
        agreement=rounded(lost.agreement),
        top1=None if lost.top1 is None else rounded(lost.top1),
        drop=None if lost.drop is None else rounded(lost.drop),
        kept=tuple(kept),
    )


def _said(lost: Loss) -> str:
    agreed = f"agrees with fp32 on {lost.agreement:.2%} of {lost.images} images"
    return (
        f"{agreed}; no labels" if lost.drop is None else f"{agreed}, top-1 {lost.top1:.2%} ({-lost.drop:+.2f} points)"
    )
