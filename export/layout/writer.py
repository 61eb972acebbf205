"""A few nodes of an ONNX graph, written one after the other."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from onnx import NodeProto, TensorProto, helper, numpy_helper

Pair = tuple[int, int]
Content = tuple[str, tuple[int, ...], bytes]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where a window stands: down and across. pads: above, left, below, right."""

    strides: Pair = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: Pair = (1, 1)


POINT = Geometry()


class Writer:
    """Nodes and their constants. prefix: what the names begin with, so that they are nobody else's.

    known: names of constants by their content, filled as they are written: what several writers of one graph share,
    such as the filters of layers of one width, is stored once.
    """

    def __init__(self, prefix: str, known: dict[Content, str] | None = None) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._prefix, self._known = prefix, {} if known is None else known

    def constant(self, values: ndarray) -> str:
        """A tensor: float32, or int64 for whole numbers."""
        kind = np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32
        stored = np.ascontiguousarray(values, dtype=kind)
        content = (str(stored.dtype), stored.shape, hashlib.sha256(stored.data).digest())
        if content not in self._known:
            self._known[content] = f"{self._prefix}.constant_{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(stored, self._known[content]))
        return self._known[content]

    def apply(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """One node; returns the name of its output."""
        name = f"{self._prefix}.{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"{name}.node", **attributes))
        return name

    def convolve(
        self,
        x: str,
        kernels: Float[ndarray, "out in_ taps_down taps_across"],
        geometry: Geometry = POINT,
        *,
        groups: int = 1,
        bias: Float[ndarray, " out"] | None = None,
    ) -> str:
        """A convolution."""
        constants = [self.constant(kernels)] + ([self.constant(bias)] if bias is not None else [])
        window = {"kernel_shape": list(kernels.shape[2:]), "group": groups}
        return self.apply("Conv", [x, *constants], **window, **attributes(geometry), dilations=list(geometry.dilations))

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """The same numbers in another shape."""
        return self.apply("Reshape", [x, self.constant(np.array(shape))])

    def add(self, term: str, total: str | None) -> str:
        """The sum; the term itself where there is nothing yet."""
        return term if total is None else self.apply("Add", [term, total])


def attributes(geometry: Geometry) -> dict[str, list[int]]:
    """Strides and pads as a node has them."""
    return {"strides": list(geometry.strides), "pads": list(geometry.pads)}
