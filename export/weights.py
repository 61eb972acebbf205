"""Weights in the file of a graph: float32, or rounded to 16 bits, half the bytes. Nothing else of the graph changes.

A rounded weight is made float32 again by a Cast in the graph, which ONNX Runtime carries out once, while it loads. So
the arithmetic, and with it the speed, stays what it was; float16 as a way to compute is `quantize.half`.
"""

from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

WeightsOrder = Literal["fp32", "fp16"]

_SMALLEST = 256  # elements: below, the Cast costs more bytes than it saves
_MARK = "_fp16"


def in_16_bits(model: ModelProto) -> ModelProto:
    """The graph with its large float32 constants in float16; the one that is given stays as it is.

    A constant with a value that float16 cannot hold stays float32.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    casts: list[NodeProto] = []
    for tensor in copy.graph.initializer:
        if (half := _half(tensor)) is not None:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(half, name + _MARK))
            casts.append(helper.make_node("Cast", [tensor.name], [name], name=name + _MARK, to=TensorProto.FLOAT))
    _put_first(copy, casts)
    onnx.checker.check_model(copy, full_check=True)
    return copy


def in_32_bits(model: ModelProto) -> ModelProto:
    """The graph with float32 constants where `in_16_bits` left a Cast: what every step that reads weights expects."""
    copy = ModelProto()
    copy.CopyFrom(model)
    halves = {tensor.name: tensor for tensor in copy.graph.initializer if tensor.name.endswith(_MARK)}
    for node in [node for node in copy.graph.node if node.op_type == "Cast" and node.input[0] in halves]:
        tensor = halves[node.input[0]]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), node.output[0]))
        copy.graph.node.remove(node)
    return copy


def _half(tensor: TensorProto) -> NDArray[Any] | None:
    """The constant in float16, if it is a large one of float32 and stays finite."""
    if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _SMALLEST:
        return None
    with np.errstate(over="ignore"):
        half = numpy_helper.to_array(tensor).astype(np.float16)
    return half if np.isfinite(half).all() else None


def _put_first(model: ModelProto, nodes: list[NodeProto]) -> None:
    """Nodes in front of all others: a graph's nodes stand in the order in which they run."""
    others = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *others])
