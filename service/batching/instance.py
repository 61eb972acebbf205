"""One instance: a thread that takes batches, runs them, and hands every ticket its answer.

Whatever a model call does, the thread goes on, or says that it ends. A call that fails is made again for each of its
tickets alone, once: one caller's image must not cost the others their answers. After several failures in a row the
instance must answer a sample before it takes anything more: so what a caller sent cannot take a model out of service,
and a device that gives nothing but errors does not swallow what another instance could answer.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from service.batching.health import CallLimits, Pulse
from service.batching.ticket import Allocate, Answer, Buffer, Making, Part, Rows, Taken, Ticket
from service.errors import DeviceLost, ModelFailed, ServiceError

log = logging.getLogger(__name__)
Run = Callable[[Rows], Rows]  # n rows in, n answers out; blocking; must not keep its argument
Observe = Callable[[int, float], None]  # images and seconds of one model call; called in the instance's thread
Finish = Callable[[Rows, int], Any]  # a call's answers, and the most `best` of its tickets; gives what can be sliced
Outcome = tuple[Ticket, Answer | ServiceError]
_NO_NUMBER = "the model gave an answer that is no number"


def as_they_are(answers: Rows, _: int) -> Rows:
    """The answers themselves."""
    return answers


class InstanceThread(threading.Thread):
    """The thread of one instance. A daemon: a call that never returns must not keep the process from ending."""

    def __init__(self, instance: "Instance", observe: Observe | None, name: str) -> None:
        super().__init__(target=instance.work, args=(observe,), name=name, daemon=True)


def calls_linger(seconds: float) -> bool:
    """True if a thread of an instance still runs after so many seconds, though every batcher was stopped.

    Then the process must not end by the interpreter's own way: the runtime aborts when its call comes back to an
    interpreter that is gone.
    """
    end = time.monotonic() + seconds
    threads = [thread for thread in threading.enumerate() if isinstance(thread, InstanceThread)]
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return any(thread.is_alive() for thread in threads)


class Source(Protocol):
    """Where the work comes from and the answers go: a batcher. Every method may be called from any thread."""

    def take(self) -> list[Taken]:
        """The next batch; empty only when there will be none any more."""

    def pause(self, seconds: float) -> bool:
        """Wait; False once there will be no work any more."""

    def ran(self, images: int, seconds: float, failed: bool, made_s: float = 0.0) -> None:
        """Count a model call. made_s: in which its rows were made before."""

    def settle(self, outcomes: list[Outcome]) -> None:
        """Give tickets what became of them."""

    def gone(self) -> None:
        """This instance takes nothing any more, though nobody stopped it."""


class _Answers(NamedTuple):
    """What a call gave: a row for each image, and which of them are numbers throughout."""

    rows: Rows
    finite: NDArray[np.bool_]


class Instance:
    """One thread's work. sample: a row that the model answers when it is sound. allocate: memory for its batches."""

    def __init__(
        self,
        name: str,
        run: Run,
        sample: Rows,
        source: Source,
        pulse: Pulse,
        limits: CallLimits,
        largest: int,
        finish: Finish = as_they_are,
        allocate: Allocate = np.empty,
    ) -> None:
        self._name = name
        self._finish = finish
        self._run = run
        self._sample = sample
        self._source = source
        self._pulse = pulse
        self._limits = limits
        self._buffer = Buffer(largest, allocate)
        self._failures = 0  # calls in a row
        self._seldom = _Seldom(limits.log_seconds)

    def work(self, observe: Observe | None) -> None:
        """Serve until the source ends. It ends earlier only with its device, or by a fault of ours."""
        try:
            while self._turn(observe):
                pass
        except DeviceLost as error:
            log.critical("%s: %s", self._name, error.message)
            self._end(error.message)
        except BaseException as error:  # the edge of the thread: it must not end in silence
            log.critical("%s: its thread ends", self._name, exc_info=True)
            self._end(f"its thread ended: {type(error).__name__}")

    def _turn(self, observe: Observe | None) -> bool:
        """One batch from beginning to end; nothing of it stays when this returns."""
        taken = self._source.take()
        if not taken:
            return False
        try:
            self._begin(taken, observe)
        except BaseException:  # a ticket that has its answer keeps it
            self._source.settle([(each.ticket, ModelFailed("the model call was given up")) for each in taken])
            raise
        return self._failures < self._limits.failures or self._recover()

    def _begin(self, taken: list[Taken], observe: Observe | None) -> None:
        """Make the batch and serve it; where there is no memory for it, each ticket by itself."""
        try:
            batch, rows = self._made(taken)
        except MemoryError as error:
            images = sum(len(each.content) for each in taken)
            outcome = self._failed(error, images)
            self._source.ran(images, 0.0, failed=True)
            if len(taken) > 1:
                for each in taken:
                    self._begin([each], observe)
                return
            if not isinstance(taken[0].content, np.ndarray):
                taken[0].content.forget()
            self._source.settle([(taken[0].ticket, outcome)])
            return
        if batch:
            self._serve(batch, rows, observe)

    def _made(self, taken: list[Taken]) -> tuple[list[Part], Rows]:
        """The batch, and its rows side by side. What is yet to be made is made; where that fails, or nobody waits for
        it any more, its ticket alone is left out."""
        first = taken[0].content
        try:
            array = self._buffer.array((first.shape[1:], first.dtype) if isinstance(first, np.ndarray) else first.kind)
        except MemoryError:
            if len(taken) == 1 and isinstance(first, np.ndarray):  # they have memory of their own: a slower one
                return [Part(taken[0].ticket, first)], first
            raise
        batch: list[Part] = []
        end = 0
        for ticket, content in taken:
            rows = array[end : end + len(content)]
            if isinstance(content, np.ndarray):
                rows[...] = content
                batch.append(Part(ticket, rows))
            elif (seconds := self._make(ticket, content, rows)) is not None:
                batch.append(Part(ticket, rows, seconds))
            else:
                continue
            end += len(rows)
        return batch, array[:end]

    def _make(self, ticket: Ticket, content: Making, rows: Rows) -> float | None:
        """Make a ticket's rows; the seconds that it took, or None where there are none."""
        if ticket.cancelled:
            content.forget()
            return None
        started = time.monotonic()
        try:
            content.make(rows)
        except ServiceError as error:
            self._source.settle([(ticket, error.with_traceback(None))])
            return None
        return time.monotonic() - started

    def _serve(self, batch: list[Part], rows: Rows, observe: Observe | None) -> None:
        started = time.monotonic()
        outcome = self._call(rows)
        ended = time.monotonic()
        failed = isinstance(outcome, ServiceError)
        images = len(rows)
        self._source.ran(images, ended - started, failed, sum(part.made_s for part in batch))
        self._tell(observe, images, ended - started)  # before the answers: who has one finds its call in every figure
        if not isinstance(outcome, ServiceError):
            self._source.settle(self._shares(batch, outcome, started, ended))
        elif isinstance(outcome, DeviceLost):
            self._source.settle([(part.ticket, DeviceLost(outcome.message)) for part in batch])
            raise outcome
        elif len(batch) == 1:
            self._source.settle([(batch[0].ticket, outcome)])
        if failed and len(batch) > 1:
            for part in reversed(batch):  # a call may write over what lies behind its rows
                if not part.ticket.cancelled:
                    self._serve([part], part.rows, observe)

    def _call(self, rows: Rows) -> _Answers | ServiceError:
        self._pulse.began = time.monotonic()
        try:
            answers = _checked(self._run(rows), len(rows))
        except Exception as error:  # a model may fail in any way; it is logged, and its callers are told
            return self._failed(error, len(rows))
        finally:
            self._pulse.began = None
        self._failures = 0
        return answers

    def _failed(self, error: Exception, images: int) -> ServiceError:
        self._failures += 1
        self._say("a model call of %d images failed", images, error=error)
        if isinstance(error, ServiceError):
            return error.with_traceback(None)  # or its frames would keep the rows as long as the answer lives
        return ModelFailed(f"the model call failed: {type(error).__name__}")

    def _shares(self, batch: list[Part], answers: _Answers, started: float, ended: float) -> list[Outcome]:
        """Cut a call's answers into those of its tickets, by the rows that went into it."""
        size = len(answers.rows)
        finished = self._finish(answers.rows, max(part.ticket.best for part in batch))
        if wrong := size - int(answers.finite.sum()):
            self._say("the model gave answers that are no numbers for %d of %d images", wrong, size)
        outcomes: list[Outcome] = []
        end = 0
        for ticket, rows, made_s in batch:
            begin, end = end, end + len(rows)
            if answers.finite[begin:end].all():
                queue_s = started - ticket.submitted - made_s
                share = Answer(finished[begin:end], queue_s, ended - started, size, made_s)
                outcomes.append((ticket, share))
            else:
                outcomes.append((ticket, ModelFailed(_NO_NUMBER)))
        return outcomes

    def _recover(self) -> bool:
        """Take nothing until the model answers its sample. False once there will be no work any more."""
        while isinstance(outcome := self._call(self._sample), ServiceError):
            if isinstance(outcome, DeviceLost):
                raise outcome
            self._pulse.trouble = f"its model calls fail: {outcome.message}"
            if not self._source.pause(self._limits.retry_seconds):
                return False
        self._pulse.trouble = ""
        return True

    def _tell(self, observe: Observe | None, images: int, seconds: float) -> None:
        if observe is None:
            return
        try:
            observe(images, seconds)
        except Exception as error:  # whoever looks on must not stop the work
            self._say("a model call of %d images could not be observed", images, error=error)

    def _say(self, message: str, *facts: object, error: Exception | None = None) -> None:
        """Log an error with its trace, unless there was a line a moment ago."""
        unsaid = self._seldom.due()
        if unsaid is not None:
            since = f" ({unsaid} more since the last line)" if unsaid else ""
            log.error(f"%s: {message}{since}", self._name, *facts, exc_info=error)

    def _end(self, trouble: str) -> None:
        self._pulse.trouble, self._pulse.lost = trouble, True
        self._source.gone()


class _Seldom:
    """Lets one through in so many seconds, and counts the others."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0
        self._unsaid = 0

    def due(self) -> int | None:
        """How many were kept back since the last one; None keeps this one back."""
        now = time.monotonic()
        if now < self._next:
            self._unsaid += 1
            return None
        unsaid, self._unsaid, self._next = self._unsaid, 0, now + self._seconds
        return unsaid


def _checked(answers: Rows, images: int) -> _Answers:
    """Raise ModelFailed for answers that are not one a row, or of which none is a number."""
    if len(answers) != images:
        raise ModelFailed(f"the model gave {len(answers)} answers for {images} images")
    finite = np.asarray(np.isfinite(answers).all(axis=tuple(range(1, answers.ndim))))
    if not finite.any():
        raise ModelFailed(_NO_NUMBER)
    return _Answers(answers, finite)
