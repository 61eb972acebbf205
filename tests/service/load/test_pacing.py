"""Moments are kept: told in their order, none too early, and their end once."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from service.load.pacing import Done, Due, KernelTimer, Pacer, ThreadPacer, TimerPacer, arrivals, pacer
from service.load.plan import LoadPlan, OpenPace, read_address


def by_timer(moments: list[float], due: Due, done: Done) -> Pacer:
    return TimerPacer(KernelTimer(), moments, due, done)


def by_thread(moments: list[float], due: Due, done: Done) -> Pacer:
    return ThreadPacer(moments, due, done)


BOTH = pytest.mark.parametrize("made", [by_timer, by_thread])


@BOTH
async def test_every_moment_is_told_once_and_none_before_it_has_come(made):
    now = time.perf_counter()
    moments = [now - 1.0, *(now + 0.0007 * number for number in range(60)), now + 0.2]
    told: list[float] = []
    early: list[float] = []
    over = asyncio.Event()

    def due(come: list[float]) -> None:
        early.extend(moment for moment in come if moment > time.perf_counter())
        told.extend(come)

    made(moments, due, over.set).start()
    await asyncio.wait_for(over.wait(), 20)
    assert told == moments
    assert not early


@BOTH
async def test_where_there_are_no_moments_that_is_told(made):
    over = asyncio.Event()
    made([], lambda _: None, over.set).start()
    await asyncio.wait_for(over.wait(), 20)


@BOTH
async def test_what_is_stopped_tells_nothing_any_more(made):
    told: list[float] = []
    first = asyncio.Event()

    def due(come: list[float]) -> None:
        told.extend(come)
        first.set()

    now = time.perf_counter()
    paced = made([now, now + 0.05], due, lambda: None)
    paced.start()
    await asyncio.wait_for(first.wait(), 20)
    paced.stop()
    count = len(told)
    while time.perf_counter() < now + 0.08:
        await asyncio.sleep(0.01)
    assert len(told) == count


async def test_a_pacer_that_is_stopped_by_what_it_tells_gives_its_descriptor_back():
    before = set(Path("/proc/self/fd").iterdir())
    first = asyncio.Event()

    def due(_: list[float]) -> None:
        paced.stop()
        first.set()

    paced = pacer([0.0, time.perf_counter() + 60.0], due, lambda: None)
    paced.start()
    await asyncio.wait_for(first.wait(), 20)
    assert set(Path("/proc/self/fd").iterdir()) <= before


def test_arrivals_are_poisson():
    plan = LoadPlan(read_address("http://x"), (), OpenPace(100.0), warm_up_s=10.0)
    gaps = np.diff(arrivals(plan, 100.0, 0.0, 1000.0, 10.0))
    # Of an exponential distribution the deviation is the mean.
    np.testing.assert_allclose([gaps.mean(), gaps.std()], [0.01, 0.01], rtol=0.02)
    assert arrivals(plan, 100.0, 0.0, 1000.0, 10.0) == arrivals(plan, 100.0, 0.0, 1000.0, 10.0)


def test_so_many_arrivals_are_measured_as_are_wanted():
    plan = LoadPlan(read_address("http://x"), (), OpenPace(100.0), seconds=None, most_requests=50)
    moments = np.array(arrivals(plan, 100.0, 0.0, 1e9, 10.0))
    assert (moments >= 10).sum() == 50
    assert 800 < (moments < 10).sum() < 1200
