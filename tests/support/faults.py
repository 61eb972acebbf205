"""Colour models with a fault: an image that is pure red makes the call raise, hang for a while, or give no number."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

SIDE = 8
SECONDS = 1_200_000  # rounds of an empty loop that take one second or more
FOR_EVER = 10**15


def is_red(images: NDArray[Any]) -> bool:
    """True if one of them is pure red. images: (n, height, width, 3), from 0 to 255."""
    means = images.mean(axis=(1, 2))
    return bool(((means[:, 0] > 254.5) & (means[:, 1:].max(axis=1) < 0.5)).any())


def raises_on_red() -> onnx.ModelProto:
    """A position outside of its list, which ONNX Runtime refuses when it meets it."""
    return _graph(
        [
            helper.make_node("Mul", ["is_red", "far"], ["place"]),
            helper.make_node("Gather", ["nothing", "place"], ["extra"]),
        ],
        far=np.int64(99),
        nothing=np.zeros(1, np.float32),
    )


def hangs_on_red(rounds: int = SECONDS) -> onnx.ModelProto:
    """A loop of very many rounds."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["going"]), helper.make_node("Abs", ["before"], ["after"])],
        "round",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, []),
        ],
    )
    return _graph(
        [
            helper.make_node("Mul", ["is_red", "rounds"], ["trips"]),
            helper.make_node("Loop", ["trips", "yes", "zero"], ["extra"], body=body),
        ],
        rounds=np.int64(rounds),
        yes=np.bool_(True),
        zero=np.float32(0),
    )


def gives_no_number_on_red() -> onnx.ModelProto:
    """The square root of a negative number, in the red image's own row."""
    return _graph(
        [
            helper.make_node("Sub", ["limit", "red"], ["below"]),
            helper.make_node("Sqrt", ["below"], ["root"]),
            helper.make_node("Mul", ["root", "zero"], ["extra"]),
        ],
        zero=np.float32(0),
    )


def _graph(fault: list[NodeProto], **constants: np.generic | np.ndarray) -> onnx.ModelProto:
    """uint8 images -> the mean of each channel, plus `extra`. The fault may use `red` (n, 1) and `is_red` (0 or 1)."""
    constants |= {"axes": np.array([1, 2]), "first": np.array([0]), "limit": np.float32(254.5)}
    constants |= {"scale": np.float32(8 / 255)}
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("Gather", ["means", "first"], ["red"], axis=1),
        helper.make_node("ReduceMax", ["red"], ["reddest"], keepdims=0),
        helper.make_node("Greater", ["reddest", "limit"], ["found"]),
        helper.make_node("Cast", ["found"], ["is_red"], to=TensorProto.INT64),
        *fault,
        helper.make_node("Mul", ["means", "scale"], ["strengths"]),
        helper.make_node("Add", ["strengths", "extra"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "faulty",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
