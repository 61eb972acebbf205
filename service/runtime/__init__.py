"""A version's graph runs here: devices, ONNX Runtime sessions, CUDA graphs, the native stem.

Knows manifests and arrays; no HTTP, no queue. Only `native` and `adaptive_norm` load torch.
"""

from service.runtime.choice import AS_EXPORTED, Running, StemChoice, adapts, choose
from service.runtime.cpus import usable_cpus
from service.runtime.device import CPU, DEVICES, Device, Devices, read_devices
from service.runtime.open import open_session
from service.runtime.providers import Arena, ConvSearch, GpuOptions
from service.runtime.session import Placement, Session, SessionError, check_installation, place, suits

__all__ = [
    "AS_EXPORTED",
    "CPU",
    "DEVICES",
    "Arena",
    "ConvSearch",
    "Device",
    "Devices",
    "GpuOptions",
    "Placement",
    "Running",
    "Session",
    "SessionError",
    "StemChoice",
    "adapts",
    "check_installation",
    "choose",
    "open_session",
    "place",
    "read_devices",
    "suits",
    "usable_cpus",
]
