import threading

import pytest

from service.decoding.pool import Errand, Pool

PATIENCE_S = 10
LARGE = 100


class Diary:
    """Work that writes down what was done, and work that holds its thread until the gate opens."""

    def __init__(self, expected: int) -> None:
        self.done: list[object] = []
        self.gate, self.complete = threading.Event(), threading.Event()
        self._entered = threading.Semaphore(0)
        self._expected = expected

    def hold(self, pool: Pool, threads: int) -> None:
        """Keep the pool's threads for any work busy, and the one for small work."""
        for memory in [1] * threads + [0]:
            pool.submit(Errand(self._hold, memory=memory))
            assert self._entered.acquire(timeout=PATIENCE_S)

    def _hold(self) -> None:
        self._entered.release()
        assert self.gate.wait(PATIENCE_S)

    def write(self, name: object, **errand: object) -> Errand:
        return Errand(lambda: self._write(name), **errand)

    def _write(self, name: object) -> None:
        self.done.append(name)
        if len(self.done) == self._expected:
            self.complete.set()


@pytest.fixture
def pool():
    opened = Pool(1, "test", memory=2 * LARGE)
    yield opened
    opened.close()


def large_of(diary: Diary, pool: Pool, errands: list[Errand]) -> list[object]:
    """What a busy pool does in which order, once it is free; one thread does all large work."""
    diary.hold(pool, threads=1)
    for errand in errands:
        pool.submit(errand)
    diary.gate.set()
    assert diary.complete.wait(PATIENCE_S)
    return diary.done


def test_the_lowest_rank_of_a_model_goes_first_and_equals_in_the_order_they_came(pool):
    diary = Diary(expected=6)
    ranks = list(enumerate([1, 0, -1, 1, 0, -1]))
    done = large_of(diary, pool, [diary.write((r, n), rank=r, memory=LARGE) for n, r in ranks])
    assert done == [(-1, 2), (-1, 5), (0, 1), (0, 4), (1, 0), (1, 3)]


def test_models_take_turns_however_much_one_of_them_brings(pool):
    diary = Diary(expected=12)
    flood = [diary.write("a", model="a", cost=5, memory=LARGE) for _ in range(10)]
    other = [diary.write("b", model="b", cost=5, memory=LARGE) for _ in range(2)]
    done = large_of(diary, pool, flood + other)
    assert done == ["a", "b", "a", "b", *["a"] * 8]


def test_a_model_of_costly_work_gets_as_much_as_one_of_cheap_work(pool):
    diary = Diary(expected=9)
    costly = [diary.write("costly", model="a", cost=40, memory=LARGE) for _ in range(3)]
    cheap = [diary.write("cheap", model="b", cost=10, memory=LARGE) for _ in range(6)]
    done = large_of(diary, pool, costly + cheap)
    assert done == ["costly", *["cheap"] * 4, "costly", *["cheap"] * 2, "costly"]


def test_urgent_work_of_one_model_does_not_starve_another(pool):
    diary = Diary(expected=12)
    urgent = [diary.write("urgent", model="a", rank=-1, memory=LARGE) for _ in range(10)]
    usual = [diary.write("usual", model="b", memory=LARGE) for _ in range(2)]
    assert large_of(diary, pool, urgent + usual)[:4] == ["urgent", "usual", "urgent", "usual"]


def test_keys_of_a_model_take_turns(pool):
    diary = Diary(expected=7)
    errands = [diary.write(key, model="a", key=key, memory=LARGE) for key in "xxxxxyz"]
    assert large_of(diary, pool, errands) == ["x", "y", "z", "x", "x", "x", "x"]


def test_small_work_is_done_while_large_work_holds_every_other_thread(pool):
    diary = Diary(expected=1)
    entered = threading.Event()

    def hold() -> None:
        entered.set()
        assert diary.gate.wait(PATIENCE_S)

    for _ in range(5):
        pool.submit(Errand(hold, memory=LARGE, model="a"))
    assert entered.wait(PATIENCE_S)
    pool.submit(diary.write("small", model="b"))
    assert diary.complete.wait(PATIENCE_S)
    diary.gate.set()


def test_large_work_together_stays_within_its_memory():
    pool, met, gate = Pool(4, "test", memory=2 * LARGE), threading.Semaphore(0), threading.Event()
    running: list[int] = []
    lock = threading.Lock()
    most = 0

    def work() -> None:
        nonlocal most
        with lock:
            running.append(1)
            most = max(most, len(running))
        met.release()
        assert gate.wait(PATIENCE_S)
        with lock:
            running.pop()

    for _ in range(8):
        pool.submit(Errand(work, memory=LARGE))
    for _ in range(2):
        assert met.acquire(timeout=PATIENCE_S)
    assert not met.acquire(timeout=0.1)
    gate.set()
    for _ in range(6):
        assert met.acquire(timeout=PATIENCE_S)
    assert most == 2
    pool.close()


def test_what_does_not_fit_waits_for_room_and_is_not_overtaken_by_other_large_work(pool):
    diary = Diary(expected=3)
    errands = [diary.write(name, memory=memory) for name, memory in (("first", 1), ("all", 200), ("last", 1))]
    assert large_of(diary, pool, errands) == ["first", "all", "last"]


def test_work_that_is_withdrawn_is_not_done_and_costs_its_share_nothing(pool):
    diary = Diary(expected=2)
    diary.hold(pool, threads=1)
    given_up = [diary.write("never", model="a", cost=1000, memory=LARGE) for _ in range(3)]
    kept = [diary.write("a", model="a", memory=LARGE), diary.write("b", model="b", memory=LARGE)]
    for errand in given_up + kept:
        pool.submit(errand)
    for errand in given_up * 2:  # twice is as good as once
        pool.withdraw(errand)
    diary.gate.set()
    assert diary.complete.wait(PATIENCE_S)
    assert diary.done == ["a", "b"]


def test_work_that_raises_does_not_end_its_thread_and_gives_its_memory_back(pool):
    diary = Diary(expected=1)
    for _ in range(5):
        pool.submit(Errand(lambda: 1 / 0, memory=2 * LARGE))
    pool.submit(diary.write("after", memory=2 * LARGE))
    assert diary.complete.wait(PATIENCE_S)


def test_closing_drops_what_has_not_begun(pool):
    diary = Diary(expected=1)
    diary.hold(pool, threads=1)
    dropped = diary.write("never")
    pool.submit(dropped)
    pool.close()
    pool.withdraw(dropped)
    diary.gate.set()
    pool.submit(diary.write("nor this"))
    assert not diary.complete.wait(0.05)


def test_several_threads_work_side_by_side():
    pool, meeting = Pool(3, "test"), threading.Barrier(4)
    for _ in range(3):
        pool.submit(Errand(lambda: meeting.wait(PATIENCE_S), memory=1))
    meeting.wait(PATIENCE_S)
    pool.close()
