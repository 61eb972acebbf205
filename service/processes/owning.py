"""The process that owns the models: queue, batches and sessions, and no port. `python -m` runs it.

Its front ends come by way of the supervisor. It ends after them.
"""

import asyncio
import logging
import socket
import sys

from prometheus_client import CollectorRegistry

from service.engine import LocalEngine
from service.handover import Facts, ModelOwner, Way
from service.processes.employed import ORPHAN_SECONDS, Employee, employ
from service.processes.handing import Taker
from service.processes.orders import keep_telling
from service.processes.shared import SharedEngine
from service.telemetry import Metrics

log = logging.getLogger(__name__)


class _Owning(Employee):
    """A process that has the models."""

    owner: ModelOwner

    async def answer(self, what: str, facts: Facts) -> Facts:
        """What the supervisor asks; a change is answered when every front end has taken it in."""
        done = await super().answer(what, facts)
        if what == "act":
            await self.owner.settled()
        return done

    def meet(self, way: Way | None, _: int) -> None:
        """Serve a front end."""
        if way is None:  # that end is closed by now, and so the front end ends and is replaced
            log.error("a front end cannot be served: no file can be opened")
        else:
            self.owner.meet(*way)


async def own(talk: socket.socket, hand: socket.socket) -> int:
    """Own the models, from the orders to the end; the status of the process."""
    process = _Owning()
    if (begun := await process.begin(talk)) is None:
        return 1
    settings, orders = begun
    metrics = Metrics(CollectorRegistry())
    models = LocalEngine(settings, metrics, int(orders["processes"]))
    process.owner = ModelOwner(models)
    engine = process.engine = SharedEngine(int(orders["number"]), models, metrics, process.link, apart=False)
    taker = Taker(hand, lambda _, connection: connection.close(), process.meet)
    try:
        if not await process.started(engine):
            return 2
        process.owner.open()
        telling = asyncio.ensure_future(keep_telling(engine, process.link))
        await process.until_told()
        telling.cancel()
        if process.grace_s is None:
            await _see_out(process.owner)
        return 0
    finally:
        taker.close()
        await process.owner.close()
        await engine.stop()
        await process.link.close()


async def _see_out(owner: ModelOwner) -> None:
    """Without a supervisor: the front ends answer what they have; then there is nobody left to own models for."""
    log.error("the supervisor has ended; the models are kept until the front ends have, for %g s", ORPHAN_SECONDS)
    try:
        async with asyncio.timeout(ORPHAN_SECONDS):
            await owner.left_alone()
    except TimeoutError:
        log.warning("front ends are still there after %g s", ORPHAN_SECONDS)


if __name__ == "__main__":
    employ(own, *map(int, sys.argv[1:3]))
