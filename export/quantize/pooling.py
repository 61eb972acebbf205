"""The mean over a whole map in the operator that int8 has: PyTorch writes ReduceMean, ONNX Runtime has kernels for
GlobalAveragePool."""

from collections.abc import Mapping

import onnx
from onnx import helper

from export.quantize.graph import Graph, attribute, ranks


def with_pools(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with each mean over rows and columns as a pool; the model that is given stays as it is."""
    graph, dimensions = Graph(model), ranks(model)
    for node in graph.nodes:
        if node.op_type == "ReduceMean" and _over_a_map(graph, node, dimensions):
            graph.replace(node, _pool(graph, node))
    return graph.tidy()


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
