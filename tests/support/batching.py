"""A batcher whose model is in the hands of the test."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from service.batching.batcher import Batcher
from service.batching.policy import BatchPolicy
from service.batching.ticket import Answer, Rows

PATIENCE_S = 10
SAMPLE = np.zeros((1, 1), np.float32)


class Model:
    """A model call in the hands of the test: it doubles its rows, when the gate is open."""

    def __init__(self, gate_open: bool = True) -> None:
        self.calls: list[list[float]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        if gate_open:
            self.gate.set()

    def __call__(self, rows: Rows) -> Rows:
        self.calls.append(rows[:, 0].tolist())
        self.entered.release()
        assert self.gate.wait(PATIENCE_S)
        if np.isnan(rows).any():
            raise RuntimeError("not a number")
        return rows * 2

    async def busy(self) -> None:
        """Return when a call has begun."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=PATIENCE_S)


@asynccontextmanager
async def running(*runs: Model, **policy: float) -> AsyncIterator[Batcher]:
    batcher = Batcher(runs, SAMPLE, BatchPolicy(**policy))
    batcher.start()
    try:
        yield batcher
    finally:
        for run in runs:
            run.gate.set()
        async with asyncio.timeout(PATIENCE_S):
            await batcher.drain()


async def ask(batcher: Batcher, *values: float, deadline_s: float | None = None, priority: int = 0) -> Answer:
    with batcher.reserve(len(values), deadline_s, priority) as ticket:
        ticket.submit(np.array(values, np.float32)[:, None])
        return await ticket.answer()


def asking(
    batcher: Batcher, *values: float, deadline_s: float | None = None, priority: int = 0
) -> "asyncio.Task[Answer]":
    return asyncio.ensure_future(ask(batcher, *values, deadline_s=deadline_s, priority=priority))


async def settle_tasks() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
