"""PyTorch's table of the operators that it knows in ONNX, read once a process.

Its exporter builds the table anew, from some seven hundred functions, for every network: for a small one that is nearly
half of an export.
"""

from functools import cache

from torch.onnx._internal.exporter._registration import ONNXRegistry


def read_once() -> None:
    """From now on this process's exports share one table. An export only looks things up in it."""
    if not hasattr(ONNXRegistry.from_torchlib, "cache_info"):
        ONNXRegistry.from_torchlib = staticmethod(cache(ONNXRegistry.from_torchlib))
