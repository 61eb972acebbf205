"""Why CUDA does not run here, in an operator's words: the wheel, the driver, the device or the libraries.

Asks the driver and the loader themselves, in the order in which one needs the other.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from service.runtime.device import Device

Load = Callable[[str], Any]

_DRIVER = "libcuda.so.1"


@dataclass(frozen=True, slots=True)
class Runtime:
    """The installed ONNX Runtime: its version, and the major version of CUDA that its wheel was built with, if any."""

    version: str
    cuda_major: str | None

    @property
    def library(self) -> str:
        """File of the CUDA runtime that it uses."""
        return f"libcudart.so.{self.cuda_major}"


def why_no_cuda(devices: Sequence[Device], runtime: Runtime, load: Load = ctypes.CDLL) -> str:
    """What is missing and what to do, for devices that could not be had.

    load: the loader of shared libraries; raises OSError for one that is not there.
    """
    reason = lacking(devices, runtime, load) or (
        f"ONNX Runtime {runtime.version} could not start it, though driver and libraries are there. "
        "The driver may be too old for the libraries, or the device out of memory: look at `nvidia-smi`."
    )
    return f"{','.join(map(str, devices))} was asked for, but {reason} Or ask for --device cpu."


def lacking(devices: Sequence[Device], runtime: Runtime, load: Load = ctypes.CDLL) -> str | None:
    """What CUDA surely lacks here; None where nothing is found."""
    if runtime.cuda_major is None:
        return (
            f"the installed ONNX Runtime {runtime.version} has no CUDA in it. "
            "Install harmonic-inference[gpu] in place of [cpu]."
        )
    try:
        driver = load(_DRIVER)
    except OSError:
        return f"there is no NVIDIA driver ({_DRIVER} is not found). Start the container with --gpus, or install one."
    if status := driver.cuInit(0):
        return f"the NVIDIA driver does not start (cuInit says {status}). Look at `nvidia-smi`."
    count = ctypes.c_int()
    driver.cuDeviceGetCount(ctypes.byref(count))
    if max(device.number for device in devices) >= count.value:
        return f"the driver knows {count.value} devices, numbered from 0. Look at `nvidia-smi --list-gpus`."
    missing = [name for name in _libraries(runtime) if not _loads(name, load)]
    if missing:
        return f"{', '.join(missing)} cannot be loaded. Install harmonic-inference[gpu], which brings them."
    return None


def _libraries(runtime: Runtime) -> tuple[str, ...]:
    return (runtime.library, f"libcublasLt.so.{runtime.cuda_major}", "libcudnn.so.9")


def _loads(name: str, load: Load) -> bool:
    try:
        load(name)
    except OSError:
        return False
    return True
