"""Batches are brought to fixed sizes with black images, where they lie if there is room behind them, else in a copy.

An image's answer does not depend on its batch-mates, so padding changes no answer. Not for several threads at once, but
for `buffer` and `in_place`.
"""

from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from service.runtime.page_locked import Allocate


class Padding:
    """The memory of one session's batches: what it gave away to be filled, and some of its own for all other images."""

    def __init__(self, largest: int, shape: tuple[int, ...], dtype: np.dtype[Any], allocate: Allocate) -> None:
        """largest: images in one call. shape, dtype: of an image, and its values."""
        self._allocate = allocate
        self._copy = allocate((largest, *shape), dtype)
        self._given: WeakValueDictionary[int, NDArray[Any]] = WeakValueDictionary()  # by address

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Memory whose images can be padded where they lie."""
        memory = self._allocate(shape, dtype)
        self._given[_address(memory)] = memory
        return memory

    def in_place(self, images: NDArray[Any], size: int) -> NDArray[Any] | None:
        """A batch of so many images that begins with these, in their own memory; None where that was not given here."""
        memory = self._given.get(_address(images))
        if memory is None or len(memory) < size or not _begins(memory, images):
            return None
        memory[len(images) : size] = 0  # nobody's picture stays behind
        return memory[:size]

    def copied(self, images: NDArray[Any], size: int) -> NDArray[Any]:
        """The same in other memory, valid until the next copy."""
        count = len(images)
        self._copy[:count] = images
        self._copy[count:size] = 0
        return self._copy[:size]


def _begins(memory: NDArray[Any], images: NDArray[Any]) -> bool:
    """True if images of one address are the first of the memory."""
    same_kind = (memory.shape[1:], memory.dtype) == (images.shape[1:], images.dtype)
    return same_kind and images.flags.c_contiguous


def _address(memory: NDArray[Any]) -> int:
    return int(memory.__array_interface__["data"][0])
