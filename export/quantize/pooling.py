"""Means in the operators that int8 is fast in.

Over a whole map PyTorch writes ReduceMean, and ONNX Runtime has kernels for GlobalAveragePool. Over a window it has one
that takes many times what a depth-wise convolution with equal weights does.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper

from export.quantize.graph import Graph, attribute, channels, ranks


def with_pools(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with each mean over a map as a pool, and each over a window as a convolution; the model that
    is given stays as it is."""
    graph, dimensions, planes = Graph(model), ranks(model), channels(model)
    for node in graph.nodes:
        if node.op_type == "ReduceMean" and _over_a_map(graph, node, dimensions):
            graph.replace(node, _pool(graph, node))
        elif node.op_type == "AveragePool" and node.input[0] in planes and _has_equal_weights(node):
            graph.replace(node, [_convolution(graph, node, planes[node.input[0]])])
    return graph.tidy()


def _has_equal_weights(node: onnx.NodeProto) -> bool:
    """False where a window at the border has a mean of fewer values."""
    padded = any(attribute(node, "pads", [0])) or attribute(node, "auto_pad", b"NOTSET") != b"NOTSET"
    return not attribute(node, "ceil_mode", 0) and (not padded or bool(attribute(node, "count_include_pad", 0)))


def _convolution(graph: Graph, node: onnx.NodeProto, planes: int) -> onnx.NodeProto:
    rows, columns = attribute(node, "kernel_shape", [1, 1])
    weight = np.full((planes, 1, rows, columns), 1 / (rows * columns), dtype=np.float32)
    name = graph.free_name(f"{node.name}.window")
    same = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    same = {key: same[key] for key in ("auto_pad", "dilations", "kernel_shape", "pads", "strides") if key in same}
    inputs = [node.input[0], graph.add_constant(f"{node.output[0]}.weight", weight)]
    return helper.make_node("Conv", inputs, list(node.output), name=name, group=planes, **same)


def _over_a_map(graph: Graph, node: onnx.NodeProto, dimensions: Mapping[str, int]) -> bool:
    axes = graph.constant(node.input[1]) if len(node.input) > 1 else None
    return dimensions.get(node.input[0]) == 4 and axes is not None and sorted(int(a) % 4 for a in axes) == [2, 3]


def _pool(graph: Graph, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    name = graph.free_name(f"{node.name}.pool")
    if attribute(node, "keepdims", 1):
        return [helper.make_node("GlobalAveragePool", [node.input[0]], list(node.output), name=name)]
    pooled = graph.free_name(f"{node.output[0]}.pooled")
    return [
        helper.make_node("GlobalAveragePool", [node.input[0]], [pooled], name=name),
        helper.make_node("Flatten", [pooled], list(node.output), name=graph.free_name(f"{node.name}.flat"), axis=1),
    ]
