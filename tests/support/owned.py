"""Owners of models and their front ends in this process, with real sockets and slots between them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from service.config import Settings
from service.engine import Engine, LocalEngine
from service.errors import ServiceError
from service.handover import ModelOwner, RemoteEngine
from service.handover.bell import pair
from service.handover.refusals import Facts
from service.processes.commands import Commands
from service.processes.orders import obey
from service.processes.shared import SharedEngine
from service.telemetry import Metrics
from tests.support.images import plain

COLOURS = ["red", "green", "blue"]


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
            await next(each for each in self.house.owners if each.holder is self).owner.settled()
        return done


class _Link:
    def __init__(self, member: Member) -> None:
        self._member = member

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        if what == "started":
            return {"ready": facts["ready"]}
        return await self._member.house.commands.answer(self._member, what, facts)


class OneOwner:
    """The models, their engine as one of several processes has it, and what offers them."""

    def __init__(self, house: "Owned", number: int, settings: Settings, owners: int) -> None:
        metrics = Metrics(CollectorRegistry())
        self.number = number
        self.models = LocalEngine(settings, metrics, owners)
        self.holder = Member(house, 98 + number, self.models, metrics)
        self.owner = ModelOwner(self.models)

    async def lose(self) -> None:
        """End it as a kill would: its sockets close, whatever it has in hand."""
        await self.owner.close()
        await self.models.stop()


class Owned:
    """So many owners, so many front ends. `start` brings them together."""

    def __init__(
        self, settings: Settings, ends: int = 1, owners: int = 1, kind: type[SharedEngine] = SharedEngine
    ) -> None:
        self.settings = settings
        self.owners = [OneOwner(self, number + 1, settings, owners) for number in range(owners)]
        self.fronts: list[Member] = []
        for number in range(ends):
            metrics = Metrics(CollectorRegistry())
            remote = RemoteEngine(settings, metrics, ends, owners)
            self.fronts.append(Member(self, number + 1, remote, metrics, kind))
        self.commands = Commands(
            settings, lambda: [*self.fronts, *self._holders()], tuple, self._holders, only=owners == 1
        )

    @property
    def models(self) -> LocalEngine:
        """What the first owner has."""
        return self.owners[0].models

    @property
    def owner(self) -> ModelOwner:
        """The first of them."""
        return self.owners[0].owner

    def _holders(self) -> list[Member]:
        return [each.holder for each in self.owners]

    async def start(self) -> None:
        """Load, and offer what was loaded."""
        for each in self.owners:
            await self._open(each)
        for front in self.fronts:
            await front.engine.start()
        for each in self.owners:
            await each.owner.settled()

    async def _open(self, each: OneOwner) -> None:
        """Bring an owner together with every front end."""
        await each.holder.engine.start()
        each.owner.open()
        for front in self.fronts:
            (bell, its_bell), (letters, its_letters) = pair(), socket.socketpair()
            each.owner.meet(its_bell, its_letters)
            assert isinstance(front.engine.local, RemoteEngine)
            await front.engine.local.connect(bell, letters, each.number)

    async def lose(self) -> None:
        """End every owner as a kill would."""
        for each in self.owners:
            await each.lose()

    async def replace(self, number: int = 1) -> None:
        """Another owner, in the place of one that was lost."""
        each = self.owners[number - 1] = OneOwner(self, number, self.settings, len(self.owners))
        await self._open(each)
        await each.owner.settled()

    async def stop(self) -> None:
        """End them all."""
        for front in self.fronts:
            await front.engine.stop()
        await self.lose()


class _WithItsOwner(SharedEngine):
    """A front end that brings its owner along, for those who know engines alone."""

    house: Owned
    _brought = False

    async def start(self) -> None:
        """Start both, once."""
        if not self._brought:
            self._brought = True
            await self.house.start()
        await super().start()

    async def stop(self) -> None:
        """Stop both."""
        await super().stop()
        await self.house.lose()


def remote(root: Path, owners: int = 1) -> SharedEngine:
    """The only front end of an owner."""
    settings = Settings(repository=root, device="cpu", instances=1)
    house = Owned(settings, owners=owners, kind=_WithItsOwner)
    engine = house.fronts[0].engine
    assert isinstance(engine, _WithItsOwner)
    engine.house = house
    return engine


def remote_of_two(root: Path) -> SharedEngine:
    """The only front end of two owners."""
    return remote(root, 2)


@asynccontextmanager
async def owned(root: Path, ends: int = 2, owners: int = 1, **settings: Any) -> AsyncIterator[Owned]:
    """Front ends of owners that have started."""
    house = Owned(Settings(repository=root, device="cpu", **{"instances": 1, **settings}), ends, owners)
    await house.start()
    try:
        yield house
    finally:
        await house.stop()


async def ask(engine: Engine, colour: str = "red", **more: Any) -> int:
    """The class and the batch's size of one image."""
    with engine.visit(None, None) as visit:
        ranked, answered = await visit.submit([plain(colour)], **more)
        assert COLOURS[ranked.logits.argmax()] == colour
        return answered.batch_size


async def until(so: Callable[[], object]) -> None:
    """Return when it is so."""
    async with asyncio.timeout(30):
        while not so():
            await asyncio.sleep(0.001)


async def settles(asked: Awaitable[object]) -> ServiceError:
    """What a request is refused with."""
    async with asyncio.timeout(30):
        with pytest.raises(ServiceError) as raised:
            await asked
    return raised.value


def waiting(house: Owned) -> int:
    """Images in the queues of all owners."""
    return sum(found.waiting for each in house.owners for found in each.models.statistics().values())


def held(front: Member) -> int:
    """Images that have a slot and that the owner does not know of."""
    return sum(found.waiting for found in front.engine.local.statistics().values())
