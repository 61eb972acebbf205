"""A process that serves, as the supervisor that started it knows it."""

import asyncio
import signal
import subprocess
import time

from service.handover import Channel, Facts
from service.processes.handing import Hand
from service.processes.starting import Process

_REAP_SECONDS = 5.0


class Worker:
    """A process that serves, as the supervisor knows it.

    owner: which of the owners of the models it is, from 1; 0 for one that takes connections. only: there is no other
    owner. listening: it may be given connections. joined: its models are loaded, and it serves with the others.
    """

    def __init__(self, number: int, process: Process, hand: Hand, owner: int = 0, only: bool = True) -> None:
        self.number = number
        self.owner = owner
        self._only = only
        self.process = process
        self.hand = hand
        self.channel: Channel
        self.started = time.monotonic()
        self.listening = self.joined = False
        self.facts: Facts = {}  # what it said of itself last
        self.reason = ""  # why it could not start

    @property
    def name(self) -> str:
        """What the log calls it."""
        if not self.owner:
            return f"worker {self.number}"
        return "the owner of the models" if self._only else f"owner {self.owner} of the models"

    @property
    def ready(self) -> bool:
        """True if it serves, and says that it lets requests in."""
        return self.joined and bool(self.facts.get("ready"))

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        """What it answers."""
        return await self.channel.ask(what, limit_s, **facts)

    def kill(self) -> None:
        """End it at once."""
        if self.process.poll() is None:
            self.process.kill()

    async def end(self) -> str:
        """Wait until it has ended, and say how."""
        await self.channel.closed.wait()
        self.hand.close()
        try:
            status = await asyncio.to_thread(self.process.wait, _REAP_SECONDS)
        except subprocess.TimeoutExpired:  # it speaks no more, and lives
            self.process.kill()
            status = await asyncio.to_thread(self.process.wait)
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    def loss(self) -> str:
        """What is lost with it."""
        if not self.joined:
            return self.reason or "it had not started"
        if self.owner:
            return "the requests that it had are answered with 503"
        return "the requests on its connections are lost"
