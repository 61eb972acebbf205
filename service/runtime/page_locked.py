"""Memory of the host that a GPU reads by itself: page-locked, from the CUDA runtime, in arrays of numpy.

What lies in other memory is copied into such memory by the CPU first. For the CPU itself, any memory is as good.
"""

import ctypes
import logging
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.runtime.device import Device

log = logging.getLogger(__name__)
Load = Callable[[str], Any]
Allocate = Callable[[tuple[int, ...], np.dtype[Any]], NDArray[Any]]

_PORTABLE = 1  # cudaHostAllocPortable: every GPU of the process knows it as page-locked


def empty(
    shape: tuple[int, ...], dtype: np.dtype[Any], device: Device, library: str, load: Load = ctypes.CDLL
) -> NDArray[Any]:
    """An array as `numpy.empty` gives it, page-locked for a GPU; given back when no part of it is in use any more.

    library: file of the CUDA runtime. load: the loader of shared libraries; raises OSError for one that is not there.
    Where there is no page-locked memory to be had, plain memory serves, more slowly, and the log says so.
    """
    if device.on_cpu:
        return np.empty(shape, dtype)
    try:
        cuda = load(library)
    except OSError as error:
        return _plain(shape, dtype, f"{library} cannot be loaded ({error})")
    size = math.prod(shape) * dtype.itemsize
    address = ctypes.c_void_p()
    status = cuda.cudaSetDevice(device.number) or cuda.cudaHostAlloc(
        ctypes.byref(address), ctypes.c_size_t(size), ctypes.c_uint(_PORTABLE)
    )
    if status:
        cuda.cudaGetLastError()  # forgotten, or the next who asks in this thread would take it for an error of his own
        return _plain(shape, dtype, f"cudaHostAlloc of {size} bytes on {device} says {status}")
    return _array(cuda, address, size).view(dtype).reshape(shape)


def _array(cuda: Any, address: ctypes.c_void_p, size: int) -> NDArray[np.uint8]:
    block = (ctypes.c_ubyte * size).from_address(address.value or 0)
    # Not at the end of the process: calls that never return may still read it, and it ends with the process anyway.
    weakref.finalize(block, cuda.cudaFreeHost, address).atexit = False
    return np.frombuffer(memoryview(block), np.uint8)


def _plain(shape: tuple[int, ...], dtype: np.dtype[Any], reason: str) -> NDArray[Any]:
    log.warning("batches lie in plain memory, which a GPU reads more slowly: %s", reason)
    return np.empty(shape, dtype)
