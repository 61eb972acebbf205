"""Versions on demand where several processes serve: workers with models of their own, and front ends of one owner."""

import asyncio
from pathlib import Path

import pytest

from service.engine import Engine
from service.errors import ModelNotFound, NotLoaded
from tests.support.colours import publish_colours
from tests.support.crews import together
from tests.support.images import plain
from tests.support.owned import owned


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        publish_colours(tmp_path / "models", name)
    return tmp_path / "models"


async def classified(engine: Engine, name: str) -> int:
    """What an answering route does."""
    while True:
        try:
            with engine.visit(name, None) as visit:
                ranked, times = await visit.submit([plain("green")])
                visit.note(times.written(times.ended))
                return int(ranked.logits.argmax())
        except NotLoaded:
            await engine.have(name, None)


async def inside(engine: Engine) -> set[str]:
    await engine.gather()
    return {facts.name for facts in engine.describe().ready}


async def test_each_worker_has_places_of_its_own_and_control_reaches_all(root: Path) -> None:
    async with together(root, max_models=1, model_control="explicit") as crew:
        first, second = (fellow.engine for fellow in crew.fellows)
        assert [await classified(first, "a"), await classified(second, "b")] == [1, 1]
        assert (await inside(first), await inside(second)) == ({"a"}, {"b"})
        told = {one.name: one.remark for one in first.describe().on_demand}
        assert told == {"b": "in memory of 1 other worker", "c": ""}
        await first.load_model("c")
        assert (await inside(first), await inside(second)) == ({"c"}, {"c"})
        await second.unload_model("c")
        for engine in (first, second):
            with pytest.raises(ModelNotFound), engine.visit("c", None):
                pass
            assert engine.ready()
            assert await classified(engine, "a") == 1


async def test_front_ends_have_their_owner_load_what_they_are_asked_for(root: Path) -> None:
    async with owned(root, max_models=1) as house:
        first, second = (front.engine for front in house.fronts)
        assert first.ready() and second.ready()
        with pytest.raises(ModelNotFound), first.visit("none", None):
            pass
        assert await classified(first, "a") == 1
        assert await classified(second, "b") == 1
        assert set(house.models.served()) == {("b", 1)}
        assert {one.name for one in second.describe().on_demand} == {"a", "c"}
        counted = house.models.figures()
        assert list(counted) == [("b", 1)]


@pytest.mark.timeout(60)
async def test_front_ends_that_ask_for_everything_at_once_get_every_answer(root: Path) -> None:
    async with owned(root, max_models=1) as house:
        engines: list[Engine] = [front.engine for front in house.fronts]
        answers = await asyncio.gather(*(classified(engines[each % 2], "abc"[each % 3]) for each in range(12)))
        assert answers == [1] * 12
        assert len(house.models.served()) == 1
        assert [engine.in_flight for engine in engines] == [0, 0]


async def test_of_several_owners_each_loads_what_is_asked_for(root: Path) -> None:
    async with owned(root, ends=1, owners=2, max_models=1) as house:
        engine = house.fronts[0].engine
        assert [await classified(engine, name) for name in ("a", "b", "a")] == [1, 1, 1]
        assert [set(each.models.served()) for each in house.owners] == [{("a", 1)}] * 2


async def test_an_owner_that_is_replaced_loads_on_demand_again(root: Path) -> None:
    async with owned(root, ends=1, max_models=1) as house:
        engine = house.fronts[0].engine
        assert await classified(engine, "a") == 1
        await house.lose()
        async with asyncio.timeout(20):
            while engine.ready():
                await asyncio.sleep(0.001)
            await house.replace()
            while not engine.ready():  # until it has offered something
                await asyncio.sleep(0.001)
            assert await classified(engine, "b") == 1
