"""A version in service, and the requests that visit it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.batching import Answer, Batcher, CallLimits
from service.decoding import Loan, Preparation
from service.engine.callers import ANYBODY, Caller
from service.engine.catalog import ReadyVersion
from service.errors import TooManyImages
from service.telemetry import Metrics, Tally, VersionMetrics, Work, current


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one request: logits (images, classes), and where its time went, in seconds."""

    logits: NDArray[np.float32]
    decode_s: float
    queue_s: float
    inference_s: float
    batch_size: int


class Served:
    """A ready version with its batcher, from its first visit to its last. On the loop only."""

    def __init__(self, entry: ReadyVersion, metrics: Metrics, limits: CallLimits) -> None:
        self.entry = entry
        self.tally = Tally()
        self.metrics = metrics.version(entry.name, entry.version)
        runs = [session.run for session in entry.sessions]
        observe = partial(_observe, self.metrics, self.tally)  # knows nothing of self: no cycle keeps a model in memory
        name = f"{entry.name}-{entry.version}"
        self.batcher = Batcher(runs, entry.sample, entry.policy, limits, observe, name)
        self._visits = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.batcher.start()

    def enter(self) -> None:
        """Count a visit."""
        self._visits += 1
        self._idle.clear()

    def leave(self) -> None:
        """End a visit."""
        self._visits -= 1
        if not self._visits:
            self._idle.set()

    async def retire(self) -> None:
        """Wait until every visit has ended, then end the threads. Nobody may enter any more."""
        await self._idle.wait()
        await self.batcher.drain()


class Visit:
    """A request that was let in: from here on it is answered, a shutdown included."""

    def __init__(self, served: Served, preparation: Preparation, max_images: int) -> None:
        self._served = served
        self._preparation = preparation
        self._max_images = max_images
        self._answered = 0.0
        self.entry = served.entry
        self.succeeded = False

    async def submit(
        self,
        images: Sequence[bytes],
        priority: int = 0,
        timeout_s: float | None = None,
        caller: Caller = ANYBODY,
        loan: Loan | None = None,
    ) -> Outcome:
        """Take a seat for encoded images, decode them, run them in company. Cancelling it frees the seat.

        priority: 1 is the most urgent, 0 the default, as far as the caller may claim it. timeout_s: where shorter than
        the policy's deadline. loan: what counts the images' bytes, until the last of them is let go.
        Raises TooManyImages, Overloaded, DecodeError, DeadlineExceeded, ModelFailed.
        """
        self._check_number(len(images))
        level = caller.level(priority, self.entry.policy)
        pixels, model = self.entry.manifest.pixels, self.entry.name
        with (
            self._served.batcher.reserve(len(images), timeout_s, level) as ticket,
            self._preparation.start(ticket, images, pixels, model, caller.key, loan) as job,
        ):
            answer = await ticket.answer()
        return self._outcome(answer, job.decode_s)

    async def submit_rows(
        self, rows: NDArray[Any], priority: int = 0, timeout_s: float | None = None, caller: Caller = ANYBODY
    ) -> Outcome:
        """The same for rows of the model's input, (images, height, width, channels) of its own dtype."""
        self._check_number(len(rows))
        level = caller.level(priority, self.entry.policy)
        with self._served.batcher.reserve(len(rows), timeout_s, level) as ticket:
            ticket.submit(rows)
            answer = await ticket.answer()
        return self._outcome(answer, 0.0)

    def note(self, outcome: Outcome, total_s: float) -> None:
        """Count an answered request, and tell the exchange it belongs to what was done for it."""
        self.succeeded = True
        output_s = time.monotonic() - self._answered
        self._served.metrics.observe_request(outcome.decode_s, outcome.queue_s, total_s)
        self._served.tally.succeeded(
            len(outcome.logits), outcome.decode_s, outcome.queue_s, outcome.inference_s, output_s, total_s
        )
        if exchange := current():
            exchange.work = Work(
                self.entry.name,
                self.entry.version,
                len(outcome.logits),
                outcome.batch_size,
                outcome.decode_s,
                outcome.queue_s,
                outcome.inference_s,
            )

    def _check_number(self, images: int) -> None:
        if images > self._max_images:
            raise TooManyImages(
                f"{images} images in one request; up to {self._max_images} are taken. Split the request."
            )

    def _outcome(self, answer: Answer, decode_s: float) -> Outcome:
        self._answered = time.monotonic()
        return Outcome(answer.rows, decode_s, answer.queue_s, answer.run_s, answer.batch_size)


def _observe(metrics: VersionMetrics, tally: Tally, images: int, seconds: float) -> None:
    metrics.observe_batch(images, seconds)
    tally.ran(images, seconds)
