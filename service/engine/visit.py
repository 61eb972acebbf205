"""A version in service, and the requests that visit it."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from service.batching import Answer, Batcher, CallLimits
from service.decoding import Loan, Preparation
from service.engine.catalog import VersionFacts
from service.engine.door import ANYBODY, Caller
from service.engine.loading import Loaded
from service.errors import too_many
from service.ranking import Ranked, rank
from service.telemetry import Answered, Metrics, Tally, VersionMetrics, remember


class Served:
    """A loaded version with its batcher, from its first visit to its last. On the loop only.

    observers: told of every request that was answered.
    """

    def __init__(self, loaded: Loaded, metrics: Metrics, limits: CallLimits) -> None:
        self.loaded = loaded
        self.facts = facts = loaded.facts
        self.kind = (facts.manifest.pixels.shape, facts.manifest.pixels.dtype)  # of a row
        self.tally = Tally()
        measured = metrics.version(facts.name, facts.version)
        self.observers = (measured.observe_request, self.tally.succeeded, remember)
        runs = [session.run for session in loaded.sessions]
        buffers = [session.buffer for session in loaded.sessions]
        observe = partial(_observe, measured, self.tally)  # knows nothing of self: no cycle keeps a model in memory
        name = f"{facts.name}-{facts.version}"
        self.batcher = Batcher(runs, loaded.sample, facts.policy, limits, observe, name, rank, buffers)
        self._visits = 0
        self.used = time.monotonic()  # when a request came or went last
        self._promised = 0.0  # until when somebody is awaited who was told that it is here
        self._idle = asyncio.Event()
        self._idle.set()
        self.batcher.start()

    @property
    def busy(self) -> bool:
        """True while somebody visits."""
        return self._visits > 0

    @property
    def promised(self) -> bool:
        """True while somebody is on the way who was promised to find it."""
        return self._promised > time.monotonic()

    def promise(self, seconds: float) -> None:
        """Keep it for so long, or until somebody has come."""
        self._promised = time.monotonic() + seconds

    def touch(self) -> None:
        """Note that somebody has come."""
        self.used, self._promised = time.monotonic(), 0.0

    def enter(self) -> None:
        """Count a visit."""
        self.touch()
        self.hold()

    def hold(self) -> None:
        """Count somebody who may visit at any time."""
        self._visits += 1
        self._idle.clear()

    def leave(self) -> None:
        """End a visit."""
        self.used = time.monotonic()
        self._visits -= 1
        if not self._visits:
            self._idle.set()

    async def retire(self) -> None:
        """Wait until every visit has ended, then end the threads. Nobody may enter any more."""
        await self._idle.wait()
        await self.batcher.drain()


class LocalVisit:
    """A request that was let in to a version of this process; the promises are those of `door.Visit`."""

    def __init__(self, served: Served, preparation: Preparation, max_images: int) -> None:
        self._served = served
        self._preparation = preparation
        self._max_images = max_images
        self.facts: VersionFacts = served.facts
        self.succeeded = False

    async def submit(
        self,
        images: Sequence[bytes],
        priority: int = 0,
        timeout_s: float | None = None,
        caller: Caller = ANYBODY,
        loan: Loan | None = None,
        best: int = 0,
    ) -> tuple[Ranked, Answered]:
        """Take a seat for encoded images, decode them, run them in company. Cancelling it frees the seat."""
        if len(images) > self._max_images:
            raise too_many(len(images), self._max_images)
        pixels, model = self.facts.manifest.pixels, self.facts.name
        with self._served.batcher.reserve(
            len(images), timeout_s, priority, caller.most_urgent, best, caller.key
        ) as ticket:
            if quick := self._preparation.quick(images, pixels, self._served.kind, loan):
                ticket.submit(quick)
                answer = await ticket.answer()
                return with_times(self.facts, answer, answer.made_s)
            with self._preparation.start(ticket, images, pixels, model, caller.key, loan) as job:
                answer = await ticket.answer()
        return with_times(self.facts, answer, job.decode_s)

    async def submit_rows(
        self,
        rows: NDArray[Any],
        priority: int = 0,
        timeout_s: float | None = None,
        caller: Caller = ANYBODY,
        best: int = 0,
    ) -> tuple[Ranked, Answered]:
        """The same for rows of the model's input, (images, height, width, channels) of its own dtype."""
        if len(rows) > self._max_images:
            raise too_many(len(rows), self._max_images)
        with self._served.batcher.reserve(
            len(rows), timeout_s, priority, caller.most_urgent, best, caller.key
        ) as ticket:
            ticket.submit(rows)
            answer = await ticket.answer()
        return with_times(self.facts, answer, 0.0)

    def note(self, answered: Answered) -> None:
        """Tell everybody who counts of an answered request."""
        self.succeeded = True
        for observe in self._served.observers:
            observe(answered)


def with_times(facts: VersionFacts, answer: Answer, decode_s: float) -> tuple[Ranked, Answered]:
    """What a visit gives: the answers of a version, and what they took."""
    images = len(answer.rows)
    times = Answered(facts.name, facts.version, images, answer.batch_size, decode_s, answer.queue_s, answer.run_s)
    return answer.rows, times


def _observe(metrics: VersionMetrics, tally: Tally, images: int, seconds: float) -> None:
    metrics.observe_batch(images, seconds)
    tally.ran(images, seconds)
