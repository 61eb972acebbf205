"""A version's graph runs here: devices, ONNX Runtime sessions, CUDA graphs, the native stem.

Knows manifests and arrays; no HTTP, no queue. Only `native` and `adaptive_norm` load torch.
"""

from service.runtime.backend import Backend, Opening, SessionError, backend, forget_backend
from service.runtime.choice import AS_EXPORTED, PRECISIONS, Running, StemChoice, adapts, choose, read_precisions
from service.runtime.cpus import keep_to_own_cpu, usable_cpus
from service.runtime.device import CPU, DEVICES, Device, Devices, read_devices
from service.runtime.open import open_session
from service.runtime.placement import Placement
from service.runtime.providers import Arena, ConvSearch, GpuOptions
from service.runtime.session import Session, check_installation, place, suits, wants_gpu

__all__ = [
    "AS_EXPORTED",
    "CPU",
    "DEVICES",
    "PRECISIONS",
    "Arena",
    "Backend",
    "ConvSearch",
    "Device",
    "Devices",
    "GpuOptions",
    "Opening",
    "Placement",
    "Running",
    "Session",
    "SessionError",
    "StemChoice",
    "adapts",
    "backend",
    "check_installation",
    "choose",
    "forget_backend",
    "keep_to_own_cpu",
    "open_session",
    "place",
    "read_devices",
    "read_precisions",
    "suits",
    "usable_cpus",
    "wants_gpu",
]
