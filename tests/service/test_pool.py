import threading

import pytest

from service.pool import Pool

PATIENCE_S = 10


class Diary:
    """Work that writes down what was done, and one piece that holds a thread until the gate opens."""

    def __init__(self, expected: int) -> None:
        self.done: list[object] = []
        self.gate, self.entered, self.complete = threading.Event(), threading.Event(), threading.Event()
        self._expected = expected

    def hold(self) -> None:
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)

    def write(self, name: object) -> None:
        self.done.append(name)
        if len(self.done) == self._expected:
            self.complete.set()


@pytest.fixture
def pool():
    opened = Pool(1, "test")
    yield opened
    opened.close()


def test_the_lowest_rank_goes_first_and_equals_in_the_order_they_came(pool):
    diary = Diary(expected=6)
    pool.submit(0, diary.hold)
    assert diary.entered.wait(PATIENCE_S)
    for number, rank in enumerate([1, 0, -1, 1, 0, -1]):
        pool.submit(rank, lambda name=(rank, number): diary.write(name))
    diary.gate.set()
    assert diary.complete.wait(PATIENCE_S)
    assert diary.done == [(-1, 2), (-1, 5), (0, 1), (0, 4), (1, 0), (1, 3)]


def test_work_that_raises_does_not_end_its_thread(pool):
    diary = Diary(expected=1)
    pool.submit(0, lambda: 1 / 0)
    pool.submit(0, lambda: diary.write("after"))
    assert diary.complete.wait(PATIENCE_S)


def test_closing_drops_what_has_not_begun(pool):
    diary = Diary(expected=1)
    pool.submit(0, diary.hold)
    assert diary.entered.wait(PATIENCE_S)
    pool.submit(0, lambda: diary.write("never"))
    pool.close()
    diary.gate.set()
    pool.submit(0, lambda: diary.write("nor this"))
    assert not diary.complete.wait(0.05)


def test_several_threads_work_side_by_side():
    pool, meeting = Pool(3, "test"), threading.Barrier(4)
    for _ in range(3):
        pool.submit(0, lambda: meeting.wait(PATIENCE_S))
    meeting.wait(PATIENCE_S)
    pool.close()
