"""Slots: lent, given back, and seen by another process."""

import fcntl
import os

import numpy as np
import pytest

from service.handover.slots import Slots, mapped, rows_in, slot_bytes

BYTES = np.dtype(np.uint8)


def test_a_slot_holds_the_rows_and_after_them_the_logits() -> None:
    assert slot_bytes(3, 100, 10) == 320
    assert slot_bytes(3, 100, 1000) == 12032
    assert slot_bytes(1, 1, 1) == 64


def test_slots_are_lent_until_there_is_no_place_and_again_once_they_are_free() -> None:
    slots = Slots(256)
    lent = [slots.lend(64) for _ in range(4)]
    assert sorted(slot.start for slot in lent if slot) == [0, 64, 128, 192]
    assert slots.lend(64) is None
    first, second, third, fourth = lent
    assert first and second and third and fourth
    second.drop()
    fourth.drop()
    assert slots.lend(128) is None  # two places, and none of them large enough
    third.drop()
    again = slots.lend(192)
    assert again and again.start == 64
    first.drop()
    again.drop()
    whole = slots.lend(256)
    assert whole and whole.start == 0


def test_a_slot_is_free_when_the_last_who_uses_it_has_let_go() -> None:
    freed: list[int] = []
    slots = Slots(64)
    slot = slots.lend(64, lambda: freed.append(1))
    assert slot
    slot.hold()
    slot.drop()
    assert slots.lend(64) is None and not freed
    slot.drop()
    assert slots.lend(64) and freed == [1]


def test_the_other_process_sees_what_is_written_and_may_write_back() -> None:
    slots = Slots(4096)
    file = slots.give_away()
    theirs = mapped(file)
    os.close(file)
    slots.lend(128)
    slot = slots.lend(256)
    assert slot
    slots.rows(slot, (2, 4, 4, 3), BYTES)[...] = 7
    seen = rows_in(theirs, slot.start, (2, 4, 4, 3), BYTES)
    assert seen.shape == (2, 4, 4, 3) and (seen == 7).all()
    rows_in(theirs, slot.start, (2, 5), np.dtype(np.float32))[...] = 1.5
    assert (slots.rows(slot, (2, 5), np.dtype(np.float32)) == 1.5).all()


@pytest.mark.parametrize(
    ("start", "shape"), [(4096, (1,)), (4032, (65,)), (-64, (1,)), (32, (1,)), (0, (2**40, 2**20))]
)
def test_what_lies_outside_of_the_memory_is_refused(start: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not lie"):
        rows_in(np.zeros(4096, np.uint8), start, shape, BYTES)


def test_memory_that_could_be_taken_away_is_refused_and_slots_cannot() -> None:
    file = os.memfd_create("other", os.MFD_ALLOW_SEALING)
    os.ftruncate(file, 4096)
    with pytest.raises(OSError, match="not sealed"):
        mapped(file)
    os.close(file)
    file = Slots(4096).give_away()
    with pytest.raises(PermissionError):
        os.ftruncate(file, 64)
    assert fcntl.fcntl(file, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    os.close(file)
