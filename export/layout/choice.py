"""Which form each layer takes: the one with the fewest multiplications, or the one that is fastest on this machine."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from export.layout.convolution import Convolution
from export.layout.forms import FUSED, is_tiled, possible_forms
from export.layout.graph import Place, multiplications
from export.layout.memory import BATCHES, Memory, Times, shape
from export.layout.timing import fastest_calls, layer_graph, serialised, session

CLEAR = 1.25  # times as fast as fused: a gain that a layer keeps inside a network
_MOST = 4e9  # multiplications in one call of a layer: a larger batch says nothing that a smaller one does not


@dataclass(frozen=True, eq=False)
class Choice:
    """A form for a place. gain: how many times as fast as fused, for each of BATCHES; seconds: of a call. Both empty if
    not measured."""

    place: Place
    form: str
    gain: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()


def any_form(_: str) -> bool:
    """Every form may be chosen."""
    return True


def by_filters(form: str) -> bool:
    """Forms that no other kind of device need fear: the filters that a layer holds, and no tiles of the map."""
    return not is_tiled(form)


def fewest_multiplications(places: Sequence[Place]) -> list[Choice]:
    """For every place the form by filters that multiplies least. Measures nothing, so it is the same everywhere."""
    found: dict[str, str] = {}
    for place in places:
        key = shape(place.convolution)
        if key not in found:
            graphs = _graphs(place.convolution, by_filters)
            found[key] = min(graphs, key=lambda name: multiplications(graphs[name]))
    return [Choice(place, found[shape(place.convolution)]) for place in places]


def fastest(
    places: Sequence[Place], memory: Memory, watch: Callable[[str], None], allowed: Callable[[str], bool] = by_filters
) -> list[Choice]:
    """For every place the allowed form that was fastest, among those that are no slower than fused at any batch.

    Places of one shape are measured once. watch: told of every shape before it is measured.
    """
    tiles, known = allowed is not by_filters, dict[str, Times]()
    for place in places:
        key = shape(place.convolution, tiles=tiles)
        if key not in known:
            known[key] = memory.times(key) or _measured(place.convolution, key, memory, watch, tiles)
    return [_best(place, known[shape(place.convolution, tiles=tiles)], allowed) for place in places]


def _best(place: Place, times: Times, allowed: Callable[[str], bool]) -> Choice:
    gains = {
        name: tuple(fused / own for fused, own in zip(times[FUSED], each, strict=True)) for name, each in times.items()
    }
    sound = [name for name, gain in gains.items() if min(gain) >= 1 and allowed(name)]
    name = max(sound, key=lambda name: math.prod(gains[name]))
    return Choice(place, name, gains[name], tuple(times[name]))


def _measured(convolution: Convolution, key: str, memory: Memory, watch: Callable[[str], None], tiles: bool) -> Times:
    watch(f"measuring {key}")
    graphs = _graphs(convolution, any_form if tiles else by_filters)
    most = max(1, int(_MOST // multiplications(graphs[FUSED])))
    image = np.random.default_rng(0).normal(size=(convolution.inputs, *convolution.size)).astype(np.float32)
    opened = {name: session(serialised(graph)) for name, graph in graphs.items()}
    calls = [fastest_calls(opened, np.repeat(image[None], min(batch, most), axis=0)) for batch in BATCHES]
    times = {name: [call[name] for call in calls] for name in graphs}
    memory.keep(key, times)
    return times


def _graphs(convolution: Convolution, allowed: Callable[[str], bool]) -> dict[str, ModelProto]:
    """The layer in every allowed form that multiplies less than the fused one, and in that."""
    graphs = {name: layer_graph(convolution, name) for name in possible_forms(convolution) if allowed(name)}
    most = multiplications(graphs[FUSED])
    return {name: graph for name, graph in graphs.items() if name == FUSED or multiplications(graph) < most}
