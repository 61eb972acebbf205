"""Small ONNX graphs written as text, and what they answer."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from export.runtime import ort, session_options

_HEAD = '<ir_version: 9, opset_import: ["" : 18]>\n'


def graph_of(body: str, classes: int = 2, side: int = 6, **constants: Any) -> onnx.ModelProto:
    """A graph from `images`, uint8, N x side x side x 3, to `logits`. constants: float32 arrays, integers as int64."""
    ends = f"(uint8[N, {side}, {side}, 3] images) => (float[N, {classes}] logits)"
    model = parser.parse_model(_HEAD + f"net {ends} {{\n{body}\n}}")
    for name, value in constants.items():
        array = np.asarray(value)
        kind = np.int64 if array.dtype.kind == "i" else np.float32
        model.graph.initializer.append(numpy_helper.from_array(array.astype(kind), name))
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}{number}"
    return model


def answer(model: onnx.ModelProto, images: NDArray[Any]) -> NDArray[np.float32]:
    """What the graph gives for images."""
    session = ort.InferenceSession(model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {model.graph.input[0].name: images})[0])


def operators(model: onnx.ModelProto) -> list[str]:
    """Which nodes a graph has, in their order."""
    return [node.op_type for node in model.graph.node]


PIXELS = """
planes = Transpose <perm = [0, 3, 1, 2]> (images)
floats = Cast <to = 1> (planes)
scaled = Mul (floats, pixel_scale)
x = Add (scaled, pixel_shift)
"""

# Two blocks, the norm first in the second one, as wide residual networks are built.
RESIDUAL = (
    PIXELS
    + """
root = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
root_relu = Relu (root)
inner = Conv <pads = [1, 1, 1, 1]> (root_relu, w1, b1)
inner_relu = Relu (inner)
branch = Conv <pads = [1, 1, 1, 1]> (inner_relu, w2)
stream = Add (branch, root)
normed = BatchNormalization (stream, gamma, beta, mean, variance)
second_relu = Relu (normed)
second = Conv <pads = [1, 1, 1, 1]> (second_relu, w3, b1)
deeper = Add (second, stream)
last_normed = BatchNormalization (deeper, gamma2, beta, mean, variance)
last_relu = Relu (last_normed)
pooled = ReduceMean <keepdims = 0> (last_relu, axes)
logits = Gemm <transB = 1> (pooled, head, head_bias)
"""
)


def residual(**other: Any) -> onnx.ModelProto:
    """A pre-activation network of 4 channels with weights drawn once; `other` in place of some of them."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> NDArray[Any]:
        return rng.normal(scale=0.3, size=shape)

    constants: dict[str, Any] = {
        "pixel_scale": np.array([0.02, 0.018, 0.019]).reshape(1, 3, 1, 1),
        "pixel_shift": np.array([-2.0, -1.9, -1.8]).reshape(1, 3, 1, 1),
        "w0": drawn(4, 3, 3, 3),
        "b0": drawn(4),
        "w1": drawn(4, 4, 3, 3),
        "b1": drawn(4),
        "w2": drawn(4, 4, 3, 3),
        "w3": drawn(4, 4, 3, 3),
        "gamma": np.array([0.8, 1.3, 0.5, 1.1]),
        "gamma2": np.array([1.4, 0.6, 0.9, 1.0]),
        "beta": drawn(4),
        "mean": drawn(4),
        "variance": np.array([0.7, 1.2, 0.4, 2.0]),
        "axes": np.array([-1, 2]),
        "head": drawn(2, 4),
        "head_bias": drawn(2),
    }
    return graph_of(RESIDUAL, **(constants | other))


def pixels(count: int = 8, seed: int = 1, side: int = 6) -> NDArray[np.uint8]:
    """Images for these graphs."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
