"""Many callers, one model call: what runs together, and in which order."""

import asyncio
import threading

import numpy as np
import pytest

from service.batching.batcher import Batcher
from service.batching.policy import BatchPolicy
from service.batching.ticket import Answer, Rows
from service.errors import Draining, ModelFailed, Overloaded, TooManyImages
from tests.support.batching import SAMPLE, Model, ask, asking, running, settle_tasks


async def test_an_idle_model_takes_a_ticket_at_once():
    async with running(Model(), window_ms=0) as batcher:
        answer = await ask(batcher, 1, 2)
        assert answer.rows.tolist() == [[2], [4]]
        assert answer.batch_size == 2


async def test_company_gathers_while_the_model_is_busy():
    model = Model(gate_open=False)
    async with running(model, max_size=4) as batcher:
        first = asking(batcher, 0)
        await model.busy()
        others = [asking(batcher, n) for n in range(1, 6)]
        await settle_tasks()
        model.gate.set()
        answers = await asyncio.gather(first, *others)
        assert [answer.rows.item() for answer in answers] == [0, 2, 4, 6, 8, 10]
        assert model.calls == [[0], [1, 2, 3, 4], [5]]


async def test_a_ticket_is_never_split():
    model = Model(gate_open=False)
    async with running(model, max_size=4) as batcher:
        first = asking(batcher, 0)
        await model.busy()
        others = [asking(batcher, 1, 2, 3), asking(batcher, 4, 5), asking(batcher, 6)]
        await settle_tasks()
        model.gate.set()
        await asyncio.gather(first, *others)
        assert model.calls == [[0], [1, 2, 3], [4, 5, 6]]


async def test_rows_of_another_shape_travel_in_another_call():
    model = Model(gate_open=False)
    async with running(model) as batcher:
        first = asking(batcher, 0)
        await model.busy()
        with batcher.reserve(1) as narrow, batcher.reserve(1) as wide:
            narrow.submit(np.ones((1, 1)))
            wide.submit(np.ones((1, 3)))
            model.gate.set()
            assert (await narrow.answer()).rows.shape == (1, 1)
            assert (await wide.answer()).rows.shape == (1, 3)
        await first


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back():
    model = Model(gate_open=False)
    async with running(model, max_size=2, max_queue=3) as batcher:
        first = asking(batcher, 0)
        await model.busy()
        waiting = [asking(batcher, 1, 2), asking(batcher, 3)]
        await settle_tasks()
        with pytest.raises(Overloaded) as refusal:
            batcher.reserve(1)
        assert refusal.value.retry_after_s >= 1
        assert batcher.statistics().rejected == 1
        model.gate.set()
        await asyncio.gather(first, *waiting)
        assert (await ask(batcher, 4)).rows.item() == 8


async def test_a_seat_is_taken_before_its_rows_are_there():
    async with running(Model(), max_size=2, max_queue=2) as batcher:
        with batcher.reserve(2), pytest.raises(Overloaded):
            batcher.reserve(1)
        assert batcher.statistics().waiting == 0


async def test_a_ticket_larger_than_the_largest_batch_is_refused():
    async with running(Model(), max_size=4) as batcher:
        with pytest.raises(TooManyImages, match="5 images"):
            batcher.reserve(5)


async def test_a_failing_call_is_made_again_for_each_ticket_alone_so_that_one_image_costs_nobody_else_the_answer():
    model = Model(gate_open=False)
    async with running(model, max_size=2) as batcher:
        first = asking(batcher, 0)
        await model.busy()
        bad, mate, good = asking(batcher, float("nan")), asking(batcher, 1), asking(batcher, 2)
        await settle_tasks()
        model.gate.set()
        outcomes = await asyncio.gather(first, bad, mate, good, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Answer, ModelFailed, Answer, Answer]
        assert [outcomes[2].rows.item(), outcomes[2].batch_size] == [2, 1]
        assert str(model.calls) == "[[0.0], [nan, 1.0], [1.0], [nan], [2.0]]"
        assert batcher.statistics().failed_calls == 2


async def test_an_answer_of_another_length_is_a_failure():
    batcher = Batcher([lambda rows: rows[:0]], SAMPLE, BatchPolicy())
    batcher.start()
    with pytest.raises(ModelFailed, match="0 answers for 1"):
        await ask(batcher, 1)
    await batcher.drain()


async def test_draining_answers_what_was_admitted_and_refuses_the_rest():
    model = Model(gate_open=False)
    async with running(model) as batcher:
        admitted = [asking(batcher, 0), asking(batcher, 1)]
        await model.busy()
        draining = asyncio.ensure_future(batcher.drain())
        await settle_tasks()
        with pytest.raises(Draining):
            batcher.reserve(1)
        assert not draining.done()
        model.gate.set()
        await draining
        assert [(await task).rows.item() for task in admitted] == [0, 2]


async def test_several_instances_run_side_by_side():
    models = [Model(gate_open=False), Model(gate_open=False)]
    async with running(*models, max_size=1) as batcher:
        tasks = [asking(batcher, 1), asking(batcher, 2)]
        for model in models:
            await model.busy()
        for model in models:
            model.gate.set()
        assert [(await task).rows.item() for task in tasks] == [2, 4]


def slow(rows: Rows) -> Rows:
    """A model that takes 20 ms an image."""
    threading.Event().wait(0.02 * len(rows))
    return rows * 2


async def test_a_deadline_is_kept_that_all_the_company_there_is_would_miss():
    batcher = Batcher([slow], SAMPLE, BatchPolicy(max_size=64))
    batcher.start()
    for size in (1, 3):  # so that it knows what a call takes
        await ask(batcher, *range(size))
    first, urgent = asking(batcher, 0), asking(batcher, 1, deadline_s=0.7)
    others = [asking(batcher, n) for n in range(60)]
    answer = await urgent
    assert 1 < answer.batch_size <= 35
    for task in (first, *others):
        task.cancel()
    await asyncio.gather(first, *others, return_exceptions=True)
    await batcher.drain()
