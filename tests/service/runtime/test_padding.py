"""Batches of fixed sizes: in place where the memory was given for it, in a copy everywhere else."""

import numpy as np
import pytest

from service.runtime.padding import Padding

SHAPE, UINT8 = (2, 2, 3), np.dtype(np.uint8)


@pytest.fixture
def padding() -> Padding:
    return Padding(8, SHAPE, UINT8, np.empty)


def filled(padding: Padding, images: int) -> np.ndarray:
    memory = padding.buffer((images, *SHAPE), UINT8)
    memory[...] = 1 + np.arange(images).reshape(-1, 1, 1, 1)
    return memory


def test_images_at_the_beginning_of_given_memory_are_padded_where_they_lie(padding):
    memory = filled(padding, 8)
    padded = padding.in_place(memory[:3], 4)
    assert np.shares_memory(padded, memory)
    assert padded[:, 0, 0, 0].tolist() == [1, 2, 3, 0]
    assert memory[:, 0, 0, 0].tolist() == [1, 2, 3, 0, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "images",
    [
        lambda memory: memory[1:4],
        lambda memory: memory[:6:2],
        lambda memory: memory[:3, :1],
        lambda memory: memory[:3].view(np.int8),
        lambda memory: memory[:3].copy(),
    ],
    ids=["later rows", "every second", "parts of images", "other values", "other memory"],
)
def test_all_other_images_are_not_and_nothing_is_written(padding, images):
    memory = filled(padding, 8)
    before = memory.copy()
    assert padding.in_place(images(memory), 4) is None
    np.testing.assert_array_equal(memory, before)


def test_memory_too_small_for_the_size_is_left_alone(padding):
    memory = filled(padding, 3)
    assert padding.in_place(memory, 4) is None
    assert padding.in_place(memory, 3) is not None


def test_a_copy_is_padded_too_and_holds_nothing_of_the_one_before(padding):
    first, second = filled(padding, 8), filled(padding, 5)
    padding.copied(first, 8)
    assert padding.copied(second, 8)[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 0, 0, 0]
    assert first[:, 0, 0, 0].tolist() == list(range(1, 9))


def test_each_memory_is_one_of_its_own(padding):
    first, second = filled(padding, 8), filled(padding, 8)
    assert not np.shares_memory(first, second)
    assert np.shares_memory(padding.in_place(first[:3], 4), first)
    assert np.shares_memory(padding.in_place(second[:3], 4), second)
