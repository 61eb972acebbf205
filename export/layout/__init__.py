"""Equivalent graphs of convolutions, and which of them is fastest on this machine. Knows ONNX; no torch network."""

from export.layout.beside import Beside, lay_beside
from export.layout.choice import fastest
from export.layout.convolution import Convolution
from export.layout.forms import possible_forms, write
from export.layout.graph import Place, multiplications, places, rewritten
from export.layout.lay import LayoutOrder, lay_out, layouts_of
from export.layout.memory import BATCHES, FILE, Memory
from export.layout.spans import Span, drawn, span
from export.layout.timing import device, fastest_calls, layer_graph, ratios, session
from export.layout.writer import Writer

__all__ = [
    "BATCHES",
    "FILE",
    "Beside",
    "Convolution",
    "LayoutOrder",
    "Memory",
    "Place",
    "Span",
    "Writer",
    "device",
    "drawn",
    "fastest",
    "fastest_calls",
    "lay_beside",
    "lay_out",
    "layer_graph",
    "layouts_of",
    "multiplications",
    "places",
    "possible_forms",
    "ratios",
    "rewritten",
    "session",
    "span",
    "write",
]
