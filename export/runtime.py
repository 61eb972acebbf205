"""ONNX Runtime: every other module has it from here. Torch-free.

Its wheels carry their maker's telemetry, on by default on Linux too: a device id under the home directory, and events
to a public address. The variable has to be there before the import; an operator's own word in the environment stands.
"""

import os

from export.processor import multiplies_int8

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

__all__ = ["ort", "session_options"]

_EXACT_BYTES = "session.x64quantprecision"


def session_options() -> ort.SessionOptions:
    """Options of a session that may run int8: it answers alike on every processor.

    Without VNNI two products of bytes are summed in 16 bits, which they do not fit into. There the weights are read as
    unsigned bytes instead, whose products are summed in 32: exactly, and about as fast as float32.
    """
    options = ort.SessionOptions()
    if not multiplies_int8():
        options.add_session_config_entry(_EXACT_BYTES, "1")
    return options
