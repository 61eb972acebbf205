"""Why CUDA does not run here, in an operator's words: the wheel, the driver, the device or the libraries.

Asks the driver and the loader themselves, in the order in which one needs the other.
"""

import ctypes
from collections.abc import Callable
from typing import Any

Load = Callable[[str], Any]

_DRIVER = "libcuda.so.1"
_OTHERWISE = "Or ask for --device cpu."


def why_no_cuda(device: str, *, runtime: str, has_cuda: bool, cuda_major: str = "13", load: Load = ctypes.CDLL) -> str:
    """One sentence of what is missing and one of what to do.

    device: as asked for. runtime: ONNX Runtime's version. has_cuda: whether its wheel was built with CUDA, of which
    major version. load: the loader of shared libraries; raises OSError for one that is not there.
    """
    return f"{device} was asked for, but {_reason(device, runtime, has_cuda, cuda_major, load)} {_OTHERWISE}"


def _reason(device: str, runtime: str, has_cuda: bool, cuda_major: str, load: Load) -> str:
    if not has_cuda:
        return (
            f"the installed ONNX Runtime {runtime} has no CUDA in it. "
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
    if int(device.partition(":")[2] or 0) >= count.value:
        return f"the driver knows {count.value} devices, numbered from 0. Look at `nvidia-smi --list-gpus`."
    missing = [name for name in _libraries(cuda_major) if not _loads(name, load)]
    if missing:
        return f"{', '.join(missing)} cannot be loaded. Install harmonic-inference[gpu], which brings them."
    return (
        f"ONNX Runtime {runtime} could not start it, though driver and libraries are there. "
        "The driver may be too old for the libraries, or the device out of memory: look at `nvidia-smi`."
    )


def _libraries(cuda_major: str) -> tuple[str, ...]:
    return (f"libcudart.so.{cuda_major}", f"libcublasLt.so.{cuda_major}", "libcudnn.so.9")


def _loads(name: str, load: Load) -> bool:
    try:
        load(name)
    except OSError:
        return False
    return True
