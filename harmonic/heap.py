"""Memory that this process frees stays with it, rather than to be given back and asked for anew, page by page."""

import ctypes
import sys

# <malloc.h> of glibc. No request is mapped by itself, and the top of the heap is neither trimmed nor grown by little.
_SETTINGS = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, -1), "M_TOP_PAD": (-2, 64 << 20)}


def keep_freed_memory() -> bool:
    """Tell the C library to keep what is freed, for the rest of the process; False where it cannot be told.

    The steps of a training on CPUs free and allocate the same tensors over and over. glibc maps each large one anew,
    and the system clears its pages: about a sixth of a step of a network for 32 x 32 images.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and all(mallopt(option, value) for option, value in _SETTINGS.values())
