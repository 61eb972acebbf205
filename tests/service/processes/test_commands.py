"""What is one over all workers, with engines in this process: control, agreement, limits of keys, counts."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from service.config import Settings, make
from service.errors import ControlRefused, ModelNotFound
from service.handover.refusals import Facts, Gone
from service.processes.commands import Agreement, Commands
from tests.support.crews import InOneProcess, together
from tests.support.images import plain

pytestmark = pytest.mark.timeout(60)


def serving(crew: InOneProcess) -> list[list[int]]:
    return [sorted(facts.version for facts in fellow.engine.local.describe().ready) for fellow in crew.fellows]


async def test_a_model_that_is_loaded_by_one_is_loaded_by_all_and_unloaded_too(repository: Path) -> None:
    async with together(repository, model_control="explicit") as crew:
        assert serving(crew) == [[], []]
        await crew.fellows[0].engine.load_model("colours")
        assert serving(crew) == [[1], [1]]
        assert crew.commands.first_models() == "colours"
        await crew.fellows[1].engine.unload_model("colours")
        assert serving(crew) == [[], []]
        assert crew.commands.first_models() == ""
        for fellow in crew.fellows:
            with pytest.raises(ModelNotFound):
                await fellow.engine.load_model("cats")


async def test_a_bad_version_is_refused_by_all_and_what_serves_stays(
    repository: Path, publish: Callable[..., Path]
) -> None:
    async with together(repository, model_control="explicit", load_models="*") as crew:
        publish(golden_shift=1.0)
        with pytest.raises(ControlRefused, match="golden"):
            await crew.fellows[0].engine.load_model("colours")
        assert serving(crew) == [[1], [1]]
        (entry,) = [one for one in await crew.fellows[1].engine.index() if getattr(one, "version", 0) == 2]
        assert "golden" in entry.reason


async def test_nobody_answers_with_a_new_version_before_all_have_it(
    repository: Path, publish: Callable[..., Path]
) -> None:
    """Whenever one of them changes over, the other has loaded too: both change within one turn of the loop or two."""
    seen: set[tuple[int, ...]] = set()
    async with together(repository, model_control="poll", poll_seconds=0.01, versions="latest") as crew:
        publish()
        while serving(crew) != [[2], [2]]:
            seen.add(tuple(len(fellow.engine.local.describe().ready) for fellow in crew.fellows))
            await asyncio.sleep(0)
    assert seen <= {(1, 1)}


async def test_those_who_agree_wait_for_each_other_and_for_nobody_who_left() -> None:
    agreement, passed = Agreement(3), []

    async def come(name: str) -> None:
        await agreement.wait()
        passed.append(name)

    tasks = [asyncio.ensure_future(come(name)) for name in "ab"]
    await asyncio.sleep(0)
    assert passed == []
    agreement.leave()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)
    assert sorted(passed) == ["a", "b"]


class Dying:
    """A worker that ends whenever it is asked."""

    number = 2

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        raise Gone


async def test_a_worker_that_dies_in_a_change_keeps_nobody_from_it(repository: Path) -> None:
    async with together(repository, 1, model_control="explicit") as crew:
        (fellow,) = crew.fellows
        commands = Commands(Settings(repository=repository, model_control="explicit"), lambda: [fellow, Dying()], tuple)
        crew.commands = commands
        await fellow.engine.load_model("colours")
        assert serving(crew) == [[1]]


async def test_a_worker_that_came_late_loads_what_the_others_were_told_to(repository: Path) -> None:
    async with together(repository, model_control="explicit") as crew:
        late = crew.fellows[1]
        late.joined = False
        await crew.fellows[0].engine.load_model("colours")
        assert serving(crew) == [[1], []]
        await crew.commands.catch_up(late, [])
        assert serving(crew) == [[1], [1]]


async def test_the_limit_of_a_key_holds_for_all_together(repository: Path) -> None:
    _, key = make("ci", ["inference"])
    limited = key.model_copy(update={"requests_per_minute": 3})
    crew = InOneProcess(Settings(repository=repository, keys=(limited,)))
    asked = [fellow.supervisor("take", {"key": "ci"}) for fellow in crew.fellows * 2]
    waits = [facts["wait_s"] for facts in await asyncio.gather(*asked)]
    assert waits[:3] == [0, 0, 0]
    assert 0 < waits[3] <= 20


async def test_whoever_is_asked_tells_of_all_and_of_those_who_have_ended(repository: Path) -> None:
    async with together(repository) as crew:
        for fellow, times in zip(crew.fellows, (1, 3), strict=True):
            for _ in range(times):
                with fellow.engine.visit(None, None) as visit:
                    _, answered = await visit.submit([plain("red")])
                    visit.note(answered.written(answered.ended))
        for fellow in crew.fellows:
            await fellow.engine.gather()
            assert fellow.engine.figures()["colours", 1].success.count == 4
            text = fellow.metrics.exposition().decode()
            assert 'harmonic_request_seconds_count{model="colours",version="1"} 4.0' in text
            assert 'harmonic_queue_limit_images{model="colours",version="1"} 256.0' in text
            assert fellow.metrics.latencies()["colours", "1"][-1][1] == 4
        gone = crew.fellows.pop()
        crew.commands.departed(gone.number)
        (left,) = crew.fellows
        await left.engine.gather()
        assert left.engine.figures()["colours", 1].success.count == 4
        assert 'harmonic_queue_limit_images{model="colours",version="1"} 128.0' in left.metrics.exposition().decode()
        await gone.engine.stop()
