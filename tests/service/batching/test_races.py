"""Callers who leave at every moment, while threads change places thousands of times a second."""

import asyncio
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from service.batching.batcher import Batcher
from service.batching.policy import BatchPolicy
from service.batching.ticket import Answer, Rows, Ticket
from service.errors import DeadlineExceeded

PATIENCE_S = 100
WAVES, CALLERS = 150, 120


@pytest.fixture
def hasty_threads(interval_s: float) -> Iterator[None]:
    """Threads that change places all the time, and two that never rest, like decoders under load."""
    before, over = sys.getswitchinterval(), threading.Event()
    restless = [threading.Thread(target=_spin, args=(over,)) for _ in range(2)]
    sys.setswitchinterval(interval_s)
    for thread in restless:
        thread.start()
    yield
    over.set()
    for thread in restless:
        thread.join()
    sys.setswitchinterval(before)


def _spin(over: threading.Event) -> None:
    while not over.is_set():
        pass


def doubled(rows: Rows) -> Rows:
    return rows * 2


class Caller:
    """One request: rows that nobody else has, a little time or enough, and a way to leave."""

    def __init__(self, number: int, batcher: Batcher, chance: random.Random) -> None:
        self._rows = np.arange(chance.randint(1, 4), dtype=np.float64)[:, None] + 10 * number
        self._stack = ExitStack()
        self._late = chance.random() < 0.2
        self._ticket: Ticket = self._stack.enter_context(
            batcher.reserve(len(self._rows), 0.001 if self._late else None)
        )
        self._ticket.submit(self._rows)

    def leave(self) -> str:
        self._stack.close()
        return "left"

    async def outcome(self) -> str:
        with self._stack:
            try:
                answer: Answer = await self._ticket.answer()
            except DeadlineExceeded:
                return "late"
            return "right" if np.array_equal(answer.rows, 2 * self._rows) else "wrong"


async def wave(first: int, batcher: Batcher, chance: random.Random) -> list[str]:
    """Many callers, one after the other; half of them leave soon after they came, while their rows are being taken."""
    callers, outcomes = [], []
    for number in range(CALLERS):
        callers.append(Caller(first + number, batcher, chance))
        if chance.random() < 0.5:
            outcomes.append(callers.pop(-chance.randint(1, min(6, len(callers)))).leave())
    return outcomes + [await caller.outcome() for caller in callers]


@pytest.mark.usefixtures("hasty_threads")
@pytest.mark.parametrize(("interval_s", "instances"), [(0.0001, 1), (0.0001, 3), (0.0005, 3)])
async def test_thousands_of_departing_callers_shift_nobodys_answer(instances):
    seen: Counter[str] = Counter()

    batcher = Batcher([doubled] * instances, np.zeros((1, 1)), BatchPolicy(max_size=64, max_queue=4 * CALLERS))
    batcher.start()
    async with asyncio.timeout(PATIENCE_S):
        for number in range(WAVES):
            seen.update(await wave(number * CALLERS, batcher, random.Random(number)))
        assert batcher.statistics().waiting == 0
        await batcher.drain()
    assert seen["wrong"] == 0
    assert seen.total() == WAVES * CALLERS
    assert min(seen["right"], seen["left"]) > WAVES
