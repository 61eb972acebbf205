"""A second graph beside an exported one, for CPUs: every layer that is worth it in whatever form is fastest there."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Num
from numpy import ndarray
from onnx import ModelProto

from export.layout.choice import Choice, any_form, fastest
from export.layout.forms import is_least_rounded, is_tiled, possible_forms
from export.layout.graph import Place, places
from export.layout.lay import alike, in_forms, is_truncated, own_memory, plan_of, raced, said, save
from export.layout.memory import BATCHES, Memory
from export.layout.timing import serialised, session
from export.manifest import LayoutPlan

_WIDE = 96  # channels: narrower layers with all their filters were fastest fused
_WORTH = 1.1  # times as fast, the batches multiplied: what a second file has to give


@dataclass(frozen=True, slots=True)
class Beside:
    """plan: of the second graph, over the fused one. gain: how many times as fast as the first, at the larger batch."""

    plan: LayoutPlan
    gain: float


def lay_beside(
    fused: ModelProto,
    first: Path,
    second: Path,
    images: Num[ndarray, "n h w c"],
    tell: Callable[[str], None],
    memory: Memory | None = None,
) -> Beside | None:
    """Write the fused graph at `second` in the forms that are fastest on this machine, tiles of the map among them.

    None, and nothing is written, unless the whole network is by that faster than what lies at `first` at every batch,
    and clearly so over all, with equal answers. images: eight, as the graph takes them.
    """
    worth = [place for place in places(fused) if is_truncated(place) or _is_wide(place)]
    if not worth:
        return None
    before, whole = session(first), session(serialised(fused))
    for choices in _candidates(worth, memory or own_memory(), tell):
        new = in_forms(fused, choices)
        after = session(serialised(new))
        if not alike(whole, after, images):
            tell("tiles of this size answer otherwise than the fused layout")
            continue
        over = raced(before, after, images)
        tell(f"with tiles, for CPUs: {said(over)}")
        if min(over.values()) > 1 and math.prod(over.values()) > _WORTH:
            save(new, second)
            return Beside(plan_of(fused, new, choices, raced(whole, after, images)), over[max(BATCHES)])
    return None


def _candidates(worth: list[Place], memory: Memory, tell: Callable[[str], None]) -> Iterator[list[Choice]]:
    """The fastest form of each; then tiles only where they are no slower than the best other form at any batch; then
    those that round least. Only with tiles: the other forms are the first graph's."""
    fastest_forms = fastest(worth, memory, tell, any_form)
    others = fastest(worth, memory, tell, _without_tiles)
    careful = [one if _no_slower(one, other) else other for one, other in zip(fastest_forms, others, strict=True)]
    seen: list[list[str]] = []
    for choices in (fastest_forms, careful, fastest(worth, memory, tell, is_least_rounded)):
        forms = [choice.form for choice in choices]
        if forms not in seen and any(map(is_tiled, forms)):
            seen.append(forms)
            yield choices


def _without_tiles(form: str) -> bool:
    """As `by_filters`, of the same measurement as the tiles."""
    return not is_tiled(form)


def _no_slower(one: Choice, other: Choice) -> bool:
    return all(mine >= theirs for mine, theirs in zip(one.gain, other.gain, strict=True))


def _is_wide(place: Place) -> bool:
    convolution = place.convolution
    wide = min(convolution.inputs, convolution.outputs) >= _WIDE
    return wide and any(map(is_tiled, possible_forms(convolution)))
