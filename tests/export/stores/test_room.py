"""A copy takes no more room than it may, and the oldest that nobody needs leaves first."""

import os

import pytest

from export.errors import StoreError
from export.repository import publishing, versions
from export.stores.room import Room


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 3):
        with publishing(tmp_path, "net") as (staging, _):
            (staging / "file").write_bytes(b"x" * 100)
        os.utime(tmp_path / "net" / str(number), (number, number))
    return tmp_path


def test_the_oldest_leave_first_and_no_more_than_must(folder):
    room = Room(folder, 350)

    room.take(150)

    assert room.removed == [("net", 1)]
    assert room.used == 350
    assert versions(folder, "net") == [2, 3]


def test_what_is_kept_stays_and_what_does_not_fit_is_told(folder):
    room = Room(folder, 350)
    room.keep({("net", 1), ("net", 3)})
    room.take(150)
    assert room.removed == [("net", 2)]

    with pytest.raises(StoreError, match="store_bytes"):
        room.take(1)
    assert versions(folder, "net") == [1, 3]


def test_what_was_written_and_is_gone_is_counted_no_more(folder):
    room = Room(folder, 350)
    mark = room.written
    room.take(150)

    room.give_back(mark)

    assert room.used == 200


def test_nothing_is_left_of_what_was_removed(folder):
    Room(folder, 1000).remove(("net", 2))

    assert sorted(path.name for path in (folder / "net").iterdir()) == ["1", "3"]
