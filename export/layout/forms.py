"""Equivalent graphs of one convolution: by the filters of a bank that its kernels hold, and by tiles of the map.

A form is a function with `@form` above it, or a tile's size. All give the same answers; which is fastest depends on the
processor.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from export.layout.convolution import Convolution
from export.layout.tiled import can_be_tiled, tiled
from export.layout.writer import Geometry, Pair, Writer, attributes

FUSED = "fused"
# Outputs down and across. Others were tried, and were nowhere faster than the best of these, or less exact.
_TILES: tuple[Pair, ...] = ((4, 4), (2, 2), (4, 1), (2, 1))
_EXACT = 2  # outputs of a tile whose points are 0, 1, -1 and infinity
_FLAT = 1e-12  # the taps of a constant filter differ by rounding alone


Form = Callable[[Writer, Convolution, str, str | None], str]
_FORMS: dict[str, tuple[Form, Callable[[Convolution], bool]]] = {}


def form(possible: Callable[[Convolution], bool] = lambda _: True) -> Callable[[Form], Form]:
    """Register the decorated function. possible: whether it can express a convolution."""

    def register(function: Form) -> Form:
        _FORMS[function.__name__] = (function, possible)
        return function

    return register


def is_tiled(name: str) -> bool:
    """True for a form that computes tiles of the map at a few points: quick on CPUs."""
    return name in TILED


def is_least_rounded(name: str) -> bool:
    """False for tiles with points beyond 1, whose powers cost some of float32's digits."""
    return max(TILED.get(name, (1, 1))) <= _EXACT


def possible_forms(convolution: Convolution) -> tuple[str, ...]:
    """Names of the forms that can express a convolution, fused first."""
    return tuple(name for name, (_, possible) in _FORMS.items() if possible(convolution))


def write(name: str, writer: Writer, convolution: Convolution, x: str, plus: str | None = None) -> str:
    """Write a convolution of `x` in a form; returns the name of the answer.

    plus: a tensor that the answer begins with, the other way around a residual block: ONNX Runtime adds it within a
    convolution, and only one tensor to each.
    """
    return _FORMS[name][0](writer, convolution, x, plus)


@form()
def fused(writer: Writer, convolution: Convolution, x: str, plus: str | None) -> str:
    """One dense convolution: every filter costs as if all were there."""
    span, geometry = convolution.span, convolution.geometry
    whole = writer.convolve(x, span.kernels(), geometry, groups=convolution.groups, bias=convolution.bias)
    return writer.add(whole, plus)


@form()
def bands(writer: Writer, convolution: Convolution, x: str, plus: str | None) -> str:
    """Every filter depth-wise, then mixed by a 1x1, and all added up: ONNX Runtime adds within the 1x1."""
    inputs = convolution.inputs
    return _summed(writer, convolution, lambda number: _depthwise(writer, convolution, x, number, inputs), plus)


@form(lambda convolution: _constant(convolution) is not None)
def pooled(writer: Writer, convolution: Convolution, x: str, plus: str | None) -> str:
    """As `bands`, with the constant filter as the mean of its window."""

    def band(number: int) -> str:
        if number == _constant(convolution):
            return _mean(writer, convolution, x)
        return _depthwise(writer, convolution, x, number, convolution.inputs)

    return _summed(writer, convolution, band, plus)


@form(lambda convolution: convolution.groups == 1 and convolution.filters > 1)
def stacked(writer: Writer, convolution: Convolution, x: str, plus: str | None) -> str:
    """Every filter depth-wise, side by side, then one 1x1 over them all."""
    each = [_depthwise(writer, convolution, x, number, convolution.inputs) for number in range(convolution.filters)]
    weights = np.moveaxis(convolution.span.coefficients, 2, 1).reshape(convolution.outputs, -1, 1, 1)
    return writer.add(writer.convolve(writer.apply("Concat", each, axis=1), weights, bias=convolution.bias), plus)


@form()
def mixed(writer: Writer, convolution: Convolution, x: str, plus: str | None) -> str:
    """The 1x1 of every filter first, then the filter depth-wise: cheaper where outputs are fewer than inputs."""
    total = plus
    for number in range(convolution.filters):
        mixture = writer.convolve(x, _weights(convolution, number), groups=convolution.groups)
        bias = convolution.bias if number == 0 else None
        total = writer.add(_depthwise(writer, convolution, mixture, number, convolution.outputs, bias), total)
    return _answer(total)


@form(lambda convolution: convolution.filters > 1)
def grouped(writer: Writer, convolution: Convolution, x: str, plus: str | None) -> str:
    """One grouped convolution gives all filters of a channel, channel by channel; then one 1x1."""
    filters = np.tile(convolution.span.filters, (convolution.inputs, 1, 1))[:, None]
    every = writer.convolve(x, filters, convolution.geometry, groups=convolution.inputs)
    weights = convolution.span.coefficients.reshape(convolution.outputs, -1, 1, 1)
    return writer.add(writer.convolve(every, weights, groups=convolution.groups, bias=convolution.bias), plus)


@form(lambda convolution: min(convolution.span.filters.shape[1:]) > 1)
def separable(writer: Writer, convolution: Convolution, x: str, plus: str | None) -> str:
    """Depth-wise along the rows, once for each wave there; then along the columns, mixed by a 1x1, and added up."""
    span, (down, across) = convolution.span, _passes(convolution.geometry)
    passed: dict[int, str] = {}

    def band(number: int) -> str:
        u = span.frequencies[number][0]
        if u not in passed:
            rows = np.tile(span.rows[number][:, None], (convolution.inputs, 1, 1, 1))
            passed[u] = writer.convolve(x, rows, down, groups=convolution.inputs)
        columns = np.tile(span.columns[number], (convolution.inputs, 1, 1, 1))
        return writer.convolve(passed[u], columns, across, groups=convolution.inputs)

    return _summed(writer, convolution, band, plus)


@form(lambda convolution: convolution.scattered)
def picked(writer: Writer, convolution: Convolution, x: str, plus: str | None) -> str:
    """Every channel as often as it holds filters, each depth-wise with its own; then one 1x1 over them all."""
    span = convolution.span
    channels, numbers = np.nonzero(span.bands)
    weights = span.coefficients[:, channels, numbers, None, None]
    inputs = span.coefficients.shape[1]
    every = np.concatenate([group * inputs + channels for group in range(convolution.groups)])
    chosen = writer.apply("Gather", [x, writer.constant(every)], axis=1)
    filters = np.tile(span.filters[numbers], (convolution.groups, 1, 1))[:, None]
    responses = writer.convolve(chosen, filters, convolution.geometry, groups=len(every))
    return writer.add(writer.convolve(responses, weights, groups=convolution.groups, bias=convolution.bias), plus)


@form(lambda convolution: convolution.groups == 1 and not convolution.span.bands.any(axis=1).all())
def narrowed(writer: Writer, convolution: Convolution, x: str, plus: str | None) -> str:
    """One dense convolution of those input channels that hold any filter."""
    live = np.flatnonzero(convolution.span.bands.any(axis=1))
    chosen = writer.apply("Gather", [x, writer.constant(live)], axis=1)
    kernels = convolution.span.kernels()[:, live]
    return writer.add(writer.convolve(chosen, kernels, convolution.geometry, bias=convolution.bias), plus)


def _passes(geometry: Geometry) -> tuple[Geometry, Geometry]:
    """A pass along the rows and one along the columns."""
    (top, left, bottom, right), (down, across), (step, reach) = geometry.pads, geometry.strides, geometry.dilations
    return (
        Geometry((down, 1), (top, 0, bottom, 0), (step, 1)),
        Geometry((1, across), (0, left, 0, right), (1, reach)),
    )


def _summed(writer: Writer, convolution: Convolution, band: Callable[[int], str], plus: str | None) -> str:
    """Every filter's responses, mixed by a 1x1, added up. band: writes one filter's responses."""
    total = plus
    for number in range(convolution.filters):
        bias = convolution.bias if number == 0 else None
        weights, groups = _weights(convolution, number), convolution.groups
        total = writer.add(writer.convolve(band(number), weights, groups=groups, bias=bias), total)
    return _answer(total)


def _weights(convolution: Convolution, number: int) -> Float[ndarray, "out in_ 1 1"]:
    """Of one filter."""
    return convolution.span.coefficients[:, :, number, None, None]


def _depthwise(
    writer: Writer,
    convolution: Convolution,
    x: str,
    number: int,
    channels: int,
    bias: Float[ndarray, " out"] | None = None,
) -> str:
    """One filter's response to every channel of `x`."""
    filters = np.tile(convolution.span.filters[number], (channels, 1, 1, 1))
    return writer.convolve(x, filters, convolution.geometry, groups=channels, bias=bias)


def _constant(convolution: Convolution) -> int | None:
    """The number of the filter that an average pool can compute; None where there is none."""
    filters, geometry = convolution.span.filters, convolution.geometry
    above, left, below, right = geometry.pads
    # ONNX wants pads smaller than the window, and knows no dilation before opset 19.
    fits = max(above, below) < filters.shape[1] and max(left, right) < filters.shape[2]
    if geometry.dilations != (1, 1) or not fits:
        return None
    return next((number for number, each in enumerate(filters) if np.ptp(each) < _FLAT), None)


def _mean(writer: Writer, convolution: Convolution, x: str) -> str:
    window = list(convolution.span.filters.shape[1:])
    shape = attributes(convolution.geometry)
    return writer.apply("AveragePool", [x], kernel_shape=window, count_include_pad=1, **shape)


def _answer(total: str | None) -> str:
    if total is None:
        raise ValueError("a span without filters has no answer")
    return total


TILED = {f"winograd_{down}x{across}": (down, across) for down, across in _TILES}
_FORMS |= {name: (partial(tiled, tile=tile), partial(can_be_tiled, tile=tile)) for name, tile in TILED.items()}
