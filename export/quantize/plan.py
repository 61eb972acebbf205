"""What of a graph can be int8: which nodes, and which tensors between them, so that ONNX Runtime finds its kernels."""

from collections.abc import Collection
from dataclasses import dataclass

import onnx

from export.quantize.graph import Graph, floats

WEIGHTED = ("Conv", "Gemm")
# These have an int8 form that needs no weights. A Relu is one of them only where it cannot be part of the node before.
_PASSING = ("Add", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool", "Relu")


@dataclass(frozen=True, slots=True)
class Plan:
    """nodes: names of those that compute in int8. tensors: those that are 8 bits wide, in the graph's order.

    absorbed: names of the Relus that end with the node before them. tied: pools, whose output has their input's scale.
    """

    nodes: frozenset[str]
    tensors: tuple[str, ...]
    absorbed: frozenset[str]
    tied: dict[str, str]


def weighted(model: onnx.ModelProto) -> list[str]:
    """Names of the layers with weights that could be int8, in their order."""
    graph = Graph(model)
    return [node.name for node in graph.nodes if _has_weights(graph, node)]


def plan(graph: Graph, kept: Collection[str] = ()) -> Plan:
    """Everything that can be int8 is, but the layers in `kept`, which stay in float."""
    absorbed = frozenset(node.name for node in graph.nodes if _ends_the_node_before(graph, node))
    chosen = [node for node in graph.nodes if node.name not in absorbed and node.name not in kept]
    chosen = [node for node in chosen if _has_weights(graph, node) or node.op_type in _PASSING]
    images, numbers = _of_the_images(graph), floats(graph.model)
    chosen = [node for node in chosen if not images.intersection(node.output) and numbers.issuperset(node.output)]
    tensors: dict[str, None] = {}
    tied: dict[str, str] = {}
    for node in chosen:
        given = node.input if node.op_type not in WEIGHTED else node.input[:1]
        answer = _answer(graph, node, absorbed)
        tensors |= dict.fromkeys(name for name in given if graph.constant(name) is None)
        if answer not in graph.outputs:
            tensors[answer] = None
        if node.op_type == "MaxPool":
            tied[answer] = node.input[0]
    return Plan(frozenset(node.name for node in chosen), tuple(tensors), absorbed, tied)


def _has_weights(graph: Graph, node: onnx.NodeProto) -> bool:
    return node.op_type in WEIGHTED and graph.constant(node.input[1]) is not None


def _ends_the_node_before(graph: Graph, node: onnx.NodeProto) -> bool:
    """A Relu that alone reads a convolution, a product or a sum: 8 bits that begin at zero do its work."""
    before = graph.producer(node.input[0]) if node.op_type == "Relu" else None
    return before is not None and before.op_type in ("Conv", "Gemm", "Add") and graph.read_once(node.input[0])


def _answer(graph: Graph, node: onnx.NodeProto, absorbed: Collection[str]) -> str:
    """What a node gives, behind the Relu that ends it."""
    answer: str = node.output[0]
    readers = graph.readers(answer)
    if len(readers) == 1 and readers[0].name in absorbed:
        answer = readers[0].output[0]
    return answer


def _of_the_images(graph: Graph) -> set[str]:
    """What is worked out of the images before the first layer with weights: their normalisation stays in float."""
    found = {taken.name for taken in graph.body.input}
    for node in graph.nodes:
        if node.op_type not in WEIGHTED and found.intersection(node.input):
            worked_out = [name for name in node.input if graph.constant(name) is None]
            if found.issuperset(worked_out):
                found.update(node.output)
    return found
