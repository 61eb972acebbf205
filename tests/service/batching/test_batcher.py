import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.batching.batcher import Batcher
from service.batching.policy import BatchPolicy
from service.batching.ticket import Answer, Rows
from service.errors import DeadlineExceeded, Draining, ModelFailed, Overloaded, StartError, TooManyImages

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


def test_an_idle_model_takes_a_ticket_at_once():
    async def story() -> None:
        async with running(Model(), window_ms=0) as batcher:
            answer = await ask(batcher, 1, 2)
            assert answer.rows.tolist() == [[2], [4]]
            assert answer.batch_size == 2

    asyncio.run(story())


def test_company_gathers_while_the_model_is_busy():
    async def story() -> None:
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

    asyncio.run(story())


def test_a_window_gathers_company_for_an_idle_model_and_closes_early_when_the_batch_is_full():
    async def story() -> None:
        model = Model()
        async with running(model, max_size=3, window_ms=PATIENCE_S * 1000) as batcher:
            await asyncio.gather(*(ask(batcher, n) for n in range(3)))
            assert model.calls == [[0, 1, 2]]

    asyncio.run(story())


def test_a_window_closes_by_itself():
    async def story() -> None:
        model = Model()
        async with running(model, window_ms=1) as batcher:
            async with asyncio.timeout(PATIENCE_S):
                assert (await ask(batcher, 3)).rows.item() == 6

    asyncio.run(story())


def test_a_ticket_is_never_split():
    async def story() -> None:
        model = Model(gate_open=False)
        async with running(model, max_size=4) as batcher:
            first = asking(batcher, 0)
            await model.busy()
            others = [asking(batcher, 1, 2, 3), asking(batcher, 4, 5), asking(batcher, 6)]
            await settle_tasks()
            model.gate.set()
            await asyncio.gather(first, *others)
            assert model.calls == [[0], [1, 2, 3], [4, 5, 6]]

    asyncio.run(story())


def test_rows_of_another_shape_travel_in_another_call():
    async def story() -> None:
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

    asyncio.run(story())


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back():
    async def story() -> None:
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

    asyncio.run(story())


def test_a_seat_is_taken_before_its_rows_are_there():
    async def story() -> None:
        async with running(Model(), max_size=2, max_queue=2) as batcher:
            with batcher.reserve(2), pytest.raises(Overloaded):
                batcher.reserve(1)
            assert batcher.statistics().waiting == 0

    asyncio.run(story())


def test_a_ticket_larger_than_the_largest_batch_is_refused():
    async def story() -> None:
        async with running(Model(), max_size=4) as batcher:
            with pytest.raises(TooManyImages, match="5 images"):
                batcher.reserve(5)

    asyncio.run(story())


def test_a_deadline_settles_a_ticket_that_waits_and_its_rows_are_never_run():
    async def story() -> None:
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

    asyncio.run(story())


def test_a_deadline_settles_a_ticket_that_runs():
    async def story() -> None:
        model = Model(gate_open=False)
        async with running(model) as batcher:
            with pytest.raises(DeadlineExceeded):
                await ask(batcher, 1, deadline_s=0.01)

    asyncio.run(story())


def test_a_caller_who_leaves_frees_its_seat_and_disturbs_nobody():
    async def story() -> None:
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

    asyncio.run(story())


def test_a_caller_who_leaves_during_the_call_disturbs_nobody():
    async def story() -> None:
        model = Model(gate_open=False)
        async with running(model, max_size=2, window_ms=PATIENCE_S * 1000) as batcher:
            leaving, staying = asking(batcher, 1), asking(batcher, 2)
            await model.busy()
            leaving.cancel()
            model.gate.set()
            assert (await staying).rows.item() == 4

    asyncio.run(story())


def test_rows_that_come_after_the_caller_left_are_dropped():
    async def story() -> None:
        model = Model()
        async with running(model) as batcher:
            with batcher.reserve(1) as ticket:
                pass
            ticket.submit(np.ones((1, 1)))
            await ask(batcher, 5)
            assert model.calls == [[5]]

    asyncio.run(story())


def test_a_failing_call_is_made_again_for_each_ticket_alone_so_that_one_image_costs_nobody_else_the_answer():
    async def story() -> None:
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
            assert str(model.calls) == "[[0.0], [nan, 1.0], [nan], [1.0], [2.0]]"
            assert batcher.statistics().failed_calls == 2

    asyncio.run(story())


def test_an_answer_of_another_length_is_a_failure():
    async def story() -> None:
        batcher = Batcher([lambda rows: rows[:0]], SAMPLE, BatchPolicy())
        batcher.start()
        with pytest.raises(ModelFailed, match="0 answers for 1"):
            await ask(batcher, 1)
        await batcher.drain()

    asyncio.run(story())


def test_an_error_from_whoever_makes_the_rows_reaches_the_caller():
    async def story() -> None:
        async with running(Model()) as batcher:
            with batcher.reserve(1) as ticket:
                await asyncio.to_thread(ticket.fail, ValueError("no rows"))
                with pytest.raises(ValueError, match="no rows"):
                    await ticket.answer()
            assert batcher.statistics().waiting == 0

    asyncio.run(story())


def test_draining_answers_what_was_admitted_and_refuses_the_rest():
    async def story() -> None:
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

    asyncio.run(story())


def test_stopping_settles_what_waits():
    async def story() -> None:
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

    asyncio.run(story())


def test_stopping_settles_a_ticket_whose_rows_are_still_being_made():
    async def story() -> None:
        async with running(Model()) as batcher:
            with batcher.reserve(1) as ticket:
                batcher.stop()
                with pytest.raises(Draining):
                    await ticket.answer()
                ticket.submit(np.ones((1, 1)))

    asyncio.run(story())


def test_several_instances_run_side_by_side():
    async def story() -> None:
        models = [Model(gate_open=False), Model(gate_open=False)]
        async with running(*models, max_size=1) as batcher:
            tasks = [asking(batcher, 1), asking(batcher, 2)]
            for model in models:
                await model.busy()
            for model in models:
                model.gate.set()
            assert [(await task).rows.item() for task in tasks] == [2, 4]

    asyncio.run(story())


def test_the_more_urgent_run_first_and_equals_in_the_order_they_came():
    async def story() -> None:
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

    asyncio.run(story())


def test_without_levels_a_priority_changes_nothing():
    async def story() -> None:
        model = Model(gate_open=False)
        async with running(model, max_size=1) as batcher:
            first = asking(batcher, 0)
            await model.busy()
            tasks = [asking(batcher, 1, priority=9), asking(batcher, 2, priority=1)]
            await settle_tasks()
            model.gate.set()
            await asyncio.gather(first, *tasks)
            assert model.calls == [[0], [1], [2]]

    asyncio.run(story())


def test_the_least_urgent_do_not_wait_beyond_their_deadline():
    async def story() -> None:
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

    asyncio.run(story())


@pytest.mark.parametrize(("levels", "default"), [(0, 1), (2, 0), (2, 3)])
def test_a_default_priority_that_is_no_level_is_refused(levels, default):
    with pytest.raises(StartError, match="priority"):
        BatchPolicy(priority_levels=levels, default_priority=default)


def test_a_queue_that_cannot_hold_a_batch_is_refused():
    with pytest.raises(StartError, match="queue"):
        BatchPolicy(max_size=8, max_queue=4)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=30),
    max_size=st.integers(5, 9),
    instances=st.integers(1, 3),
    leavers=st.sets(st.integers(0, 29)),
    window_ms=st.sampled_from([0.0, 0.5]),
)
def test_every_ticket_is_settled_once_with_its_own_rows_in_order(
    sizes: Sequence[int], max_size: int, instances: int, leavers: set[int], window_ms: float
):
    async def story() -> None:
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

    asyncio.run(story())
