"""Which range of values each tensor of a graph takes on real images, and which part of it 8 bits should cover."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from export.runtime import ort

Span = tuple[float, float]
Cover = Literal["all", "least error"]

_BINS = 2048
_STEPS = 255
_MOST_VALUES = 2**16  # of one tensor and batch that go into its histogram


def observed(
    model: onnx.ModelProto, tensors: Sequence[str], batches: Sequence[NDArray[Any]], cover: Cover = "least error"
) -> dict[str, Span]:
    """The span of each tensor that 8 bits should cover; zero is always within.

    batches: images, as the graph takes them. cover: "all" from the smallest to the largest value, "least error" what
    makes the mean squared error of rounding and cutting smallest.
    """
    run = _Opened(model, tensors)
    spans = _extremes(run, batches)
    if cover == "all":
        return spans
    counts = {name: np.zeros(_BINS, dtype=np.int64) for name in spans}
    for batch in batches:
        for name, values in run(batch):
            few = values.ravel()[:: max(1, values.size // _MOST_VALUES)]
            counts[name] += np.histogram(few, bins=_BINS, range=_wide(spans[name]))[0]
    return {name: _least_error(counts[name], spans[name]) for name in spans}


class _Opened:
    """A graph that gives all these tensors."""

    def __init__(self, model: onnx.ModelProto, tensors: Sequence[str]) -> None:
        open_model = onnx.ModelProto()
        open_model.CopyFrom(model)
        there = {output.name for output in open_model.graph.output}
        open_model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in there)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(
            open_model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = open_model.graph.input[0].name
        self._tensors = list(tensors)

    def __call__(self, images: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        return zip(self._tensors, self._session.run(self._tensors, {self._input: images}), strict=True)


def _extremes(run: "_Opened", batches: Sequence[NDArray[Any]]) -> dict[str, Span]:
    spans: dict[str, Span] = {}
    for batch in batches:
        for name, values in run(batch):
            least, most = spans.get(name, (0.0, 0.0))
            spans[name] = min(least, float(values.min())), max(most, float(values.max()))
    return spans


def _wide(span: Span) -> Span:
    """The span itself; where a tensor is zero everywhere, something around it."""
    return span if span[1] > span[0] else (-1.0, 1.0)


def _least_error(counts: NDArray[np.int64], span: Span) -> Span:
    """Cut both ends by the same share, as long as rounding gains more than cutting loses."""
    least, most = _wide(span)
    edges = np.linspace(least, most, _BINS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    candidates = [(least * share, most * share) for share in np.linspace(1.0, 0.3, 36)]
    errors = [_error(counts, middles, *candidate) for candidate in candidates]
    return candidates[int(np.argmin(errors))]


def _error(counts: NDArray[np.int64], middles: NDArray[np.float64], least: float, most: float) -> float:
    """Squared error of all values: of rounding by a twelfth of a step's square, of cutting by what is beyond."""
    beyond = middles - np.clip(middles, least, most)
    step = (most - least) / _STEPS
    return float((counts * np.where(beyond == 0, step**2 / 12, beyond**2)).sum())


def merged(spans: Mapping[str, Span], tied: Mapping[str, str]) -> dict[str, Span]:
    """The spans, where what is tied has the one of its source: a pool picks among the values it is given."""
    found = dict(spans)
    for tensor, source in tied.items():
        found[tensor] = found[source]
    return found
