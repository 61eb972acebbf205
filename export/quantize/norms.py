"""Norms that no convolution stands before are moved into what surrounds them, as int8 graphs cannot run them fast.

In a pre-activation network a norm reads the sum of a block: relu(a x + b) with a positive scale a is a relu(x + b/a).
So b/a is added by the bias of a convolution that made x, and taken away from whoever else reads x; and a goes into the
weights behind the relu. Both are exact, borders included. Where that cannot be done, the norm becomes a depth-wise
convolution of one pixel.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from export.quantize.graph import Graph, attribute, ranks

_Figures = NDArray[np.float64]
# What gives a times its answer for a times its input, channel by channel, if a is positive.
_HOMOGENEOUS = {"Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Identity", "Dropout", "Flatten"}
# A shift far beyond what the channel holds would cost every other channel of the tensor its resolution.
_MOST_SHIFT = 8.0


def without_norms(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function without norms over images; the model that is given stays as it is."""
    graph, dimensions = Graph(model), ranks(model)
    for norm in graph.nodes:
        if norm.op_type != "BatchNormalization" or dimensions.get(norm.input[0]) != 4:
            continue
        scale, shift = _affine(graph, norm)
        if not _moved(graph, norm, scale, shift):
            graph.replace(norm, [_depthwise(graph, norm, scale, shift)])
    return graph.tidy()


def _affine(graph: Graph, norm: onnx.NodeProto) -> tuple[_Figures, _Figures]:
    """The norm as a x + b."""
    gamma, beta, mean, variance = (graph.weights(name) for name in norm.input[1:5])
    scale = gamma / np.sqrt(variance + attribute(norm, "epsilon", 1e-5))
    return scale, beta - scale * mean


def _depthwise(graph: Graph, norm: onnx.NodeProto, scale: _Figures, shift: _Figures) -> onnx.NodeProto:
    weight = graph.add_constant(f"{norm.output[0]}.weight", scale.astype(np.float32).reshape(-1, 1, 1, 1))
    bias = graph.add_constant(f"{norm.output[0]}.bias", shift.astype(np.float32))
    name = graph.free_name(f"{norm.name}.depthwise")
    return helper.make_node(
        "Conv", [norm.input[0], weight, bias], [norm.output[0]], name=name, group=len(scale), kernel_shape=[1, 1]
    )


def _moved(graph: Graph, norm: onnx.NodeProto, scale: _Figures, shift: _Figures) -> bool:
    """Move the norm if that can be done whole; else leave everything as it is, and say False."""
    read, made = norm.input[0], norm.output[0]
    readers = graph.readers(made)
    if made in graph.outputs or not readers or any(node.op_type != "Relu" for node in readers):
        return False
    if not np.all(scale > 0) or np.abs(shift / scale).max() > _MOST_SHIFT:
        return False
    source = _shiftable(graph, graph.producer(read), read, reads=None)
    others = [node for node in graph.readers(read) if node is not norm]
    balances = [_balance(graph, node, read) for node in others]
    behind = _weights_behind(graph, made)
    if source is None or any(one is None for one in balances) or behind is None or read in graph.outputs:
        return False
    _add_to_bias(graph, source, shift / scale)
    for convolution in balances:
        if convolution is not None:
            _add_to_bias(graph, convolution, -shift / scale)
    for node in behind:
        _scale_inputs(graph, node, scale)
    graph.replace(norm, [])
    graph.rename_reads(made, read)
    return True


def _shiftable(
    graph: Graph, node: onnx.NodeProto | None, tensor: str, reads: str | None, within: int = 8
) -> onnx.NodeProto | None:
    """The convolution whose bias moves a tensor: its producer, or behind sums whatever is read nowhere else.

    reads: None for the tensor that shall be moved, which many may read.
    """
    if node is None or within == 0 or (reads is not None and not graph.read_once(tensor)):
        return None
    if node.op_type == "Conv" and _own_bias(graph, node):
        return node
    if node.op_type != "Add":
        return None
    operands = (_shiftable(graph, graph.producer(name), name, tensor, within - 1) for name in node.input)
    return next((found for found in operands if found is not None), None)


def _balance(graph: Graph, reader: onnx.NodeProto, moved: str) -> onnx.NodeProto | None:
    """The convolution that takes a shift away again, behind a sum that reads what was moved."""
    if reader.op_type != "Add" or list(reader.input).count(moved) != 1:
        return None
    other = next(name for name in reader.input if name != moved)
    return _shiftable(graph, graph.producer(other), other, moved)


def _own_bias(graph: Graph, convolution: onnx.NodeProto) -> bool:
    """True where a bias may be changed: there is none yet, or it is a constant that no other node reads."""
    if len(convolution.input) < 3 or not convolution.input[2]:
        return True
    return graph.constant(convolution.input[2]) is not None


def _add_to_bias(graph: Graph, convolution: onnx.NodeProto, shift: _Figures) -> None:
    has_one = len(convolution.input) > 2 and convolution.input[2]
    bias = shift + (graph.weights(convolution.input[2]) if has_one else 0.0)
    name = graph.add_constant(f"{convolution.output[0]}.bias", bias.astype(np.float32))
    del convolution.input[2:]
    convolution.input.append(name)


def _weights_behind(graph: Graph, tensor: str) -> list[onnx.NodeProto] | None:
    """Convolutions and products that read a tensor, directly or behind what is homogeneous; None if others do too."""
    found: list[onnx.NodeProto] = []
    for node in graph.readers(tensor):
        if node.op_type in ("Conv", "Gemm") and graph.constant(node.input[1]) is not None and node.input[0] == tensor:
            plain = node.op_type == "Conv" or (not attribute(node, "transA", 0) and attribute(node, "alpha", 1.0) == 1)
            if not plain:
                return None
            found.append(node)
        elif node.op_type in _HOMOGENEOUS:
            further = _weights_behind(graph, node.output[0])
            if further is None:
                return None
            found += further
        else:
            return None
    return None if tensor in graph.outputs else found


def _scale_inputs(graph: Graph, node: onnx.NodeProto, scale: _Figures) -> None:
    weight = graph.weights(node.input[1])
    if node.op_type == "Gemm":
        columns = weight.shape[1] if attribute(node, "transB", 0) else weight.shape[0]
        scale = np.repeat(scale, columns // len(scale))  # a flattened map has its channels one after the other
        weight = weight * (scale[None, :] if attribute(node, "transB", 0) else scale[:, None])
    else:
        # A group's outputs read that group's inputs alone.
        groups = attribute(node, "group", 1)
        inputs = scale.reshape(groups, weight.shape[1])
        weight = weight * np.repeat(inputs, weight.shape[0] // groups, axis=0)[:, :, None, None]
    node.input[1] = graph.add_constant(node.input[1], weight.astype(np.float32))
