"""A graph in 16-bit floats, for GPUs: the same nodes, half the bytes; images go in and logits come out as before."""

import onnx

# First: it settles what ONNX Runtime may do while it is imported.
from export.runtime import ort as _settled  # noqa: F401

from onnxruntime.transformers.float16 import convert_float_to_float16  # isort: skip


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in float16; the model that is given stays as it is."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    made: onnx.ModelProto = convert_float_to_float16(copy, keep_io_types=True)
    made.graph.ClearField("value_info")
    onnx.checker.check_model(made, full_check=True)
    return made
