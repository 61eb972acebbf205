"""Replicas and their coordinator in this process, with nothing of Ray between them but plain values."""

import asyncio
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from service.config import Settings
from service.http import Service
from service.ray.coordinator import Coordinator
from service.ray.replica import Replica


class LostError(Exception):
    """What a call raises when the coordinator is no more."""


class Method:
    """A method that can be called from afar: what goes in and comes out is a copy."""

    def __init__(self, handle: "Handle", name: str) -> None:
        self._handle = handle
        self._name = name

    async def remote(self, *given: Any) -> Any:
        called = self._handle.coordinator
        if called is None:
            raise LostError
        ended = asyncio.ensure_future(getattr(called, self._name)(*pickle.loads(pickle.dumps(given))))
        died = asyncio.ensure_future(self._handle.died.wait())
        try:
            await asyncio.wait((ended, died), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                raise LostError
            return pickle.loads(pickle.dumps(ended.result()))
        finally:
            ended.cancel()
            died.cancel()


class Handle:
    """The way to a coordinator, which may die and be replaced."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator: Coordinator | None = coordinator
        self.died = asyncio.Event()

    def __getattr__(self, name: str) -> Method:
        return Method(self, name)

    def kill(self) -> None:
        self.coordinator = None
        self.died.set()

    def replace(self, coordinator: Coordinator) -> None:
        self.coordinator, self.died = coordinator, asyncio.Event()


class Cluster:
    """So many replicas of one repository."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.settings = Settings(repository=root, device="cpu", instances=1, **settings)
        self.handle = Handle(Coordinator(self.settings))
        self.replicas: dict[str, Replica] = {}
        self.services: dict[str, Service] = {}

    async def start(self, *names: str) -> None:
        for name in names:
            self.replicas[name] = Replica(self.settings, self.handle, name, (LostError,))
            self.services[name] = await self.replicas[name].start()


@asynccontextmanager
async def replicas(root: Path, *names: str, **settings: Any) -> AsyncIterator[Cluster]:
    """Replicas that have started, by their names."""
    cluster = Cluster(root, **settings)
    try:
        await cluster.start(*names)
        yield cluster
    finally:
        await asyncio.gather(*(service.close() for service in cluster.services.values()))
