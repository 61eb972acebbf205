"""Tickets: deadlines, callers who leave, answers that fail, and what stops them."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.batching.ticket import Answer
from service.errors import DeadlineExceeded, Draining
from tests.support.batching import PATIENCE_S, Model, ask, asking, running, settle_tasks


async def test_a_deadline_settles_a_ticket_that_waits_and_its_rows_are_never_run():
    model = Model(gate_open=False)
    async with running(model) as batcher:
        first = asking(batcher, 0)
        await model.busy()
        with pytest.raises(DeadlineExceeded):
            await ask(batcher, 1, deadline_s=0.01)
        model.gate.set()
        await first
        await ask(batcher, 2)
        assert model.calls == [[0], [2]]
        assert batcher.statistics().expired == 1


async def test_a_deadline_settles_a_ticket_that_runs():
    model = Model(gate_open=False)
    async with running(model) as batcher:
        with pytest.raises(DeadlineExceeded):
            await ask(batcher, 1, deadline_s=0.01)


async def test_a_caller_who_leaves_frees_its_seat_and_disturbs_nobody():
    model = Model(gate_open=False)
    async with running(model) as batcher:
        first = asking(batcher, 0)
        await model.busy()
        leaving, staying = asking(batcher, 1), asking(batcher, 2)
        await settle_tasks()
        leaving.cancel()
        await settle_tasks()
        assert batcher.statistics().waiting == 1
        model.gate.set()
        assert (await staying).rows.item() == 4
        await first
        assert model.calls == [[0], [2]]
        assert batcher.statistics().cancelled == 1


async def test_a_caller_who_leaves_during_the_call_disturbs_nobody():
    model = Model(gate_open=False)
    async with running(model, max_size=2, window_ms=PATIENCE_S * 1000) as batcher:
        leaving, staying = asking(batcher, 1), asking(batcher, 2)
        await model.busy()
        leaving.cancel()
        model.gate.set()
        assert (await staying).rows.item() == 4


async def test_rows_that_come_after_the_caller_left_are_dropped():
    model = Model()
    async with running(model) as batcher:
        with batcher.reserve(1) as ticket:
            pass
        ticket.submit(np.ones((1, 1)))
        await ask(batcher, 5)
        assert model.calls == [[5]]


async def test_an_error_from_whoever_makes_the_rows_reaches_the_caller():
    async with running(Model()) as batcher:
        with batcher.reserve(1) as ticket:
            await asyncio.to_thread(ticket.fail, ValueError("no rows"))
            with pytest.raises(ValueError, match="no rows"):
                await ticket.answer()
        assert batcher.statistics().waiting == 0


async def test_stopping_settles_what_waits():
    model = Model(gate_open=False)
    async with running(model, max_size=1) as batcher:
        running_one = asking(batcher, 0)
        await model.busy()
        waiting = asking(batcher, 1)
        await settle_tasks()
        batcher.stop()
        with pytest.raises(Draining):
            await waiting
        model.gate.set()
        assert (await running_one).rows.item() == 0


async def test_stopping_settles_a_ticket_whose_rows_are_still_being_made():
    async with running(Model()) as batcher:
        with batcher.reserve(1) as ticket:
            batcher.stop()
            with pytest.raises(Draining):
                await ticket.answer()
            ticket.submit(np.ones((1, 1)))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=30),
    max_size=st.integers(5, 9),
    instances=st.integers(1, 3),
    leavers=st.sets(st.integers(0, 29)),
    window_ms=st.sampled_from([0.0, 0.5]),
)
async def test_every_ticket_is_settled_once_with_its_own_rows_in_order(
    sizes: Sequence[int], max_size: int, instances: int, leavers: set[int], window_ms: float
):
    models = [Model(gate_open=False) for _ in range(instances)]
    async with running(*models, max_size=max_size, max_queue=200, window_ms=window_ms) as batcher:
        starts = np.cumsum([0, *sizes]).tolist()
        tasks = [asking(batcher, *range(start, start + size)) for start, size in zip(starts, sizes, strict=False)]
        await settle_tasks()
        gone = {index for index in leavers if index < len(tasks) and tasks[index].cancel()}
        for model in models:
            model.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for index, (outcome, start, size) in enumerate(zip(outcomes, starts, sizes, strict=False)):
            if index in gone:
                assert isinstance(outcome, asyncio.CancelledError)
            else:
                assert isinstance(outcome, Answer)
                assert outcome.rows[:, 0].tolist() == [2 * value for value in range(start, start + size)]
        calls = [call for model in models for call in model.calls]
        assert all(len(call) <= max_size for call in calls)
        assert all(call == sorted(call) for call in calls)
        ran = sorted(value for call in calls for value in call)
        assert len(ran) == len(set(ran))
        assert batcher.statistics().waiting == 0
        if instances == 1:
            in_order = [value for call in models[0].calls for value in call]
            assert in_order == sorted(in_order)
