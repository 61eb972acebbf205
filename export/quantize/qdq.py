"""A float graph with 8 bits between its nodes: unsigned activations, signed weights, one scale a channel of outputs.

Written as ONNX writes it: QuantizeLinear and DequantizeLinear around float nodes, which ONNX Runtime turns into its
int8 kernels. Read by something that has none, the same graph gives nearly the same answers in float.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from export.quantize.graph import Graph, attribute
from export.quantize.plan import Plan
from export.quantize.ranges import Span, merged

_LARGEST = 127  # weight
_MOST_BIAS = 2**30


@dataclass(frozen=True, slots=True)
class _Code:
    """How a tensor is written: value = scale (code - zero)."""

    scale: float
    zero: int


def quantised(model: onnx.ModelProto, plan: Plan, spans: Mapping[str, Span]) -> onnx.ModelProto:
    """The graph in int8 by a plan. spans: of the plan's tensors."""
    graph = Graph(model)
    known = merged(spans, plan.tied)
    codes = {tensor: _code(known[tensor]) for tensor in plan.tensors}
    readings = {tensor: _coded(graph, tensor, code) for tensor, code in codes.items()}
    for node in graph.nodes:
        if node.name not in plan.nodes:
            continue
        if node.op_type in ("Conv", "Gemm"):
            _weigh(graph, node, codes[_origin(node.input[0], readings)].scale)
        elif node.op_type == "Relu":
            # ONNX Runtime has an int8 form of LeakyRelu alone; with a slope of zero it is the same.
            same = helper.make_node("LeakyRelu", list(node.input), list(node.output), name=node.name, alpha=0.0)
            graph.replace(node, [same])
    return graph.tidy()


def _code(span: Span) -> _Code:
    least, most = min(span[0], 0.0), max(span[1], 0.0)
    scale = (most - least) / 255 or 1.0
    return _Code(float(np.float32(scale)), round(-least / scale))


def _coded(graph: Graph, tensor: str, code: _Code) -> str:
    """Write a tensor in 8 bits, and let everybody read what those say. Returns the name of the reading."""
    scale = graph.add_constant(f"{tensor}.scale", np.array(code.scale, dtype=np.float32))
    zero = graph.add_constant(f"{tensor}.zero", np.array(code.zero, dtype=np.uint8))
    written, reading = graph.free_name(f"{tensor}.code"), graph.free_name(f"{tensor}.read")
    graph.rename_reads(tensor, reading)
    pair = [
        helper.make_node("QuantizeLinear", [tensor, scale, zero], [written], name=graph.free_name(f"{tensor}.write")),
        helper.make_node("DequantizeLinear", [written, scale, zero], [reading], name=graph.free_name(f"{tensor}.say")),
    ]
    maker = graph.producer(tensor)
    graph.insert_behind(maker, pair)
    return reading


def _origin(reading: str, readings: Mapping[str, str]) -> str:
    return next(tensor for tensor, name in readings.items() if name == reading)


def _weigh(graph: Graph, node: onnx.NodeProto, given: float) -> None:
    """Weights and bias of a layer in integers. given: the scale of what the layer reads."""
    weight = graph.weights(node.input[1])
    axis = 0 if node.op_type == "Conv" or attribute(node, "transB", 0) else 1
    bias = graph.weights(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    others = tuple(place for place in range(weight.ndim) if place != axis)
    scales = _weight_scales(np.abs(weight).max(axis=others), bias, given)
    shape = [-1 if place == axis else 1 for place in range(weight.ndim)]
    codes = np.clip(np.round(weight / scales.reshape(shape)), -_LARGEST, _LARGEST).astype(np.int8)
    node.input[1] = _reading(graph, node.input[1], codes, scales.astype(np.float32), axis)
    if bias is not None:
        steps = (np.float32(given) * scales.astype(np.float32)).astype(np.float32)
        whole = np.clip(np.round(bias / steps), -(2**31), 2**31 - 1).astype(np.int32)
        node.input[2] = _reading(graph, node.input[2], whole, steps, 0)


def _weight_scales(largest: NDArray[np.float64], bias: NDArray[np.float64] | None, given: float) -> NDArray[np.float64]:
    scales = np.where(largest > 0, largest / _LARGEST, 1.0)
    if bias is not None:  # a bias beyond 32 bits would turn around
        scales = np.maximum(scales, np.abs(bias) / (given * _MOST_BIAS))
    return scales


def _reading(
    graph: Graph, name: str, codes: NDArray[np.int8] | NDArray[np.int32], scales: NDArray[np.float32], axis: int
) -> str:
    """Put integers in as a constant, and a node that reads them as floats. Returns the name of the reading."""
    stored = graph.add_constant(f"{name}.code", codes)
    scale = graph.add_constant(f"{name}.scale", scales)
    zero = graph.add_constant(f"{name}.zero", np.zeros(len(scales), dtype=codes.dtype))
    reading = graph.free_name(f"{name}.read")
    node = helper.make_node(
        "DequantizeLinear", [stored, scale, zero], [reading], name=graph.free_name(f"{name}.say"), axis=axis
    )
    graph.insert_behind(None, [node])
    return reading
