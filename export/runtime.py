"""ONNX Runtime: every other module has it from here. Torch-free.

Its wheels carry their maker's telemetry, on by default on Linux too: a device id under the home directory, and events
to a public address. The variable has to be there before the import; an operator's own word in the environment stands.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

__all__ = ["ort"]
