"""One convolution in tiles of a few outputs: pixels and kernels are taken to some points, multiplied there, and the
products taken back. What multiplies channels is then a 1x1 convolution for each point, and their number is the cost.

The kernels stay in the graph as they are, as shares of a bank's filters: ONNX Runtime takes them to the points once,
when it opens the graph, so the file does not grow. Pixels are taken there by depth-wise convolutions, which ONNX
Runtime computes in its own order of memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from export.layout.convolution import Convolution
from export.layout.winograd import MOST_POINTS, Points, points
from export.layout.writer import Geometry, Pair, Writer

_LEAST_TAPS = 2


@dataclass(frozen=True, eq=False)
class _Axis:
    """One direction. pads: before and behind. points: None for a direction that is not tiled."""

    down: bool
    size: int
    taps: int
    pads: Pair
    tile: int
    points: Points | None

    @property
    def outputs(self) -> int:
        return self.size + sum(self.pads) - self.taps + 1

    @property
    def tiles(self) -> int:
        """Also those that stand out at the end; in a direction that is not tiled, every output is one."""
        return -(-self.outputs // self.tile)

    @property
    def kernels(self) -> list[Float[ndarray, "left taps"]]:
        """For each point, what makes the taps that are left of a kernel's."""
        return [np.eye(self.taps)] if self.points is None else [row[None] for row in self.points.kernel]

    @property
    def constant(self) -> int:
        return 0 if self.points is None else self.points.constant


def can_be_tiled(convolution: Convolution, tile: Pair) -> bool:
    """True for a convolution that moves by one pixel, mixes all channels, and has taps enough and not too many."""
    geometry, sides = convolution.geometry, convolution.span.filters.shape[1:]
    plain = geometry.strides == geometry.dilations == (1, 1) and convolution.groups == 1
    return plain and all(
        outputs == 1 or (taps >= _LEAST_TAPS and outputs + taps - 1 <= MOST_POINTS)
        for outputs, taps in zip(tile, sides, strict=True)
    )


def tiled(writer: Writer, convolution: Convolution, x: str, plus: str | None, *, tile: Pair) -> str:
    """Tiles of so many outputs down and across; with 1 across, rows of the kernels stay rows."""
    down, across = axes = _axes(convolution, tile)
    shares = writer.constant(convolution.span.coefficients[:, :, None])
    bias = [] if convolution.bias is None else [writer.constant(convolution.bias)]
    products = []
    for (number, pixels), kernel in zip(
        enumerate(_at_points(writer, convolution.inputs, x, axes)), product(down.kernels, across.kernels), strict=True
    ):
        # Two constants: worked out when the graph is opened.
        weights = writer.apply("MatMul", [shares, writer.constant(_taken(convolution, *kernel))])
        constant = number == down.constant * len(across.kernels) + across.constant
        left, right = (0, 0) if across.points else across.pads
        window = {"kernel_shape": [1, len(kernel[1])], "pads": [0, left, 0, right]}
        products.append(writer.apply("Conv", [pixels, weights, *(bias if constant else [])], **window))
    return writer.add(_taken_back(writer, products, axes, convolution.outputs), plus)


def _axes(convolution: Convolution, tile: Pair) -> tuple[_Axis, _Axis]:
    above, left, below, right = convolution.geometry.pads
    sides, pads = convolution.span.filters.shape[1:], ((above, below), (left, right))
    down, across = (
        _Axis(number == 0, size, taps, pad, outputs, points(outputs, taps) if outputs > 1 else None)
        for number, (size, taps, pad, outputs) in enumerate(zip(convolution.size, sides, pads, tile, strict=True))
    )
    return down, across


def _at_points(writer: Writer, channels: int, x: str, axes: Sequence[_Axis]) -> list[str]:
    """The pixels of every tile at every point, the points down in the outer order."""
    found = [x]
    for axis in axes:
        if axis.points is not None:
            found = [_weighed(writer, channels, each, axis, row) for each in found for row in axis.points.inputs]
    return found


def _weighed(writer: Writer, channels: int, x: str, axis: _Axis, row: Float[ndarray, " pixels"]) -> str:
    """The pixels of every tile in one direction, weighed by a row and added up: a depth-wise convolution."""
    used = np.flatnonzero(row)
    first, last, step = int(used[0]), int(used[-1]), 1
    if first > axis.pads[0]:  # ONNX knows no negative pads
        first = axis.pads[0]
    elif (last - first) % 2 == 0 and not row[first + 1 : last : 2].any():
        step = 2
    taps = row[first : last + 1 : step]
    end = axis.tile * (axis.tiles - 1) - axis.pads[0] + last  # the last pixel that is read
    before, behind = axis.pads[0] - first, max(0, end - axis.size + 1)
    kernels = np.tile(taps.reshape((1, 1, -1, 1) if axis.down else (1, 1, 1, -1)), (channels, 1, 1, 1))
    if axis.down:
        geometry = Geometry((axis.tile, 1), (before, 0, behind, 0), (step, 1))
    else:
        geometry = Geometry((1, axis.tile), (0, before, 0, behind), (1, step))
    return writer.convolve(x, kernels, geometry, groups=channels)


def _taken(
    convolution: Convolution, down: Float[ndarray, "one taps_down"], across: Float[ndarray, "left taps_across"]
) -> Float[ndarray, "freq left"]:
    """Every filter, taken to one point."""
    filters: ndarray = np.einsum("fxy,ox,ly->fl", convolution.span.filters, down, across)
    return filters


def _taken_back(writer: Writer, products: Sequence[str], axes: tuple[_Axis, _Axis], channels: int) -> str:
    """The outputs of all points' products, in their places in the map."""
    down, across = axes
    each = channels * down.tiles * across.tiles
    x = writer.apply("Concat", products, axis=1)
    for axis, inner in ((down, len(across.kernels) * each), (across, each)):
        if axis.points is not None:
            x = writer.reshape(x, [-1, len(axis.kernels), inner])
            x = writer.apply("MatMul", [writer.constant(axis.points.answers), x])
    x = _woven(writer, x, axes, channels)
    sizes = [down.outputs, across.outputs]
    if sizes == [axis.tiles * axis.tile for axis in axes]:
        return x
    limits = (writer.constant(np.array(numbers)) for numbers in ([0, 0], sizes, [2, 3]))
    return writer.apply("Slice", [x, *limits])


def _woven(writer: Writer, x: str, axes: tuple[_Axis, _Axis], channels: int) -> str:
    """A map of what lies output by output of a tile, and for each of them tile by tile."""
    down, across = axes
    if down.tile == across.tile:
        x = writer.reshape(x, [-1, down.tile * across.tile * channels, down.tiles, across.tiles])
        return writer.apply("DepthToSpace", [x], blocksize=down.tile, mode="DCR")
    x = writer.reshape(x, [-1, down.tile, across.tile, channels, down.tiles, across.tiles])
    x = writer.apply("Transpose", [x], perm=[0, 3, 4, 1, 5, 2])
    return writer.reshape(x, [-1, channels, down.tiles * down.tile, across.tiles * across.tile])
