"""The normalisation of the pixels as one convolution of one pixel.

ONNX Runtime lays int8 graphs out with channels last, and would multiply and add three by three values.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from export.quantize.graph import Graph


def with_quick_entrance(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function; the model that is given stays as it is."""
    graph = Graph(model)
    for scaling in graph.nodes:
        shifting = _next(graph, scaling)
        if scaling.op_type != "Mul" or shifting is None or shifting.op_type != "Add":
            continue
        scale, shift = _per_channel(graph, scaling), _per_channel(graph, shifting)
        if scale is None or shift is None or len(scale) != len(shift):
            continue
        taken = next(name for name in scaling.input if graph.constant(name) is None)
        weight = graph.add_constant(f"{taken}.scale", scale.reshape(-1, 1, 1, 1))
        bias = graph.add_constant(f"{taken}.shift", shift)
        name = graph.free_name(f"{scaling.name}.pixels")
        node = helper.make_node(
            "Conv", [taken, weight, bias], list(shifting.output), name=name, group=len(scale), kernel_shape=[1, 1]
        )
        graph.replace(shifting, [node])
        graph.replace(scaling, [])
        break
    return graph.tidy()


def _next(graph: Graph, node: onnx.NodeProto) -> onnx.NodeProto | None:
    readers = graph.readers(node.output[0])
    return readers[0] if len(readers) == 1 and graph.read_once(node.output[0]) else None


def _per_channel(graph: Graph, node: onnx.NodeProto) -> NDArray[np.float32] | None:
    """The figure of each channel by which planes are multiplied or moved; None for anything else."""
    found = [value for value in map(graph.constant, node.input) if value is not None]
    if len(found) != 1 or found[0].dtype != np.float32:
        return None
    shape = found[0].shape
    planes = len(shape) in (3, 4) and shape[-2:] == (1, 1) and (len(shape) == 3 or shape[0] == 1)
    return found[0].reshape(-1) if planes else None
