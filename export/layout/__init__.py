"""Equivalent graphs of truncated layers, and which of them is fastest on this machine. Knows ONNX; no torch network."""

from export.layout.choice import BATCHES
from export.layout.forms import Convolution, possible_forms, write
from export.layout.graph import Place, multiplications, places, rewritten
from export.layout.lay import LayoutOrder, lay_out
from export.layout.memory import Memory
from export.layout.spans import Span, span
from export.layout.timing import device, layer_graph
from export.layout.writer import Writer

__all__ = [
    "BATCHES",
    "Convolution",
    "LayoutOrder",
    "Memory",
    "Place",
    "Span",
    "Writer",
    "device",
    "lay_out",
    "layer_graph",
    "multiplications",
    "places",
    "possible_forms",
    "rewritten",
    "span",
    "write",
]
