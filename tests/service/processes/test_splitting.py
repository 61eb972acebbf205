"""One split for all processes, and one decision about its canary: workers, and front ends of one owner."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from service.config import make_split
from service.engine import Engine
from service.errors import ControlRefused, ServiceError
from service.telemetry import begin
from tests.support.colours import publish_colours
from tests.support.crews import InOneProcess, together
from tests.support.faults import raises_on_red
from tests.support.images import plain
from tests.support.owned import Owned, owned

EXPLICIT = {"model_control": "explicit", "load_models": "*"}
HALF = make_split("colours", {1: 0.5, 2: 0.5})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish_colours(tmp_path / "models")
    publish_colours(tmp_path / "models", graph=raises_on_red())
    return tmp_path / "models"


async def versions(engine: Engine, number: int = 30) -> list[int]:
    """Which version answers each of so many requests, by their ids."""

    async def one(each: int) -> int:
        begin([(b"x-request-id", b"r%d" % each)])
        with engine.visit("colours", None) as visit:
            _, times = await visit.submit([plain("green")])
            visit.note(times.written(times.ended))
            return visit.facts.version

    return list(await asyncio.gather(*(asyncio.create_task(one(each)) for each in range(number))))


async def test_all_workers_send_a_request_to_the_same_version(root: Path) -> None:
    async with together(root, **EXPLICIT) as crew:
        one, other = (fellow.engine for fellow in crew.fellows)
        assert set(await versions(one)) == {2}
        await one.split_model("colours", HALF)
        first = await versions(one)
        assert set(Counter(first)) == {1, 2}
        assert await versions(other) == first
        with pytest.raises(ControlRefused, match="version 9"):
            await other.split_model("colours", make_split("colours", {9: 1.0}))
        assert await versions(other) == first
        await other.split_model("colours", None)
        assert set(await versions(one)) == {2}


async def test_front_ends_follow_the_split_of_their_owner(root: Path) -> None:
    async with owned(root, **EXPLICIT) as house:
        one, other = (front.engine for front in house.fronts)
        await one.split_model("colours", HALF)
        first = await versions(one)
        assert set(Counter(first)) == {1, 2}
        assert await versions(other) == first


async def failures(house: InOneProcess | Owned, engines: list[Engine], metrics: list) -> None:
    """Requests that the canary fails and the incumbent answers, counted as the routes count them."""
    for engine, counts in zip(engines, metrics, strict=True):
        for each in range(20):
            begin([(b"x-request-id", b"r%d" % each)])
            with engine.visit("colours", None) as visit:
                status = 200
                try:
                    _, times = await visit.submit([plain("red")])
                    visit.note(times.written(times.ended))
                except ServiceError:
                    status = 500
            counts.count("colours", str(visit.facts.version), status)


async def test_a_canary_is_taken_out_everywhere_by_what_all_have_counted(root: Path) -> None:
    async with together(root, split="colours={1:0.5,2:0.5}", canary_requests=12) as crew:
        engines = [fellow.engine for fellow in crew.fellows]
        await engines[0].gather()
        await engines[1].gather()
        await crew.commands.judge()
        await failures(crew, engines, [fellow.metrics for fellow in crew.fellows])
        for engine in engines:
            await engine.gather()
        await crew.commands.judge()
        for engine in engines:
            (split,) = engine.describe().splits
            assert [version for version, _ in split.out] == [2]
            assert set(await versions(engine, 10)) == {1}


async def test_front_ends_count_and_the_owner_takes_out(root: Path) -> None:
    async with owned(root, split="colours={1:0.5,2:0.5}", canary_requests=12) as house:
        engines = [front.engine for front in house.fronts]
        for engine in engines:
            await engine.gather()
        await house.commands.judge()
        await failures(house, engines, [front.metrics for front in house.fronts])
        for engine in engines:
            await engine.gather()
        await house.commands.judge()
        await house.owner.settled()
        for engine in engines:
            assert set(await versions(engine, 10)) == {1}
