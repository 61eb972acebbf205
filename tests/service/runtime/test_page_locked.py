"""Page-locked memory, by a stand-in for NVIDIA's library: what is asked of it, and what is given back."""

import ctypes
import gc

import numpy as np
import pytest

from service.runtime import page_locked
from service.runtime.device import Device

UINT8, GPU = np.dtype(np.uint8), Device("cuda", 1)


class Cuda:
    """A CUDA runtime of this test: memory of the process, and a list of what was done."""

    def __init__(self, full: int = 0, no_device: int = 0) -> None:
        self.done: list[tuple[object, ...]] = []
        self._blocks: dict[int | None, object] = {}
        self._full, self._no_device = full, no_device

    def cudaSetDevice(self, number: int) -> int:
        self.done.append(("device", number))
        return self._no_device

    def cudaHostAlloc(self, address: object, size: ctypes.c_size_t, flags: ctypes.c_uint) -> int:
        self.done.append(("alloc", size.value, flags.value))
        if not self._full:
            block = ctypes.create_string_buffer(size.value)
            place = ctypes.cast(address, ctypes.POINTER(ctypes.c_void_p))
            place[0] = ctypes.c_void_p(ctypes.addressof(block))
            self._blocks[ctypes.addressof(block)] = block
        return self._full

    def cudaFreeHost(self, address: ctypes.c_void_p) -> int:
        self.done.append(("free", self._blocks.pop(address.value) is not None))
        return 0

    def cudaGetLastError(self) -> int:
        self.done.append(("forgotten",))
        return 0

    def load(self, name: str) -> "Cuda":
        assert name == "libcudart.so.13"
        return self


def array(cuda: Cuda, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return page_locked.empty(shape, dtype, GPU, "libcudart.so.13", cuda.load)


@pytest.mark.parametrize("dtype", [UINT8, np.dtype(np.float32)])
def test_an_array_lies_in_memory_of_the_device_asked_for_and_holds_what_is_written(dtype):
    cuda = Cuda()
    found = array(cuda, (3, 4, 5, 2), dtype)
    assert cuda.done == [("device", 1), ("alloc", 120 * dtype.itemsize, 1)]
    assert (found.shape, found.dtype) == ((3, 4, 5, 2), dtype)
    assert found.flags.c_contiguous
    found[...] = np.arange(120).reshape(found.shape)
    np.testing.assert_array_equal(found.ravel(), np.arange(120))


def test_it_is_given_back_once_when_its_last_part_is_dropped():
    cuda = Cuda()
    memory = array(cuda, (4, 2), UINT8)
    part = memory[1:2]
    del memory
    gc.collect()
    assert ("free", True) not in cuda.done
    del part
    gc.collect()
    assert cuda.done.count(("free", True)) == 1


@pytest.mark.parametrize(("cuda", "says"), [(Cuda(full=2), "says 2"), (Cuda(no_device=101), "says 101")])
def test_where_none_is_to_be_had_plain_memory_serves_and_the_log_says_why(cuda, says, caplog):
    found = array(cuda, (2, 3), UINT8)
    found[...] = 7
    assert found.sum() == 42
    assert says in caplog.text
    assert cuda.done[-1] == ("forgotten",)


def test_without_the_library_plain_memory_serves_and_the_log_names_it(caplog):
    found = page_locked.empty((2, 3), UINT8, GPU, "libcudart.so.0")
    assert found.shape == (2, 3)
    assert "libcudart.so.0" in caplog.text


def test_for_the_cpu_no_library_is_asked(caplog):
    assert page_locked.empty((2, 3), UINT8, Device("cpu"), "libcudart.so.0").shape == (2, 3)
    assert not caplog.text
