"""Which layers stay in float: as few as the answers bear. None at first, then the first, then the first and the last,
then the ones whose 8 bits cost most."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.quantize.blocks import with_blocks
from export.quantize.entrance import with_quick_entrance
from export.quantize.gate import Run, answers
from export.quantize.graph import Graph
from export.quantize.plan import plan, weighted
from export.quantize.qdq import quantised
from export.quantize.ranges import Span, observed
from export.runtime import ort, session_options

_FURTHER = (1, 2, 4, 8)  # how many of the costly layers are kept in float, one try after the other


class Maker:
    """Makes int8 graphs of one float graph. batches: calibration images."""

    def __init__(self, model: onnx.ModelProto, batches: Sequence[NDArray[Any]]) -> None:
        self._model = model
        self.layers = weighted(model)
        everything = plan(Graph(model))
        self._spans: dict[str, Span] = observed(model, everything.tensors, batches)

    def __call__(self, kept: Sequence[str] = ()) -> onnx.ModelProto:
        """The graph in int8, but these layers."""
        model, blocks = with_blocks(self._model, kept)
        spans = {**self._spans, **{name: self._spans[source] for name, source in blocks.items()}}
        return with_quick_entrance(quantised(model, plan(Graph(model), kept), spans))


def tries(
    maker: Maker, images: NDArray[Any], logits: NDArray[np.float32], tell: Callable[[str], None]
) -> Iterator[tuple[str, ...]]:
    """Sets of layers to keep in float, the fewest first. images, logits: what the costs are measured on."""
    layers = maker.layers
    ends = tuple(dict.fromkeys((layers[0], layers[-1]))) if layers else ()
    yield ()
    yield ends[:1]
    yield ends
    tell(f"measuring what the 8 bits of each of {len(layers)} layers cost")
    costly = _by_gain(maker, ends, images, logits)
    for number in _FURTHER:
        if number <= len(costly):
            yield (*ends, *costly[:number])


def _by_gain(maker: Maker, kept: Sequence[str], images: NDArray[Any], logits: NDArray[np.float32]) -> list[str]:
    """The other layers, the one first whose being in float brings the answers closest to the float graph's."""
    errors = {
        layer: divergence(logits, answers(in_memory(maker((*kept, layer))), images))
        for layer in maker.layers
        if layer not in kept
    }
    return sorted(errors, key=lambda layer: errors[layer])


def in_memory(model: onnx.ModelProto) -> Run:
    """A graph that lies in no file, as a function."""
    session = ort.InferenceSession(model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"])
    name = model.graph.input[0].name
    return lambda images: np.asarray(session.run(None, {name: images})[0], dtype=np.float32)


def divergence(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Mean Kullback-Leibler divergence of the found probabilities from the wanted ones, in nats."""
    first, second = _log_probabilities(wanted), _log_probabilities(found)
    return float((np.exp(first) * (first - second)).sum(axis=1).mean())


def _log_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    high = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(high - np.log(np.exp(high).sum(axis=1, keepdims=True)))
