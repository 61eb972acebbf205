"""What the supervisor asks of a worker's engine, and what the engine tells of itself."""

import asyncio
from typing import Any, Protocol

from service.engine import LocalEngine
from service.errors import ServiceError
from service.handover import Facts
from service.processes.shared import Link, SharedEngine
from service.processes.splitting import read_split

_LOOK_SECONDS = 0.2  # from one look at what changed to the next
_AGREE_SECONDS = 3600.0


class Telling(Protocol):
    """A way to somebody who is told, and does not answer."""

    def tell(self, what: str, **facts: Any) -> None:
        """Say something."""
        ...


async def obey(engine: SharedEngine, link: Link, what: str, facts: Facts) -> Facts:
    """Do what the supervisor asks. Raises what the engine raises."""
    if what == "report":
        return engine.report(families=True).as_facts()
    if what == "act":
        await _act(engine, link, facts)
    elif what == "whole":
        engine.be_told(facts["ready"])
    elif what == "part":
        engine.part_with(facts["connections"])
    elif what == "leave":
        engine.leave()
    elif what == "close":
        engine.close_door()
    else:
        raise ServiceError(f"the supervisor asked for {what!r}, which this worker does not know")
    return {}


async def _act(engine: SharedEngine, link: Link, facts: Facts) -> None:
    act, name = facts["act"], facts["name"]

    async def agree() -> None:
        await link.ask("agree", _AGREE_SECONDS)

    local = engine.local
    if not isinstance(local, LocalEngine):
        raise ServiceError(f"this worker has no models of its own, and cannot {act} any")
    if act == "load":
        await local.load_model(name, agree)
    elif act == "follow":
        await local.follow([name], agree)
    elif act == "unload":
        await local.unload_model(name)
    elif act == "split":
        await local.split_model(name, read_split(facts["split"]))
    elif act == "put split":
        local.put_split(name, read_split(facts["split"]))
    else:
        await local.reset_norm(name)


async def keep_telling(engine: SharedEngine, link: Telling) -> None:
    """Tell the supervisor of every change, until cancelled."""
    told = engine.brief()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        now = engine.brief()
        if now != told:
            link.tell("state", **now)
            told = now
