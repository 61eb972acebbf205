"""What a network does with an image: its layers in order, its operations, its feature maps; backbones.

Knows the layers by their protocol; changes no network.
"""

from harmonic.graph.calls import Call, ImageSize, is_spatial, macs, parameters, root, stages, trace
from harmonic.graph.joined import BODY, joined_stages
from harmonic.graph.lockstep import Lockstep, Stop

__all__ = [
    "BODY",
    "Call",
    "ImageSize",
    "Lockstep",
    "Stop",
    "is_spatial",
    "joined_stages",
    "macs",
    "parameters",
    "root",
    "stages",
    "trace",
]
