"""Several owners of the same models: each request goes to one of them, and those that are left serve on."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from service.engine import Caller
from service.errors import ModelNotFound, NotReady, Overloaded
from tests.support.held_backend import Calls, holding_calls, publish_held
from tests.support.images import plain
from tests.support.owned import Owned, ask, owned, settles, until, waiting

pytestmark = pytest.mark.timeout(60)
LONG = {"window_ms": 600_000, "max_batch": 4}  # whoever comes waits for three others at the same owner
EXPLICIT = {"model_control": "explicit", "load_models": "*", "versions": "latest"}
RED, GREEN, BLUE = range(3)


@pytest.fixture
def calls() -> Iterator[Calls]:
    with holding_calls() as found:
        yield found


@pytest.fixture
def held(calls: Calls, tmp_path: Path) -> Path:
    """A repository whose model calls can be held."""
    return publish_held(tmp_path / "held", "colours").parents[1]


def queues(house: Owned) -> list[int]:
    """Images that wait at each owner."""
    return [sum(found.waiting for found in each.models.statistics().values()) for each in house.owners]


def images(house: Owned) -> list[int]:
    """Images that each owner has answered."""
    return [sum(found.images for found in each.models.statistics().values()) for each in house.owners]


async def test_a_request_goes_to_the_owner_with_the_fewest_images(repository: Path) -> None:
    async with owned(repository, 1, 2, **LONG) as house:
        engine = house.fronts[0].engine
        with engine.visit(None, None) as visit:
            tasks = [asyncio.ensure_future(visit.submit([plain()] * 3))]
            await until(lambda: waiting(house) == 3)
            tasks += [asyncio.ensure_future(visit.submit([plain()])) for _ in range(3)]
            await until(lambda: waiting(house) == 6)
            assert queues(house) == [3, 3]
            tasks += [asyncio.ensure_future(visit.submit([plain()])) for _ in range(2)]
            assert [times.batch_size for _, times in await asyncio.gather(*tasks)] == [4] * 6
        await engine.gather()
        assert engine.statistics()["colours", 1].images == 8


async def test_who_comes_alone_goes_to_each_owner_in_turn(repository: Path) -> None:
    async with owned(repository, 1, 2) as house:
        for _ in range(6):
            await ask(house.fronts[0].engine)
        await until(lambda: images(house) == [3, 3])


async def test_a_full_owner_is_passed_over_and_a_request_is_refused_where_all_are(repository: Path) -> None:
    """Each has room for 4 that wait and 4 in a call; three images find no room behind six."""
    async with owned(repository, 1, 2, max_queue=8, **LONG) as house:
        engine = house.fronts[0].engine
        assert engine.find(None, None).policy.max_queue == 8
        with engine.visit(None, None) as visit:
            full = [asyncio.ensure_future(visit.submit([plain()] * 3)) for _ in range(2)]
            await until(lambda: queues(house) == [3, 3])
            refusals = [await settles(visit.submit([plain()] * 4)) for _ in range(2)]
            assert all(isinstance(refusal, Overloaded) and refusal.retry_after_s for refusal in refusals)
            await asyncio.gather(*(visit.submit([plain()]) for _ in range(2)), *full)
        await engine.gather()
        assert engine.statistics()["colours", 1].rejected == 2


async def test_an_owner_that_is_lost_takes_its_own_requests_and_the_other_serves_on(repository: Path) -> None:
    async with owned(repository, 2, 2, **LONG) as house:
        front = house.fronts[0].engine
        with front.visit(None, None) as visit:
            within = [asyncio.ensure_future(visit.submit([plain()])) for _ in range(2)]
            await until(lambda: queues(house) == [1, 1])
            await house.owners[0].lose()
            await until(lambda: any(task.done() for task in within))
            refusal = next(task.exception() for task in within if task.done())
            assert isinstance(refusal, NotReady) and refusal.retry_after_s
            answers = await asyncio.gather(*(visit.submit([plain()]) for _ in range(3)))  # let in before, and answered
            assert [times.batch_size for _, times in answers] == [4] * 3
            (times,) = [task.result()[1] for task in within if not task.exception()]
            visit.note(times)
        assert all(member.engine.local.ready() for member in house.fronts)
        facts = front.find(None, None)
        assert (facts.remark, facts.instances) == ("1 of 2 owners of the models have it ready", 1)
        assert await asyncio.gather(*(ask(front) for _ in range(4))) == [4] * 4
        await house.replace(1)
        assert (front.find(None, None).remark, front.find(None, None).instances) == ("", 2)
        assert await asyncio.gather(*(ask(front) for _ in range(8))) == [4] * 8
        assert all(images(house))
        assert front.figures()["colours", 1].success.count == 1


async def test_without_any_owner_nobody_is_let_in_and_the_first_that_comes_back_serves(repository: Path) -> None:
    async with owned(repository, 1, 2) as house:
        engine = house.fronts[0].engine
        await house.lose()
        await until(lambda: not engine.local.ready())
        with pytest.raises(NotReady, match="ended") as told, engine.visit(None, None):
            pass
        assert told.value.retry_after_s
        (broken,) = engine.describe().broken
        assert "ended" in broken.reason
        await house.replace(2)
        assert engine.local.ready() and await ask(engine) == 1
        assert not engine.describe().broken


async def test_a_swap_reaches_every_owner_and_costs_no_request(repository: Path, publish: Callable[..., Path]) -> None:
    async with owned(repository, 2, 2, **EXPLICIT) as house:
        engine = house.fronts[0].engine
        with engine.visit(None, None) as old:
            publish(side=16)
            await house.fronts[1].engine.load_model("colours")
            for front in house.fronts:
                rows = np.full((1, 16, 16, 3), (0, 255, 0), np.uint8)
                for _ in range(4):  # by either owner
                    with front.engine.visit(None, None) as visit:
                        ranked, answered = await visit.submit_rows(rows)
                        assert (answered.version, ranked.logits.argmax()) == (2, 1)
            found = await asyncio.gather(*(old.submit([plain("blue")]) for _ in range(4)))
            assert [(ranked.logits.argmax(), answered.version) for ranked, answered in found] == [(2, 1)] * 4
        await until(lambda: images(house) == [4, 4])  # the old version is told of no more
        await engine.unload_model("colours")
        assert not any(each.models.served() for each in house.owners)
        with pytest.raises(NotReady), engine.visit(None, None):
            pass
        with pytest.raises(ModelNotFound):
            await engine.unload_model("colours")


async def test_what_changes_in_the_repository_is_followed_by_every_owner_at_once(
    repository: Path, publish: Callable[..., Path]
) -> None:
    seen: set[tuple[int, ...]] = set()
    async with owned(repository, 1, 2, model_control="poll", poll_seconds=0.01, versions="latest") as house:
        house.commands.begin(["colours"])
        publish()
        while (served := [[version for _, version in each.models.served()] for each in house.owners]) != [[2], [2]]:
            seen.add(tuple(map(len, served)))
            await asyncio.sleep(0)
        house.commands.end()
        await until(lambda: house.fronts[0].engine.find(None, None).version == 2)
        assert not house.fronts[0].engine.find(None, None).remark
    assert seen == {(1, 1)}


@pytest.mark.parametrize("owners", [1, 2])
async def test_keys_have_equal_shares_whatever_front_ends_and_owners_they_come_to(
    held: Path, calls: Calls, owners: int
) -> None:
    """One key asks through both front ends, eight times for each owner, the other four times through one: while both
    wait they are answered in turn. Were shares kept by front end, the first would have two of three."""
    async with owned(held, 2, owners, max_batch=1) as house:
        first, second = (front.engine for front in house.fronts)
        calls.hold()
        tasks = [asyncio.ensure_future(ask(first, "blue")) for _ in range(owners)]
        await until(lambda: len(calls.ran) == owners)
        for engine in (first, second):
            tasks += [asyncio.ensure_future(ask(engine, "red", caller=Caller("many"))) for _ in range(4 * owners)]
        await until(lambda: queues(house) == [8] * owners)
        tasks += [asyncio.ensure_future(ask(first, "green", caller=Caller("few"))) for _ in range(4 * owners)]
        await until(lambda: queues(house) == [12] * owners)
        calls.gate.set()
        await asyncio.gather(*tasks)
    for ran in calls.ran.values():
        assert ran[0] == BLUE
        assert [ran[1:][place : place + 2].count(GREEN) for place in range(0, 8, 2)] == [1] * 4
