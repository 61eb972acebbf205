"""An owner of models and its front ends in this process, with real sockets and slots between them."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from service.config import Settings
from service.engine import LocalEngine
from service.handover import ModelOwner, RemoteEngine
from service.handover.bell import pair
from service.handover.channel import Facts
from service.processes.commands import Commands
from service.processes.orders import obey
from service.processes.shared import SharedEngine
from service.telemetry import Metrics


class Member:
    """A process as its supervisor knows it, and the supervisor as its engine knows it."""

    def __init__(
        self,
        house: "Owned",
        number: int,
        local: LocalEngine | RemoteEngine,
        metrics: Metrics,
        kind: type[SharedEngine] = SharedEngine,
    ) -> None:
        self.house = house
        self.number = number
        self.metrics = metrics
        self.engine = kind(number, local, metrics, _Link(self), apart=False)

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        """What the supervisor asks of it."""
        done = await obey(self.engine, _Link(self), what, facts)
        if what == "act":
            await self.house.owner.settled()
        return done


class _Link:
    def __init__(self, member: Member) -> None:
        self._member = member

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        if what == "started":
            return {"ready": facts["ready"]}
        return await self._member.house.commands.answer(self._member, what, facts)


class Owned:
    """One owner, so many front ends. `start` brings them together."""

    def __init__(self, settings: Settings, ends: int = 1, kind: type[SharedEngine] = SharedEngine) -> None:
        self.settings = settings
        self.models, self.holder, self.owner = self._own()
        self.fronts: list[Member] = []
        for number in range(ends):
            metrics = Metrics(CollectorRegistry())
            remote = RemoteEngine(settings, metrics, ends)
            self.fronts.append(Member(self, number + 1, remote, metrics, kind))
        self.commands = Commands(settings, lambda: [*self.fronts, self.holder], tuple, lambda: self.holder)

    def _own(self) -> tuple[LocalEngine, Member, ModelOwner]:
        metrics = Metrics(CollectorRegistry())
        models = LocalEngine(self.settings, metrics)
        return models, Member(self, 99, models, metrics), ModelOwner(models)

    async def start(self) -> None:
        """Load, and offer what was loaded."""
        await self.holder.engine.start()
        self.owner.open()
        for front in self.fronts:
            await self.introduce(front)

    async def introduce(self, front: Member) -> None:
        """Bring a front end together with the owner, and start it."""
        (bell, its_bell), (letters, its_letters) = pair(), socket.socketpair()
        self.owner.meet(its_bell, its_letters)
        assert isinstance(front.engine.local, RemoteEngine)
        await front.engine.local.connect(bell, letters)
        await front.engine.start()

    async def lose(self) -> None:
        """End the owner as a kill would: its sockets close, whatever it has in hand."""
        await self.owner.close()
        await self.models.stop()

    async def replace(self) -> None:
        """Another owner, in the place of one that was lost."""
        self.models, self.holder, self.owner = self._own()
        await self.start()

    async def stop(self) -> None:
        """End them all."""
        for front in self.fronts:
            await front.engine.stop()
        await self.lose()


class _WithItsOwner(SharedEngine):
    """A front end that brings its owner along, for those who know engines alone."""

    house: Owned
    _begun = False

    async def start(self) -> None:
        """Start both, once."""
        if not self._begun:
            self._begun = True
            await self.house.start()
        await super().start()

    async def stop(self) -> None:
        """Stop both."""
        await super().stop()
        await self.house.lose()


def remote(root: Path) -> SharedEngine:
    """The only front end of an owner."""
    house = Owned(Settings(repository=root, device="cpu", instances=1), kind=_WithItsOwner)
    engine = house.fronts[0].engine
    assert isinstance(engine, _WithItsOwner)
    engine.house = house
    return engine


@asynccontextmanager
async def owned(root: Path, ends: int = 2, **settings: Any) -> AsyncIterator[Owned]:
    """Front ends of one owner that have started."""
    house = Owned(Settings(repository=root, device="cpu", **{"instances": 1, **settings}), ends)
    await house.start()
    try:
        yield house
    finally:
        await house.stop()
