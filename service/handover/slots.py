"""Slots: pieces of memory that two processes see. A front end lends them and writes pixels; the owner of the models
reads those, and writes logits in their place.

The memory has no name, so nobody else finds it, and it is gone with the last of the two.
"""

import fcntl
import math
import mmap
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALIGNED = 64  # bytes; a row of a batch begins where processors like it best
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def slot_bytes(images: int, row_bytes: int, classes: int) -> int:
    """How large a slot is that takes so many images of a model, and their logits after that."""
    return -(-images * max(row_bytes, 4 * classes) // _ALIGNED) * _ALIGNED


class Slot:
    """A piece of memory, until the last who uses it has let go; it counts those who do, as a loan does.

    freed: told when that is so, from any thread.
    """

    __slots__ = ("_freed", "_holders", "_slots", "size", "start")

    def __init__(self, slots: "Slots", start: int, size: int, freed: Callable[[], None]) -> None:
        self._slots = slots
        self._freed = freed
        self._holders = 1
        self.start = start
        self.size = size

    def hold(self) -> None:
        """One more uses it."""
        with self._slots.lock:
            self._holders += 1

    def drop(self) -> None:
        """One less does; from any thread."""
        with self._slots.lock:
            self._holders -= 1
            if self._holders:
                return
            self._slots.take_back(self)
        self._freed()


class Slots:
    """Memory of so many bytes, and which of it is lent: always the first place that is large enough, so that only as
    much is ever touched as was needed at once."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lock = threading.Lock()
        self._free = [(0, size)]  # from, to; in order, and never two that touch
        self._file = os.memfd_create("harmonic-slots", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._file, size)
        fcntl.fcntl(self._file, fcntl.F_ADD_SEALS, _SEALS)  # or whoever shrinks it kills whoever reads it
        self._bytes = np.frombuffer(mmap.mmap(self._file, size), np.uint8)

    def lend(self, size: int, freed: Callable[[], None] = lambda: None) -> Slot | None:
        """A slot of `size` bytes, a multiple of 64; None where no place is large enough."""
        with self.lock:
            for index, (start, end) in enumerate(self._free):
                if end - start >= size:
                    self._free[index : index + 1] = [(start + size, end)] if end - start > size else []
                    return Slot(self, start, size, freed)
        return None

    def rows(self, slot: Slot, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """What lies in a slot, seen as an array; not a copy."""
        return rows_in(self._bytes, slot.start, shape, dtype)

    def give_away(self) -> int:
        """The file that stands for the memory, for the other process; whoever calls closes it."""
        file, self._file = self._file, -1
        return file

    def take_back(self, slot: Slot) -> None:
        """Have a slot back that nobody uses; the lock is held."""
        start, end = slot.start, slot.start + slot.size
        index = next((at for at, (begin, _) in enumerate(self._free) if begin >= end), len(self._free))
        if index < len(self._free) and self._free[index][0] == end:
            end = self._free.pop(index)[1]
        if index and self._free[index - 1][1] == start:
            index -= 1
            start = self._free.pop(index)[0]
        self._free.insert(index, (start, end))


def mapped(file: int) -> NDArray[np.uint8]:
    """The memory behind a file that another process gave away."""
    if fcntl.fcntl(file, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
        raise OSError("the memory of slots is not sealed: it could be taken away while it is read")
    return np.frombuffer(mmap.mmap(file, os.fstat(file).st_size), np.uint8)


def rows_in(memory: NDArray[np.uint8], start: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of this shape that begins there; not a copy. Raises ValueError where it would end outside."""
    size = math.prod(shape) * dtype.itemsize
    if start < 0 or start % _ALIGNED or start + size > len(memory):
        raise ValueError(f"{size} bytes from {start} do not lie in a slot of {len(memory)} bytes of memory")
    return memory[start : start + size].view(dtype).reshape(shape)
