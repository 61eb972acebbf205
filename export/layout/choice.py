"""Which form each layer takes: the one with the fewest multiplications, or the one that is fastest on this machine."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from export.layout.forms import FUSED, Convolution, possible_forms
from export.layout.graph import Place, multiplications
from export.layout.memory import Memory, Times, shape
from export.layout.timing import fastest_calls, layer_graph, serialised, session

BATCHES = (1, 8)  # what a lone caller and what many callers make of the service
_MOST = 4e9  # multiplications in one call of a layer: a larger batch says nothing that a smaller one does not


@dataclass(frozen=True, eq=False)
class Choice:
    """A form for a place. gain: how many times as fast as fused, for each of BATCHES; seconds: of a call. Both empty if
    not measured."""

    place: Place
    form: str
    gain: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()


def fewest_multiplications(places: Sequence[Place]) -> list[Choice]:
    """For every place the form that multiplies least; measures nothing, so it is the same on every machine."""
    found: dict[str, str] = {}
    for place in places:
        key = shape(place.convolution)
        if key not in found:
            graphs = _graphs(place.convolution)
            found[key] = min(graphs, key=lambda name: multiplications(graphs[name]))
    return [Choice(place, found[shape(place.convolution)]) for place in places]


def fastest(places: Sequence[Place], memory: Memory, watch: Callable[[str], None]) -> list[Choice]:
    """For every place the form that was fastest, among those that are no slower than fused at any batch.

    Places of one shape are measured once. watch: told of every shape before it is measured.
    """
    known: dict[str, Times] = {}
    for place in places:
        key = shape(place.convolution)
        if key not in known:
            known[key] = memory.times(key) or _measured(place.convolution, key, memory, watch)
    return [_best(place, known[shape(place.convolution)]) for place in places]


def _best(place: Place, times: Times) -> Choice:
    gains = {
        name: tuple(fused / own for fused, own in zip(times[FUSED], each, strict=True)) for name, each in times.items()
    }
    sound = [name for name, gain in gains.items() if min(gain) >= 1]
    name = max(sound, key=lambda name: math.prod(gains[name]))
    return Choice(place, name, gains[name], tuple(times[name]))


def _measured(convolution: Convolution, key: str, memory: Memory, watch: Callable[[str], None]) -> Times:
    watch(f"measuring {key}")
    graphs = _graphs(convolution)
    most = max(1, int(_MOST // multiplications(graphs[FUSED])))
    image = np.random.default_rng(0).normal(size=(convolution.inputs, *convolution.size)).astype(np.float32)
    opened = {name: session(serialised(graph)) for name, graph in graphs.items()}
    calls = [fastest_calls(opened, np.repeat(image[None], min(batch, most), axis=0)) for batch in BATCHES]
    times = {name: [call[name] for call in calls] for name in graphs}
    memory.keep(key, times)
    return times


def _graphs(convolution: Convolution) -> dict[str, ModelProto]:
    """The layer in every form that multiplies less than the fused one, and in that."""
    graphs = {name: layer_graph(convolution, name) for name in possible_forms(convolution)}
    most = multiplications(graphs[FUSED])
    return {name: graph for name, graph in graphs.items() if name == FUSED or multiplications(graph) < most}
