"""Model calls in company: what one ticket brings must not cost the others their answers."""

import asyncio

import numpy as np
import pytest

from service.batching.batcher import Batcher
from service.batching.health import InstanceHealth
from service.batching.ticket import Answer, Rows
from service.errors import DecodeError, ModelFailed, ServiceError
from tests.support.faulty import Hang, Run, ask, fail, running, until


class Company:
    """A model that is busy with a first call until company has gathered for the second."""

    def __init__(self, then: Run) -> None:
        self._then = then
        self.hang = Hang()

    def __call__(self, rows: Rows) -> Rows:
        if rows[0, 0] == 1000:
            self.hang(rows)
            return rows
        return self._then(rows)

    async def ask(self, batcher: Batcher, *tickets: tuple[float, ...]) -> list[Answer | BaseException]:
        first = asyncio.ensure_future(ask(batcher, 1000))
        await self.hang.begun()
        asking = [asyncio.ensure_future(ask(batcher, *values)) for values in tickets]
        for _ in range(3):
            await asyncio.sleep(0)
        self.hang.over.set()
        await first
        return await asyncio.gather(*asking, return_exceptions=True)


def square_root(rows: Rows) -> Rows:
    with np.errstate(invalid="ignore"):
        return np.sqrt(rows)


async def test_an_answer_that_is_no_number_fails_its_own_ticket_alone(caplog):
    model = Company(square_root)
    async with running(model) as batcher:
        outcomes = await model.ask(batcher, (4, 9), (16, -1), (25,))
        assert outcomes[0].rows.ravel().tolist() == [2, 3]
        assert isinstance(outcomes[1], ModelFailed)
        assert (outcomes[2].rows.item(), outcomes[2].batch_size) == (5, 5)
        assert batcher.statistics().failed_calls == 0
    assert "1 of 5 images" in caplog.text


async def test_calls_that_give_no_number_at_all_are_failures():
    async with running(lambda rows: rows * np.nan) as batcher:
        await fail(batcher, 3)
        health = await until(batcher, lambda health: not health.sound)
        assert "no number" in health.trouble


async def test_a_call_that_gives_the_wrong_number_of_answers_is_made_again_for_each_ticket_alone():
    model = Company(lambda rows: rows[: 1 if len(rows) < 4 else 2] * 3)
    async with running(model) as batcher:
        outcomes = await model.ask(batcher, (1,), (2,), (3, 4))
        assert [outcome.rows.item() for outcome in outcomes[:2]] == [3, 6]
        assert isinstance(outcomes[2], ModelFailed)
        assert "1 answers for 2" in str(outcomes[2])


async def test_a_batch_lies_in_its_instances_buffer_and_a_call_may_write_behind_its_rows():
    given: list[Rows] = []

    def allocate(shape: tuple[int, ...], dtype: np.dtype) -> Rows:
        given.append(np.zeros(shape, dtype))
        return given[-1]

    def scribble(rows: Rows) -> Rows:
        answers = rows * 3
        (memory,) = given
        if np.shares_memory(rows, memory):
            begin = (rows.ctypes.data - memory.ctypes.data) // memory.strides[0]
            memory[begin + len(rows) :] = -1
        if len(rows) > 2:
            raise RuntimeError("a call of several tickets fails")
        return answers

    model = Company(scribble)
    async with running(model, buffers=[allocate], max_size=6) as batcher:
        outcomes = await model.ask(batcher, (1,), (2, 3), (4,))
        assert [outcome.rows.ravel().tolist() for outcome in outcomes] == [[3], [6, 9], [12]]
        assert given[0].shape == (6, 1)


async def test_a_request_that_is_a_batch_by_itself_lies_in_the_buffer_too():
    """A GPU fetches images by itself only from there."""
    given: list[Rows] = []
    ran: list[bool] = []

    def allocate(shape: tuple[int, ...], dtype: np.dtype) -> Rows:
        given.append(np.zeros(shape, dtype))
        return given[-1]

    def run(rows: Rows) -> Rows:
        ran.append(rows.ctypes.data == given[0].ctypes.data)
        return rows * 3

    async with running(run, buffers=[allocate], max_size=6) as batcher:
        for values in ((1,), (1, 2, 3, 4, 5, 6)):
            assert (await ask(batcher, *values)).rows.ravel().tolist() == [3 * value for value in values]
    assert ran == [True, True]


@pytest.mark.parametrize("answers", [None, 3, "text", np.float32(1), [[1.0]]])
async def test_whatever_is_no_array_of_rows_is_a_failure(answers):
    async with running(lambda rows: answers) as batcher:
        await fail(batcher, 1)


async def test_memory_that_is_not_there_for_a_batch_is_there_for_each_ticket_alone():
    huge = np.broadcast_to(np.float32(1), (1, 2**44))  # takes no memory until it is joined with another

    model = Company(lambda rows: rows[:, :1] * 2)
    async with running(model) as batcher:
        first = asyncio.ensure_future(model.ask(batcher))
        tickets = [batcher.reserve(1) for _ in range(2)]
        for ticket in tickets:
            ticket.submit(huge)
        await first
        for ticket in tickets:
            with ticket:
                assert (await ticket.answer()).rows.item() == 2
        assert batcher.statistics().failed_calls == 1
        assert batcher.health() == InstanceHealth(1, 1)


async def test_a_batch_is_finished_once_by_the_most_that_any_of_its_tickets_asks_for():
    finished: list[tuple[list[float], int]] = []

    def finish(answers: Rows, best: int) -> list[str]:
        finished.append((answers[:, 0].tolist(), best))
        return [f"finished {value:g}" for value in answers[:, 0].tolist()]

    hang = Hang()
    async with running(hang_first(hang), finish=finish) as batcher:
        first = asyncio.ensure_future(ask(batcher, 1000))
        await hang.begun()
        others = [asyncio.ensure_future(ask(batcher, *values, best=len(values))) for values in ((1,), (2, 3), (4,))]
        for _ in range(3):
            await asyncio.sleep(0)
        hang.over.set()
        await first
        answers = await asyncio.gather(*others)
    assert finished == [([1000], 0), ([1, 2, 3, 4], 2)]
    assert [answer.rows for answer in answers] == [["finished 1"], ["finished 2", "finished 3"], ["finished 4"]]


def hang_first(hang: Hang) -> Run:
    def run(rows: Rows) -> Rows:
        if rows[0, 0] == 1000:
            hang(rows)
        return rows

    return run


class Made:
    """Rows that are made by whoever runs them: a value each, or an error."""

    kind = ((1,), np.dtype(np.float32))

    def __init__(self, *values: float, error: ServiceError | None = None) -> None:
        self._values = values
        self._error = error
        self.told: list[str] = []

    def __len__(self) -> int:
        return len(self._values)

    def make(self, rows: Rows) -> None:
        self.told.append("make")
        if self._error:
            raise self._error
        rows[:, 0] = self._values

    def forget(self) -> None:
        self.told.append("forget")


async def asked(batcher: Batcher, made: Made) -> Answer:
    with batcher.reserve(len(made)) as ticket:
        ticket.submit(made)
        return await ticket.answer()


async def test_rows_are_made_by_the_instance_that_takes_them_and_what_fails_costs_its_own_ticket_alone():
    hang = Hang()
    async with running(hang_first(hang)) as batcher:
        first = asyncio.ensure_future(ask(batcher, 1000))
        await hang.begun()
        made = [Made(1, 2), Made(0, error=DecodeError("torn")), Made(3), Made(4)]
        tasks = [asyncio.ensure_future(asked(batcher, each)) for each in made]
        others = asyncio.ensure_future(ask(batcher, 5))
        await asyncio.sleep(0)
        tasks[2].cancel()  # before it is taken
        await asyncio.sleep(0)
        hang.over.set()
        await first
        one, torn, left, last = await asyncio.gather(*tasks, return_exceptions=True)
        assert one.rows.ravel().tolist() == [1, 2] and last.rows.ravel().tolist() == [4]
        assert (await others).rows.item() == 5
        assert one.batch_size == 4 and one.made_s > 0 and one.queue_s > 0
        assert isinstance(torn, DecodeError) and isinstance(left, asyncio.CancelledError)
        assert [each.told for each in made] == [["make"], ["make"], ["forget"], ["make"]]
        assert batcher.statistics().waiting == 0


async def test_rows_that_were_made_are_kept_for_the_second_try():
    model = Company(fail_on_seven)
    async with running(model) as batcher:
        first = asyncio.ensure_future(ask(batcher, 1000))
        await model.hang.begun()
        made = [Made(1, 2), Made(7), Made(3)]
        tasks = [asyncio.ensure_future(asked(batcher, each)) for each in made]
        await asyncio.sleep(0)
        model.hang.over.set()
        await first
        one, failed, last = await asyncio.gather(*tasks, return_exceptions=True)
    assert one.rows.ravel().tolist() == [1, 2] and last.rows.ravel().tolist() == [3]
    assert isinstance(failed, ModelFailed)
    assert [each.told for each in made] == [["make"]] * 3


def fail_on_seven(rows: Rows) -> Rows:
    if 7 in rows:
        raise RuntimeError("seven")
    return rows


async def test_rows_for_which_there_is_no_memory_fail_their_own_ticket():
    huge = Made(1)
    huge.kind = ((2**50,), np.dtype(np.float32))
    async with running(lambda rows: rows) as batcher:
        with pytest.raises(ModelFailed, match="MemoryError"):
            await asked(batcher, huge)
        assert (await asked(batcher, Made(2))).rows.item() == 2
    assert huge.told == ["forget"]
