"""What a model call may do to its instance, its callers and the health of its version: everything but go unnoticed."""

import asyncio
import logging
import threading

import pytest

from service.batching.health import CallLimits, InstanceHealth
from service.errors import DeadlineExceeded, DeviceLost, Draining, ModelFailed, NotReady
from tests.support.faulty import (
    Faulty,
    Hang,
    always,
    ask,
    fail,
    running,
    traces,
    until,
    where_negative,
)


async def test_a_failure_is_logged_with_its_trace_and_the_caller_is_told_its_kind(caplog):
    async with running(Faulty(always(RuntimeError("the device says no")))) as batcher:
        with pytest.raises(ModelFailed, match="RuntimeError"):
            await ask(batcher, 1)
    (record,) = traces(caplog)
    assert "1 images failed" in record.getMessage()
    assert "the device says no" in str(record.exc_info[1])


async def test_a_flood_of_failures_is_one_line(caplog):
    limits = CallLimits(failures=1000, log_seconds=3600)
    async with running(Faulty(always(RuntimeError())), limits=limits) as batcher:
        await fail(batcher, 50)
    assert len(traces(caplog)) == 1


async def test_an_instance_that_fails_in_a_row_is_not_sound_until_it_answers_its_sample_again():
    model = Faulty(always(RuntimeError("no")))
    async with running(model) as batcher:
        await fail(batcher, 2)
        assert batcher.health() == InstanceHealth(1, 1)
        await fail(batcher, 1)
        health = await until(batcher, lambda health: not health.sound)
        assert health.alive
        assert "RuntimeError" in health.trouble
        assert batcher.statistics().unsound_instances == 1
        model.fault = None
        await until(batcher, lambda health: health == InstanceHealth(1, 1))
        assert (await ask(batcher, 4)).rows.item() == 8


async def test_images_that_no_model_can_bear_do_not_take_it_out_of_service():
    model = Faulty(where_negative(RuntimeError("no")))
    async with running(model) as batcher:
        await fail(batcher, 10)
        assert (await ask(batcher, 4)).rows.item() == 8
        assert batcher.health() == InstanceHealth(1, 1)
        assert model.calls.count([0]) == 3  # after every third failure it answered its sample


async def test_an_instance_that_gives_nothing_but_errors_leaves_the_work_to_the_other():
    broken, sound = Faulty(always(RuntimeError())), Faulty()
    async with running(broken, sound, max_size=1) as batcher:
        while batcher.health().sound == 2:
            await asyncio.gather(*(ask(batcher, 1) for _ in range(20)), return_exceptions=True)
        answers = await asyncio.gather(*(ask(batcher, number) for number in range(50)))
        assert [answer.rows.item() for answer in answers] == [2 * number for number in range(50)]
        assert (batcher.health().sound, batcher.health().alive) == (1, True)


async def test_a_call_that_hangs_is_seen_and_a_late_return_is_too():
    hang = Hang()
    model = Faulty(hang)
    async with running(model, limits=CallLimits(call_seconds=0.02)) as batcher:
        while not hang.entered.is_set():  # on a busy machine it may be out of time before its call begins
            with pytest.raises(DeadlineExceeded):
                await ask(batcher, 1, deadline_s=0.01)
        health = await until(batcher, lambda health: not health.sound)
        assert "has not returned within 0.02 s" in health.trouble
        assert not (await until(batcher, lambda health: not health.alive)).sound
        hang.over.set()
        await until(batcher, lambda health: health == InstanceHealth(1, 1))
        assert (await ask(batcher, 1)).rows.item() == 2


async def test_draining_does_not_wait_for_a_call_that_hangs():
    hang = Hang()
    async with running(Faulty(hang), deadline_ms=50, max_size=1) as batcher:
        asking = []
        while not hang.entered.is_set():
            asking += [asyncio.ensure_future(ask(batcher, number)) for number in range(3)]
            await asyncio.sleep(0.01)
        await batcher.drain()
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {DeadlineExceeded}
        hang.over.set()


async def test_stopping_answers_those_in_a_call_that_hangs_too():
    hang = Hang()
    async with running(Faulty(hang), deadline_ms=3_600_000) as batcher:
        asking = asyncio.ensure_future(ask(batcher, 1))
        await hang.begun()
        batcher.stop()
        with pytest.raises(Draining):
            await asking
        hang.over.set()


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt()])
async def test_a_thread_that_ends_says_so_and_nobody_waits_for_it(caplog, error):
    async with running(Faulty(always(error)), max_size=1, deadline_ms=3_600_000) as batcher:
        outcomes = await asyncio.gather(*(ask(batcher, n) for n in range(3)), return_exceptions=True)
        assert isinstance(outcomes[0], ModelFailed)
        assert {type(outcome) for outcome in outcomes[1:]} == {NotReady}
        assert (batcher.health().sound, batcher.health().alive) == (0, False)
        with pytest.raises(NotReady):
            batcher.reserve(1)
    assert any(record.levelno == logging.CRITICAL for record in traces(caplog))


async def test_a_device_that_is_lost_is_beyond_help_and_is_not_asked_again():
    lost, sound = Faulty(where_negative(DeviceLost("CUDA failure 700"))), Faulty()
    async with running(lost, deadline_ms=3_600_000) as batcher:
        with pytest.raises(DeviceLost):
            await ask(batcher, -1, -2)
        await until(batcher, lambda health: not health.alive)
        assert "700" in batcher.health().trouble
        assert lost.calls == [[-1, -2]]
    async with running(lost, sound, max_size=1) as batcher:
        while batcher.health().alive:
            await asyncio.gather(*(ask(batcher, -1) for _ in range(9)), return_exceptions=True)
        assert (await ask(batcher, -3)).rows.item() == -6
        assert batcher.health().sound == 1


async def test_whoever_has_an_answer_finds_its_call_counted():
    told, over = threading.Event(), threading.Event()

    def observe(images: int, seconds: float) -> None:
        told.set()
        over.wait()

    async with running(Faulty(), observe=observe) as batcher:
        asking = asyncio.ensure_future(ask(batcher, 1))
        await asyncio.to_thread(told.wait)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not asking.done()
        over.set()
        assert (await asking).rows.item() == 2


async def test_an_observer_that_raises_disturbs_nobody(caplog):
    def observe(images: int, seconds: float) -> None:
        raise ValueError(f"{images} images in {seconds} s")

    async with running(Faulty(), observe=observe) as batcher:
        for number in range(5):
            assert (await ask(batcher, number)).rows.item() == 2 * number
        assert batcher.health() == InstanceHealth(1, 1)
    assert all("observed" in record.getMessage() for record in traces(caplog))
    assert traces(caplog)
