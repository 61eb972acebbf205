"""Several shared engines in this process, and the supervisor's commands between them: workers without processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from service.config import Settings
from service.engine import LocalEngine
from service.handover.refusals import Facts
from service.processes.commands import Commands
from service.processes.orders import obey
from service.processes.shared import SharedEngine
from service.telemetry import Metrics


class Fellow:
    """A worker as its supervisor knows it, and the supervisor as its engine knows it."""

    def __init__(self, crew: "InOneProcess", number: int, settings: Settings, processes: int) -> None:
        self.number = number
        self.joined = False
        self._crew = crew
        self.metrics = Metrics(CollectorRegistry())
        local = LocalEngine(settings, self.metrics, processes)
        self.engine = SharedEngine(number, local, self.metrics, _Link(self))

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        """What the supervisor asks of it."""
        return await obey(self.engine, _Link(self), what, facts)

    async def supervisor(self, what: str, facts: Facts) -> Facts:
        """What it asks of the supervisor."""
        if what != "started":
            return await self._crew.commands.answer(self, what, facts)
        self.joined = True
        return {"ready": facts["ready"]}


class _Link:
    def __init__(self, fellow: Fellow) -> None:
        self._fellow = fellow

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        return await self._fellow.supervisor(what, facts)


class InOneProcess:
    """So many engines of one repository."""

    def __init__(self, settings: Settings, number: int = 2) -> None:
        self.commands = Commands(settings, self.members, lambda: ())
        self.fellows = [Fellow(self, each + 1, settings, number) for each in range(number)]

    def members(self) -> list[Fellow]:
        return [fellow for fellow in self.fellows if fellow.joined]


def shared(root: Path) -> SharedEngine:
    """One engine of a crew of one."""
    return InOneProcess(Settings(repository=root, device="cpu"), 1).fellows[0].engine


@asynccontextmanager
async def together(root: Path, number: int = 2, **settings: Any) -> AsyncIterator[InOneProcess]:
    """Engines that have started."""
    crew = InOneProcess(Settings(repository=root, device="cpu", **settings), number)
    for fellow in crew.fellows:
        await fellow.engine.start()
    crew.commands.begin(crew.fellows[0].engine.brief()["models"])
    try:
        yield crew
    finally:
        crew.commands.end()
        for fellow in crew.fellows:
            await fellow.engine.stop()
