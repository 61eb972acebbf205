"""What every process that a supervisor starts has in common: its orders, the start of its engine, its end.

It ends when the supervisor says so, or has ended itself. Signals are the supervisor's: those that a terminal or a
container sends to every process are not heeded here.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from harmonic.errors import HarmonicError
from service.batching import calls_linger
from service.config import Settings
from service.decoding import quiet_pillow
from service.errors import NotReady
from service.handover import Channel, Facts, Gone
from service.http import LAST_SECONDS, Threads, end_now, share_the_interpreter
from service.processes.orders import obey
from service.processes.shared import SharedEngine
from service.telemetry import logs

log = logging.getLogger(__name__)
MOMENT = 10.0
ORPHAN_SECONDS = 5.0  # nobody can come any more, and whoever starts the service again wants the memory
# What every worker would say alike: the first says it for all, or the supervisor does.
_SAID_BY_SUPERVISOR = ("uvicorn.error", "service.engine.local")
_SAID_BY_FIRST = ("service.engine.loading", "service.engine.control", "service.http.serving")


class Employee:
    """A process of a supervisor, from its orders to its end."""

    def __init__(self) -> None:
        self.link: Channel
        self.engine: SharedEngine | None = None
        self.grace_s: float | None = None
        self.told_to_end = asyncio.Event()

    async def answer(self, what: str, facts: Facts) -> Facts:
        """What the supervisor asks and tells."""
        if what == "end":
            self.grace_s = facts["grace_s"]
            self.told_to_end.set()
            return {}
        if self.engine is None:
            raise NotReady("this process has not begun")
        return await obey(self.engine, self.link, what, facts)

    async def begin(self, talk: socket.socket) -> tuple[Settings, Facts] | None:
        """Its orders; None if the supervisor ended before they came."""
        self.link = await Channel.over(talk, self.answer)
        try:
            orders = await self.link.ask("begin", MOMENT)
        except (Gone, TimeoutError):
            return None
        settings, number = Settings(**orders["settings"]), int(orders["number"])
        be_called("harmonic-owner" if orders["owner"] else "harmonic-worker")
        if owner := int(orders["owner"]):
            logs.configure(settings.log_level, settings.log_format, 0, owner if orders["processes"] > 1 else 0)
        else:
            logs.configure(settings.log_level, settings.log_format, number)
        _be_quiet(settings, owner or number)
        quiet_pillow()
        return settings, orders

    async def started(self, engine: SharedEngine) -> bool:
        """Load the models; False, once the supervisor knows why, if that cannot be, or nobody wants it any more."""
        starting, alone = asyncio.ensure_future(engine.start()), asyncio.ensure_future(self.link.closed.wait())
        told = asyncio.ensure_future(self.told_to_end.wait())
        await asyncio.wait((starting, alone, told), return_when=asyncio.FIRST_COMPLETED)
        alone.cancel()
        told.cancel()
        if not starting.done():
            starting.cancel()
            return False
        try:
            starting.result()
        except Gone:
            return False
        except HarmonicError as error:
            self.link.tell("failed", reason=str(error))
            return False
        gc.collect()
        gc.freeze()  # models and modules live as long as the process: no collection need look at them again
        return True

    async def until_told(self) -> None:
        """Return when it is to end, or is alone."""
        waits = [asyncio.ensure_future(one.wait()) for one in (self.told_to_end, self.link.closed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()


def employ(
    work: Callable[[socket.socket, socket.socket], Coroutine[Any, Any, int]], talk_file: int, hand_file: int
) -> NoReturn:
    """Do the work of a process that was started with two sockets, and end with its status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    talk, hand = (socket.socket(fileno=file) for file in (talk_file, hand_file))
    share_the_interpreter()
    threads = Threads()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.get_loop().set_default_executor(threads)
        status = runner.run(work(talk, hand))
        if threads.busy() or calls_linger(LAST_SECONDS):
            end_now()  # a model is still being loaded or computes
    sys.exit(status)


def be_called(name: str) -> None:
    """Take a name in the system's lists of processes, where they can be told apart by it."""
    if sys.platform == "linux":
        Path("/proc/self/comm").write_text(name)


def _be_quiet(settings: Settings, number: int) -> None:
    if settings.log_level == "debug":
        return
    for name in _SAID_BY_SUPERVISOR + (_SAID_BY_FIRST if number > 1 else ()):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
