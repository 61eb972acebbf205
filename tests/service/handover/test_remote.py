"""Front ends and the owner of their models, beyond what the door promises of every engine."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.errors import DeadlineExceeded, NotReady, Overloaded, TooManyImages
from tests.support.images import plain
from tests.support.owned import COLOURS, ask, held, owned, settles, until, waiting

pytestmark = pytest.mark.timeout(60)
LONG = {"window_ms": 600_000, "max_batch": 4}  # whoever comes waits for three others
LARGE = (200, 200)  # an image that is decoded in the pool


async def test_one_batch_is_of_all_front_ends_and_everybody_gets_their_own_answer(repository: Path) -> None:
    async with owned(repository, **LONG) as house:
        one, other = (front.engine for front in house.fronts)
        sizes = await asyncio.gather(
            *(ask(engine, colour) for engine, colour in zip([one, other] * 2, [*COLOURS, "red"], strict=True))
        )
        assert sizes == [4] * 4
        for engine in (one, other):
            await engine.gather()
            assert engine.statistics()["colours", 1].images == 4
            assert engine.figures()["colours", 1].batches[4].count == 1


@pytest.mark.parametrize("size", [(8, 8), LARGE])
async def test_small_and_large_images_and_rows_are_answered_alike(repository: Path, size: tuple[int, int]) -> None:
    async with owned(repository, 1) as house:
        with house.fronts[0].engine.visit(None, None) as visit:
            ranked, times = await visit.submit([plain(colour, size) for colour in COLOURS], best=1)
            assert ranked.logits.argmax(axis=1).tolist() == [0, 1, 2] == [best[0] for best in ranked.indices]
            assert times.decode_s > 0
            rows = np.zeros((64, 8, 8, 3), np.uint8)
            rows[..., 1] = 255
            with pytest.raises(TooManyImages):
                await visit.submit_rows(rows)
            ranked, _ = await visit.submit_rows(rows[:32])
            assert (ranked.logits.argmax(axis=1) == 1).all()


@pytest.mark.parametrize("size", [(8, 8), LARGE])
async def test_a_caller_who_leaves_gives_the_slot_back(repository: Path, size: tuple[int, int]) -> None:
    async with owned(repository, 1, **LONG) as house:
        engine = house.fronts[0].engine
        with engine.visit(None, None) as visit:
            task = asyncio.ensure_future(visit.submit([plain("red", size)]))
            await until(lambda: waiting(house) == 1)
            task.cancel()
            await until(lambda: waiting(house) == 0)
        await until(lambda: held(house.fronts[0]) == 0)
        await engine.gather()
        assert engine.statistics()["colours", 1].cancelled == 1
        assert sorted(await asyncio.gather(*(ask(engine) for _ in range(4)))) == [4] * 4


async def test_without_a_free_slot_a_request_is_refused_at_once_and_let_in_when_one_is_free(repository: Path) -> None:
    """Of 8 that may wait and 4 in a call each of two front ends has 6."""
    async with owned(repository, 2, max_queue=8, **LONG) as house:
        engine = house.fronts[0].engine
        tasks = [asyncio.ensure_future(ask(engine)) for _ in range(3)]
        await until(lambda: waiting(house) == 3)
        with engine.visit(None, None) as visit:
            refusal = await settles(visit.submit([plain()] * 4))
            assert isinstance(refusal, Overloaded)
            assert refusal.retry_after_s and refusal.retry_after_s >= 1
        assert await ask(house.fronts[1].engine) == 4  # the other's slots are its own
        assert await asyncio.gather(*tasks) == [4] * 3
        await engine.gather()
        assert engine.statistics()["colours", 1].rejected == 1
        assert await asyncio.gather(*(ask(engine) for _ in range(4))) == [4] * 4


async def test_the_queue_of_the_owner_is_bounded_for_all_front_ends_together(repository: Path) -> None:
    async with owned(repository, 4, max_queue=4, **LONG) as house:
        tasks = [asyncio.ensure_future(ask(front.engine, timeout_s=600)) for front in house.fronts[:3]]
        await until(lambda: waiting(house) == 3)
        with house.fronts[3].engine.visit(None, None) as visit:
            refusal = await settles(visit.submit([plain()] * 2))
        assert isinstance(refusal, Overloaded) and refusal.retry_after_s
        await ask(house.fronts[3].engine)
        await asyncio.gather(*tasks)


async def test_a_request_of_more_than_all_slots_is_refused_and_does_not_wait(
    publish: Callable[..., Path], tmp_path: Path
) -> None:
    publish(side=256)
    async with owned(tmp_path / "models", 1, slot_bytes=2**20) as house:
        with house.fronts[0].engine.visit(None, None) as visit:
            refusal = await settles(visit.submit_rows(np.zeros((6, 256, 256, 3), np.uint8)))
            assert isinstance(refusal, TooManyImages) and "slot_bytes" in refusal.message
            ranked, _ = await visit.submit_rows(np.zeros((5, 256, 256, 3), np.uint8))
            assert len(ranked) == 5


async def test_memory_that_is_lent_is_a_refusal_until_it_is_free(publish: Callable[..., Path], tmp_path: Path) -> None:
    publish(side=256)
    async with owned(tmp_path / "models", 1, slot_bytes=2**20, **LONG) as house:
        engine = house.fronts[0].engine
        rows = np.zeros((3, 256, 256, 3), np.uint8)
        with engine.visit(None, None) as visit:
            task = asyncio.ensure_future(visit.submit_rows(rows))
            await until(lambda: waiting(house) == 3)
            refusal = await settles(visit.submit_rows(rows))
            assert isinstance(refusal, Overloaded) and "slot" in refusal.message
            await visit.submit_rows(rows[:1])
            assert len((await task)[0]) == 3
            answers = await asyncio.gather(visit.submit_rows(rows), visit.submit_rows(rows[:1]))
            assert [len(ranked) for ranked, _ in answers] == [3, 1]


async def test_a_deadline_is_kept_by_the_owner_counted_once_and_told_in_the_callers_words(repository: Path) -> None:
    async with owned(repository, 1, **LONG) as house:
        engine = house.fronts[0].engine
        refusal = await settles(ask(engine, timeout_s=0.05))
        assert isinstance(refusal, DeadlineExceeded) and refusal.message == "no answer within 50 ms"
        await engine.gather()
        assert engine.statistics()["colours", 1].expired == 1
        assert engine.statistics()["colours", 1].waiting == 0


async def test_a_request_keeps_the_version_that_it_came_for_when_another_size_takes_its_place(
    repository: Path, publish: Callable[..., Path]
) -> None:
    async with owned(repository, 2, model_control="explicit", load_models="*", versions="latest") as house:
        engine = house.fronts[0].engine
        with engine.visit(None, None) as old:
            publish(side=16)
            await house.fronts[1].engine.load_model("colours")
            assert old.facts.version == 1
            for front in house.fronts:  # every front end serves the new one when the load is answered
                with front.engine.visit(None, None) as visit:
                    assert visit.facts.version == 2
                    ranked, _ = await visit.submit_rows(np.full((2, 16, 16, 3), (0, 255, 0), np.uint8))
                    assert (ranked.logits.argmax(axis=1) == 1).all()
            ranked, answered = await old.submit([plain("blue"), plain("red", LARGE)])
            assert (ranked.logits.argmax(axis=1).tolist(), answered.version) == ([2, 0], 1)
            assert ("colours", 1) not in house.models.served()
            assert house.models.served()["colours", 2].facts.version == 2
        unloading = asyncio.ensure_future(engine.unload_model("colours"))
        async with asyncio.timeout(30):
            await unloading  # the old one has nobody left either
        with pytest.raises(NotReady), engine.visit(None, None):
            pass


async def test_an_unload_waits_for_those_within_whatever_front_end_they_came_through(repository: Path) -> None:
    async with owned(repository, 2, model_control="explicit", load_models="*") as house:
        with house.fronts[0].engine.visit(None, None) as visit:
            unloading = asyncio.ensure_future(house.fronts[1].engine.unload_model("colours"))
            await until(lambda: not house.fronts[0].engine.describe().ready)
            assert not unloading.done()
            ranked, _ = await visit.submit([plain("green")])
            assert ranked.logits.argmax() == 1
        async with asyncio.timeout(30):
            await unloading
        assert [entry.name for entry in await house.fronts[1].engine.index()] == ["colours"]


async def test_an_owner_that_is_lost_costs_what_it_had_in_hand_and_another_takes_its_place(repository: Path) -> None:
    async with owned(repository, 2, **LONG) as house:
        front = house.fronts[0]
        await asyncio.gather(*(ask(front.engine) for _ in range(4)))
        with front.engine.visit(None, None) as visit:
            visit.note((await asyncio.gather(*(visit.submit([plain()]) for _ in range(4))))[0][1])
            within = asyncio.ensure_future(visit.submit([plain()]))
            await until(lambda: waiting(house) == 1)
            await house.owner.close()
            refusal = await settles(within)
            assert isinstance(refusal, NotReady) and refusal.retry_after_s
            late = await settles(visit.submit([plain()]))  # let in before, and decoded after
            assert isinstance(late, NotReady) and late.retry_after_s
        await until(lambda: not house.fronts[1].engine.local.ready())
        with pytest.raises(NotReady) as told, front.engine.visit(None, None):
            pass
        assert told.value.retry_after_s
        (broken,) = front.engine.describe().broken
        assert broken.version == 1 and "ended" in broken.reason
        await house.models.stop()
        await house.replace()
        await until(lambda: all(front.engine.local.ready() for front in house.fronts))
        assert await asyncio.gather(*(ask(front.engine) for front in house.fronts * 2)) == [4] * 4
        assert front.engine.figures()["colours", 1].success.count == 1


async def test_a_front_end_that_is_lost_takes_nothing_with_it_but_its_own(repository: Path) -> None:
    async with owned(repository, 2, **LONG) as house:
        gone, other = house.fronts
        lost = [asyncio.ensure_future(ask(gone.engine)) for _ in range(2)]
        kept = asyncio.ensure_future(ask(other.engine, "green"))
        await until(lambda: waiting(house) == 3)
        await gone.engine.stop()
        await until(lambda: waiting(house) == 1)
        await asyncio.gather(*lost, return_exceptions=True)
        rest = [ask(other.engine, "blue") for _ in range(3)]
        async with asyncio.timeout(30):
            sizes = await asyncio.gather(kept, *rest)
        assert sizes[0] == 4
        await until(lambda: waiting(house) == 0)


async def test_what_does_not_decode_is_told_to_its_caller_and_its_slot_is_free(repository: Path) -> None:
    async with owned(repository, 1) as house:
        engine = house.fronts[0].engine
        broken = plain("red")[:40]
        for bytes_ in (broken, plain("red", LARGE)[:100], b"nothing"):
            with engine.visit(None, None) as visit:
                refusal = await settles(visit.submit([bytes_]))
                assert refusal.status in {400, 415, 422}
        await until(lambda: held(house.fronts[0]) == 0)
        assert await ask(engine) == 1
