"""An exported graph in the layout that was ordered: measured, rewritten in place, and held against its fused self."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import onnx
from jaxtyping import Num
from numpy import ndarray
from onnx import ModelProto

from export.layout.choice import BATCHES, Choice, fastest, fewest_multiplications
from export.layout.forms import FUSED
from export.layout.graph import Place, multiplications, places, rewritten
from export.layout.memory import FILE, Memory
from export.layout.timing import device, ratios, serialised, session
from export.manifest import LayerForm, LayoutPlan
from harmonic.bundles import cache_folder

LayoutOrder = Literal["auto", "fused", "factored"]
Tell = Callable[[str], None]

_SAME = 5e-5  # of the largest logit: half of what an export may differ from PyTorch
_CLEAR = 1.25  # times as fast as fused: a gain that a layer keeps inside a network


def lay_out(
    path: Path, order: LayoutOrder, images: Num[ndarray, "n h w c"], tell: Tell, memory: Memory | None = None
) -> LayoutPlan | None:
    """Write truncated convolutions of a graph in forms that multiply less; None where the graph stays as it is.

    order: "factored" takes the fewest multiplications; "auto" what is fastest on this machine, and only if the whole
    network is then faster than its fused self with equal answers; "fused" leaves everything. images: eight, as the
    graph takes them. memory: what was measured before; None is the file of this user.
    """
    model = onnx.load(path) if order != "fused" else None
    truncated = [place for place in places(model) if _is_truncated(place)] if model else []
    if model is None or not truncated:
        return None
    if order == "factored":
        tell("factoring truncated layers")
        return _written(path, model, fewest_multiplications(truncated))
    choices = fastest(truncated, memory or Memory(cache_folder() / FILE, device()), tell)
    for least in (1.0, _CLEAR):
        plan = _confirmed(path, model, [each for each in choices if min(each.gain) >= least], images, tell)
        if plan is not None:
            return plan
    tell("the fused layout is the fastest here")
    return None


def _is_truncated(place: Place) -> bool:
    return place.convolution.scattered or len(place.convolution.span.frequencies) < place.convolution.span.taps


def _confirmed(
    path: Path, model: ModelProto, choices: Sequence[Choice], images: Num[ndarray, "n h w c"], tell: Tell
) -> LayoutPlan | None:
    """The plan, carried out, if the whole network is faster by it at every batch and answers alike."""
    if all(choice.form == FUSED for choice in choices):
        return None
    before, after = session(path), session(serialised(_rewritten(model, choices)))
    expected, found = (each.run(None, {each.get_inputs()[0].name: images})[0] for each in (before, after))
    if not _alike(found, expected):
        tell("the factored layout answers otherwise than the fused one")
        return None
    gains = {batch: median(ratios(before, after, images[:batch])) for batch in BATCHES}
    tell("factored over fused: " + ", ".join(f"{gain:.2f} times as fast at batch {n}" for n, gain in gains.items()))
    return _written(path, model, choices, gains) if min(gains.values()) > 1 else None


def _alike(found: ndarray, expected: ndarray) -> bool:
    """Equal up to rounding; what is no number equals nothing."""
    with np.errstate(invalid="ignore"):  # inf - inf
        return bool((np.abs(found - expected) <= _SAME * max(1.0, np.abs(expected).max())).all())


def _rewritten(model: ModelProto, choices: Sequence[Choice]) -> ModelProto:
    return rewritten(model, [(choice.place, choice.form) for choice in choices if choice.form != FUSED])


def _written(
    path: Path, model: ModelProto, choices: Sequence[Choice], gains: dict[int, float] | None = None
) -> LayoutPlan | None:
    if all(choice.form == FUSED for choice in choices):
        return None
    new = _rewritten(model, choices)
    onnx.checker.check_model(new, full_check=True)
    onnx.save(new, path)
    return LayoutPlan(
        layers=tuple(_layer(choice) for choice in choices),
        multiplications=(multiplications(model), multiplications(new)),
        gains={batch: round(gain, 2) for batch, gain in (gains or {}).items()},
        device=device() if gains else None,
    )


def _layer(choice: Choice) -> LayerForm:
    span = choice.place.convolution.span
    return LayerForm(layer=choice.place.name, form=choice.form, filters=len(span.frequencies), of=span.taps)
