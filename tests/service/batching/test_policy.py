"""The rules of a queue: windows, room, priorities."""

import asyncio

import pytest

from service.batching.policy import BatchPolicy
from service.errors import DeadlineExceeded, StartError
from tests.support.batching import PATIENCE_S, Model, ask, asking, running, settle_tasks


async def test_a_window_gathers_company_for_an_idle_model_and_closes_early_when_the_batch_is_full():
    model = Model()
    async with running(model, max_size=3, window_ms=PATIENCE_S * 1000) as batcher:
        await asyncio.gather(*(ask(batcher, n) for n in range(3)))
        assert model.calls == [[0, 1, 2]]


async def test_a_window_closes_by_itself():
    model = Model()
    async with running(model, window_ms=1) as batcher:
        async with asyncio.timeout(PATIENCE_S):
            assert (await ask(batcher, 3)).rows.item() == 6


async def test_the_more_urgent_run_first_and_equals_in_the_order_they_came():
    model = Model(gate_open=False)
    async with running(model, max_size=2, priority_levels=3, default_priority=2) as batcher:
        first = asking(batcher, 0)
        await model.busy()
        priorities = [3, 0, 1, 2, 3, 1, 99]
        tasks = [asking(batcher, number, priority=level) for number, level in enumerate(priorities, 1)]
        await settle_tasks()
        model.gate.set()
        await asyncio.gather(first, *tasks)
        assert model.calls == [[0], [3, 6], [2, 4], [7, 1], [5]]


async def test_without_levels_a_priority_changes_nothing():
    model = Model(gate_open=False)
    async with running(model, max_size=1) as batcher:
        first = asking(batcher, 0)
        await model.busy()
        tasks = [asking(batcher, 1, priority=9), asking(batcher, 2, priority=1)]
        await settle_tasks()
        model.gate.set()
        await asyncio.gather(first, *tasks)
        assert model.calls == [[0], [1], [2]]


async def test_the_least_urgent_do_not_wait_beyond_their_deadline():
    model = Model(gate_open=False)
    async with running(model, max_size=1, priority_levels=2) as batcher:
        first = asking(batcher, 0)
        await model.busy()
        urgent = [asking(batcher, n, priority=1) for n in range(1, 4)]
        with pytest.raises(DeadlineExceeded, match="within 10 ms"):
            await ask(batcher, 9, priority=2, deadline_s=0.01)
        model.gate.set()
        await asyncio.gather(first, *urgent)
        assert model.calls == [[0], [1], [2], [3]]


@pytest.mark.parametrize(("levels", "default"), [(0, 1), (2, 0), (2, 3)])
def test_a_default_priority_that_is_no_level_is_refused(levels, default):
    with pytest.raises(StartError, match="priority"):
        BatchPolicy(priority_levels=levels, default_priority=default)


def test_a_queue_that_cannot_hold_a_batch_is_refused():
    with pytest.raises(StartError, match="queue"):
        BatchPolicy(max_size=8, max_queue=4)
