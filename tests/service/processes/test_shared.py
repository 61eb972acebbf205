"""The engine of one of several processes, beyond what the door promises of every engine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import NotReady
from tests.support.crews import together

pytestmark = pytest.mark.timeout(60)


async def test_it_is_ready_only_while_the_service_is_as_a_whole(repository: Path) -> None:
    async with together(repository) as crew:
        engine = crew.fellows[0].engine
        assert engine.ready()
        await crew.fellows[0].ask("whole", 1, ready=False)
        assert not engine.ready() and engine.alive() and not engine.leaving
        await crew.fellows[0].ask("whole", 1, ready=True)
        assert engine.ready()
        await crew.fellows[0].ask("leave", 1)
        assert engine.leaving and not engine.ready()
        await crew.fellows[0].ask("close", 1)
        with pytest.raises(NotReady), engine.visit(None, None):
            pass


async def test_it_parts_with_as_many_callers_as_it_is_told_to(repository: Path) -> None:
    async with together(repository) as crew:
        engine = crew.fellows[0].engine
        assert not engine.parting()
        await crew.fellows[0].ask("part", 1, connections=2)
        assert [engine.parting() for _ in range(4)] == [True, True, False, False]
        assert not engine.leaving


async def test_a_queue_is_shared_and_told_of_as_one(publish: Callable[..., Path], tmp_path: Path) -> None:
    publish()
    async with together(tmp_path / "models", max_queue=100, max_batch=40, instances=1) as crew:
        engine = crew.fellows[0].engine
        await engine.gather()
        assert engine.local.find(None, None).policy.max_queue == 50
        assert engine.find(None, None).policy.max_queue == 100
        assert engine.describe().ready[0] == engine.find(None, None)
        assert engine.find(None, None).instances == 2


async def test_a_version_that_one_process_has_not_is_not_ready_and_says_where(repository: Path) -> None:
    async with together(repository) as crew:
        for path in (repository / "colours" / "1").iterdir():
            path.write_bytes(b"rubbish")
        late = together(repository)
        async with late as other:
            (entry,) = await other.fellows[0].engine.index()
            assert entry.reason
        assert crew.fellows[0].engine.ready()
