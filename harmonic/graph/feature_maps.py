"""Which results of a network are its feature maps, one for each resolution.

What a detector wants is all that is known at a resolution: a result that every path from the image to the answer
passes, so that no shortcut leads past it, and the last of those.
"""

from dataclasses import dataclass, replace
from difflib import get_close_matches

from torch import nn
from torch.nn import functional as F

from harmonic.errors import FeatureError
from harmonic.graph.steps import Step
from harmonic.layers import SamePadding2d, is_convolution

_DROPOUTS = (nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_PADDINGS = (nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d, SamePadding2d)
_SAYING_NOTHING_NEW = {F.pad, F.dropout, F.dropout2d, F.alpha_dropout, F.feature_alpha_dropout}


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """A feature map (N, C, H, W). layer: name of the module or operation whose result it is. reduction: input pixels
    for one of its cells, along each side."""

    layer: str
    channels: int
    reduction: int


def pyramid(steps: list[Step]) -> list[FeatureMap]:
    """One map for each reduction, finest first: the last unavoidable step, or the last that is no bare convolution,
    whose norm and activation are still to come.

    steps: as `flow` gives them. Raises FeatureError if there is no such map.
    """
    bare: dict[int, FeatureMap] = {}
    ready: dict[int, FeatureMap] = {}
    for step in _without_head(unavoidable(steps), steps):
        found = _as_map(step, step.name) if step.weighs and not _says_nothing_new(step) else None
        if found:
            (bare if _is_convolution(step) else ready)[found.reduction] = found
    if not (bare or ready):
        raise FeatureError(
            "the network has no feature map (N, C, H, W) that every path passes. Name some of its layers instead."
        )
    maps = (found for _, found in sorted((bare | ready).items()))
    return [replace(found, layer=_shortest(steps, found.layer)) for found in maps]


def named(steps: list[Step], layer: str) -> FeatureMap:
    """What the last step of a module gives, or the step of that name; FeatureError if there is none, or no map."""
    step = _last_within(steps, layer)
    if step is None:
        near = get_close_matches(layer, _paths(steps), n=4)
        raise FeatureError(f"the network has no layer {layer!r}. Near: {', '.join(near) or 'none'}.")
    found = _as_map(step, layer)
    if found is None:
        raise FeatureError(f"layer {layer!r} gives no map (N, C, H, W) that grows with the image, but {step.shape}.")
    return found


def unavoidable(steps: list[Step]) -> list[Step]:
    """The steps that every path from the first to the last passes, in order; sizes and other numbers make no path."""
    carrying = [step for step in steps if step.shape is not None]
    first, last = carrying[0].name, carrying[-1].name
    ways_to = {first: 1}
    for step in carrying[1:]:
        ways_to[step.name] = sum(ways_to.get(name, 0) for name in step.inputs)
    ways_from = dict.fromkeys(ways_to, 0) | {last: 1}
    for step in reversed(carrying):
        for name in step.inputs:
            if name in ways_from:
                ways_from[name] += ways_from[step.name]
    return [step for step in carrying if ways_to[step.name] * ways_from[step.name] == ways_to[last]]


def _as_map(step: Step, layer: str) -> FeatureMap | None:
    reduction = step.reduction
    return FeatureMap(layer, step.shape[1], reduction) if step.shape and reduction else None


def _without_head(passed: list[Step], steps: list[Step]) -> list[Step]:
    """Unavoidable steps up to a classifier that is a 1x1 convolution, which only global pooling follows."""
    last = next(
        (step for step in reversed(steps) if _is_convolution(step) or isinstance(step.operation, nn.Linear)), None
    )
    classifies = getattr(last and last.operation, "kernel_size", None) == (1, 1) and steps[-1].reduction is None
    return passed[: passed.index(last)] if last in passed and classifies else passed


def _is_convolution(step: Step) -> bool:
    return is_convolution(step.operation) or step.operation is F.conv2d


def _says_nothing_new(step: Step) -> bool:
    """Whether the result is the input, in evaluation, but for a border."""
    if isinstance(step.operation, nn.Module):
        return isinstance(step.operation, (nn.Identity, *_DROPOUTS, *_PADDINGS))
    return step.operation in _SAYING_NOTHING_NEW


def _last_within(steps: list[Step], path: str) -> Step | None:
    """The last step of a module, or the one of that name."""
    return next((step for step in reversed(steps) if step.name == path or step.name.startswith(f"{path}.")), None)


def _shortest(steps: list[Step], name: str) -> str:
    """The shortest path of a module whose last step has this name, else the name."""
    parts = name.split(".")
    paths = (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return next(path for path in paths if (last := _last_within(steps, path)) and last.name == name)


def _paths(steps: list[Step]) -> list[str]:
    """Every module and operation that can be named."""
    parts = [step.name.split(".") for step in steps]
    return sorted({".".join(part[:depth]) for part in parts for depth in range(1, len(part) + 1)})
