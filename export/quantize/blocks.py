"""A first layer that moves by several pixels reads blocks of pixels as channels: the same sums, in longer rows.

ONNX Runtime gathers what an int8 convolution reads tap by tap, all channels of a pixel at once, and a pixel has three.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx
from jaxtyping import Float
from numpy import ndarray
from onnx import helper

from export.quantize.graph import Graph, attribute, maps

_FEW = 4  # channels: what has more is gathered well as it is


@dataclass(frozen=True, slots=True)
class _Axis:
    """How windows lie in one direction of a map of so many pixels: their taps, pixels before and behind, and step."""

    size: int
    taps: int
    pads: tuple[int, int]
    step: int

    @property
    def lead(self) -> int:
        """Taps of nothing before the first, so that every window begins with a block."""
        return -self.pads[0] % self.step

    @property
    def blocks(self) -> int:
        """Of a window."""
        return -(-(self.lead + self.taps) // self.step)

    @property
    def block_pads(self) -> tuple[int, int]:
        before = (self.pads[0] + self.lead) // self.step
        windows = (self.size + sum(self.pads) - self.taps) // self.step + 1
        return before, windows + self.blocks - 1 - before - self.size // self.step

    @property
    def fits(self) -> bool:
        return self.size % self.step == 0 and min(self.block_pads) >= 0


def with_blocks(model: onnx.ModelProto, kept: Collection[str] = ()) -> tuple[onnx.ModelProto, dict[str, str]]:
    """The same function, with blocks of pixels before the convolutions of few channels that move by several, but for
    those that are kept as they are, by name. And the new tensors, each with the one whose values it holds."""
    graph, sizes, made = Graph(model), maps(model), dict[str, str]()
    for node in graph.nodes:
        size = sizes.get(node.input[0]) if node.op_type == "Conv" and node.name not in kept else None
        axes = _axes(graph, node, size) if size else None
        if axes:
            name = _rewrite(graph, node, axes)
            made[name] = node.input[0]
            node.input[0] = name
    return graph.tidy(), made


def _axes(graph: Graph, node: onnx.NodeProto, size: tuple[int, int, int]) -> tuple[_Axis, _Axis] | None:
    """Of a convolution that can be rewritten; None for others."""
    steps, weight = attribute(node, "strides", [1, 1]), graph.constant(node.input[1])
    plain = attribute(node, "dilations", [1, 1]) == [1, 1] and attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"
    if weight is None or not plain or steps[0] != steps[1] or steps[0] == 1:
        return None
    if attribute(node, "group", 1) != 1 or size[0] > _FEW:
        return None
    pads = attribute(node, "pads", [0, 0, 0, 0])
    down, across = (_Axis(size[1 + n], weight.shape[2 + n], (pads[n], pads[2 + n]), steps[0]) for n in range(2))
    return (down, across) if down.fits and across.fits else None


def _rewrite(graph: Graph, node: onnx.NodeProto, axes: tuple[_Axis, _Axis]) -> str:
    """Let the convolution take blocks, with its weights rearranged. Returns the name of what it has to read."""
    weight = _rearranged(graph.weights(node.input[1]), axes)
    node.input[1] = graph.add_constant(f"{node.input[1]}.blocks", weight.astype(np.float32))
    (above, below), (left, right) = (axis.block_pads for axis in axes)
    del node.attribute[:]
    node.attribute.extend(
        helper.make_attribute(key, value)
        for key, value in {"kernel_shape": list(weight.shape[2:]), "pads": [above, left, below, right]}.items()
    )
    name = graph.free_name(f"{node.input[0]}.blocks")
    block = helper.make_node(
        "SpaceToDepth", [node.input[0]], [name], name=graph.free_name(f"{node.name}.blocks"), blocksize=axes[0].step
    )
    graph.insert_behind(graph.producer(node.input[0]), [block])
    return name


def _rearranged(
    weight: Float[ndarray, "out in_ taps_down taps_across"], axes: tuple[_Axis, _Axis]
) -> Float[ndarray, "out block_in blocks_down blocks_across"]:
    """Channels of a block as `SpaceToDepth` orders them: rows within the block, columns, then the map's channels."""
    room = [(0, 0), (0, 0), *((axis.lead, axis.blocks * axis.step - axis.lead - axis.taps) for axis in axes)]
    step, (outputs, inputs) = axes[0].step, weight.shape[:2]
    split = np.pad(weight, room).reshape(outputs, inputs, axes[0].blocks, step, axes[1].blocks, step)
    return split.transpose(0, 3, 5, 1, 2, 4).reshape(outputs, -1, axes[0].blocks, axes[1].blocks)
