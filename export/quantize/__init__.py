"""Other precisions of a version: int8 for CPUs and fp16 for GPUs, each published only if it loses little and is faster.

Reads and writes ONNX graphs; knows no network of PyTorch's.
"""

from export.quantize.gate import Race, Speed, opened, speed
from export.quantize.making import MOST_DROP, Refused, int8_of, lay, parse_precisions
from export.quantize.material import Material, Source, material

__all__ = [
    "MOST_DROP",
    "Material",
    "Race",
    "Refused",
    "Source",
    "Speed",
    "int8_of",
    "lay",
    "material",
    "opened",
    "parse_precisions",
    "speed",
]
