"""A batcher whose model fails or hangs when the test wants it."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from service.batching.batcher import Batcher
from service.batching.health import CallLimits, InstanceHealth
from service.batching.instance import as_they_are
from service.batching.policy import BatchPolicy
from service.batching.ticket import Answer, Rows
from service.errors import ModelFailed

PATIENCE_S = 20
SAMPLE = np.zeros((1, 1), np.float32)
QUICK = CallLimits(failures=3, retry_seconds=0.001, log_seconds=0)
Run = Callable[[Rows], Rows]


class Faulty:
    """A model whose calls do what the test wants: `fault` is called with the rows first."""

    def __init__(self, fault: Callable[[Rows], None] | None = None) -> None:
        self.fault = fault
        self.calls: list[list[float]] = []

    def __call__(self, rows: Rows) -> Rows:
        self.calls.append(rows[:, 0].tolist())
        if self.fault:
            self.fault(rows)
        return rows * 2


def always(error: BaseException) -> Callable[[Rows], None]:
    def fault(_: Rows) -> None:
        raise error

    return fault


def where_negative(error: BaseException) -> Callable[[Rows], None]:
    def fault(rows: Rows) -> None:
        if (rows < 0).any():
            raise error

    return fault


class Hang:
    """Calls that do not return before the test says so."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.over = threading.Event()

    def __call__(self, _: Rows) -> None:
        self.entered.set()
        assert self.over.wait(PATIENCE_S)

    async def begun(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, PATIENCE_S)


@asynccontextmanager
async def running(*runs: Run, limits: CallLimits = QUICK, **more: Any) -> AsyncIterator[Batcher]:
    observe = more.pop("observe", None)
    finish = more.pop("finish", as_they_are)
    buffers = more.pop("buffers", None)
    batcher = Batcher(runs, SAMPLE, BatchPolicy(**more), limits, observe, finish=finish, buffers=buffers)
    batcher.start()
    async with asyncio.timeout(PATIENCE_S):
        yield batcher
        await batcher.drain()


async def ask(batcher: Batcher, *values: float, deadline_s: float | None = None, best: int = 0) -> Answer:
    with batcher.reserve(len(values), deadline_s, best=best) as ticket:
        ticket.submit(np.array(values, np.float32)[:, None])
        return await ticket.answer()


async def until(batcher: Batcher, holds: Callable[[InstanceHealth], bool]) -> InstanceHealth:
    """Return the health as soon as it is so; the story's time limit ends the wait."""
    while not holds(health := batcher.health()):
        await asyncio.sleep(0)
    return health


async def fail(batcher: Batcher, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ModelFailed):
            await ask(batcher, -1)


def traces(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.exc_info]
