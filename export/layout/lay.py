"""An exported graph in the layout that was ordered: measured, rewritten in place, and held against its fused self."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import onnx
from jaxtyping import Num
from numpy import ndarray
from onnx import ModelProto

from export.layout.choice import CLEAR, Choice, fastest, fewest_multiplications
from export.layout.forms import FUSED
from export.layout.graph import Place, multiplications, places, rewritten
from export.layout.memory import BATCHES, FILE, Memory, structure
from export.layout.timing import device, ratios, serialised, session
from export.manifest import LayerForm, LayoutPlan
from harmonic.bundles import cache_folder

LayoutOrder = Literal["auto", "fused", "factored"]
Tell = Callable[[str], None]

_FACTORED = "factored"  # times of a whole network, fused being 1
_SAME = 5e-5  # of the largest logit: half of what an export may differ from PyTorch


def lay_out(
    path: Path, order: LayoutOrder, images: Num[ndarray, "n h w c"], tell: Tell, memory: Memory | None = None
) -> LayoutPlan | None:
    """Write truncated convolutions of a graph in forms by filters, which multiply less; None where it stays as it is.

    order: "factored" takes the fewest multiplications; "auto" what is fastest on this machine, and only if the whole
    network is then faster than its fused self with equal answers; "fused" leaves everything. images: eight, as the
    graph takes them. memory: what was measured before, of layers and of whole networks, so that one network is always
    laid out alike; None is the file of this user.
    """
    model = onnx.load(path) if order != "fused" else None
    truncated = [place for place in places(model) if is_truncated(place)] if model else []
    if model is None or not truncated:
        return None
    if order == "factored":
        tell("factoring truncated layers")
        return _written(path, model, fewest_multiplications(truncated))
    memory = memory or own_memory()
    choices = fastest(truncated, memory, tell)
    for least in (1.0, CLEAR):
        plan = _confirmed(path, model, [each for each in choices if min(each.gain) >= least], images, tell, memory)
        if plan is not None:
            return plan
    tell("the fused layout is the fastest here")
    return None


def layouts_of(fused: ModelProto, path: Path, plan: LayoutPlan | None) -> dict[str, ModelProto]:
    """A network's graphs by the name of their layout, for whoever measures another precision: the one at `path`, laid
    out by this plan, first; then the fused one, or where that is it, the one that multiplies least, if any."""
    if plan is not None:
        return {"factored": onnx.load(path), FUSED: fused}
    truncated = [place for place in places(fused) if is_truncated(place)]
    choices = fewest_multiplications(truncated)
    least = in_forms(fused, choices)
    return {FUSED: fused} | ({"factored": least} if any(choice.form != FUSED for choice in choices) else {})


def own_memory() -> Memory:
    """What this user measured on this machine."""
    return Memory(cache_folder() / FILE, device())


def is_truncated(place: Place) -> bool:
    """True for kernels that hold only some of the filters, or other ones for some channels."""
    return place.convolution.scattered or len(place.convolution.span.frequencies) < place.convolution.span.taps


def _confirmed(
    path: Path,
    model: ModelProto,
    choices: Sequence[Choice],
    images: Num[ndarray, "n h w c"],
    tell: Tell,
    memory: Memory,
) -> LayoutPlan | None:
    """The plan, carried out, if the whole network is faster by it at every batch and answers alike."""
    if all(choice.form == FUSED for choice in choices):
        return None
    new = in_forms(model, choices)
    before, after = session(path), session(serialised(new))
    if not alike(before, after, images):
        tell("the factored layout answers otherwise than the fused one")
        return None
    known = structure(new)
    if not (times := memory.times(known)):
        times = {_FACTORED: [1 / gain for gain in raced(before, after, images).values()]}
        memory.keep(known, times)
    gains = {batch: 1 / time for batch, time in zip(BATCHES, times[_FACTORED], strict=True)}
    tell(f"factored over fused: {said(gains)}")
    return _written(path, model, choices, gains) if min(gains.values()) > 1 else None


def raced(before: Any, after: Any, images: Num[ndarray, "n h w c"]) -> dict[int, float]:
    """How many times as fast the second session is as the first, at each of BATCHES."""
    return {batch: median(ratios(before, after, images[:batch])) for batch in BATCHES}


def said(gains: dict[int, float]) -> str:
    """Gains in words."""
    return ", ".join(f"{gain:.2f} times as fast at batch {batch}" for batch, gain in gains.items())


def alike(before: Any, after: Any, images: Num[ndarray, "n h w c"]) -> bool:
    """Whether two sessions answer equally up to rounding; what is no number equals nothing."""
    expected, found = (each.run(None, {each.get_inputs()[0].name: images})[0] for each in (before, after))
    with np.errstate(invalid="ignore"):  # inf - inf
        return bool((np.abs(found - expected) <= _SAME * max(1.0, np.abs(expected).max())).all())


def in_forms(model: ModelProto, choices: Sequence[Choice]) -> ModelProto:
    """The model with every place in the form that was chosen."""
    return rewritten(model, [(choice.place, choice.form) for choice in choices if choice.form != FUSED])


def _written(
    path: Path, model: ModelProto, choices: Sequence[Choice], gains: dict[int, float] | None = None
) -> LayoutPlan | None:
    if all(choice.form == FUSED for choice in choices):
        return None
    new = in_forms(model, choices)
    save(new, path)
    return plan_of(model, new, choices, gains)


def save(model: ModelProto, path: Path) -> None:
    """Write a graph that is sound; onnx's ValidationError for another."""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def plan_of(
    model: ModelProto, new: ModelProto, choices: Sequence[Choice], gains: dict[int, float] | None = None
) -> LayoutPlan:
    """What a manifest says of the new graph. model: fused. gains: over that."""
    return LayoutPlan(
        layers=tuple(_layer(choice) for choice in choices),
        multiplications=(multiplications(model), multiplications(new)),
        gains={batch: round(gain, 2) for batch, gain in (gains or {}).items()},
        device=device() if gains else None,
    )


def _layer(choice: Choice) -> LayerForm:
    span = choice.place.convolution.span
    return LayerForm(layer=choice.place.name, form=choice.form, filters=len(span.frequencies), of=span.taps)
