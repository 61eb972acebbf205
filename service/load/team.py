"""Processes that send: each has an event loop of its own; their samples are put together here.

A process ends when its pipe does, so none outlives the command that started it.
"""

import asyncio
import gc
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self, cast

from service.load.plan import LoadError, LoadPlan
from service.load.samples import Recorder, Samples, merge
from service.load.senders import Fault, Sender, sender

_LEAD_S = 0.15  # from the word to the first request, so that all processes begin together
_TELL_S = 0.5  # between two reports of a process
_CUT_S = 1.0  # after Ctrl-C: how long answers may still come


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step as it went. begin, end: of what is measured. cpu: share of a core that each process used meanwhile."""

    samples: Samples
    begin: float
    end: float
    cpu: tuple[float, ...]
    faults: tuple[str, ...]  # what was wrong with answers
    unfinished: int  # on their way when it was cut short
    cut: bool


Watch = Callable[[Samples], None]  # is given what is new
_Step = tuple[LoadPlan, float]  # and the moment of its start


class Team:
    """Processes that wait for plans. fault: a function of a module, which finds what is wrong with an answer."""

    def __init__(self, processes: int, fault: Fault) -> None:
        self._fault, self._count = fault, processes
        self._pipes: list[Connection] = []
        self._members: list[Any] = []

    def __enter__(self) -> Self:
        fresh = multiprocessing.get_context("spawn")
        for number in range(self._count):
            mine, theirs = fresh.Pipe()
            member = fresh.Process(target=_work, args=(theirs, self._fault), daemon=True, name=f"load-{number}")
            member.start()
            theirs.close()
            self._pipes.append(mine)
            self._members.append(member)
        for pipe in self._pipes:
            _received(pipe)  # that it is there
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for pipe in self._pipes:
            pipe.close()
        for member in self._members:
            member.join(timeout=10)
            if member.is_alive():
                member.kill()

    def run(self, plan: LoadPlan, watch: Watch) -> Outcome:
        """Do one step. Ctrl-C ends it early; what is there is given all the same."""
        start = time.perf_counter() + _LEAD_S
        for number, pipe in enumerate(self._pipes):
            pipe.send((plan.share(number, self._count), start))
        cut = False
        found: dict[Connection, Outcome] = {}
        while len(found) < self._count:
            try:
                _collect([pipe for pipe in self._pipes if pipe not in found], found, watch)
            except KeyboardInterrupt:
                cut = True
                for pipe in self._pipes:
                    pipe.send(None)
        return _together(list(found.values()), cut=cut)


def _collect(pipes: list[Connection], found: dict[Connection, Outcome], watch: Watch) -> None:
    for pipe in cast("list[Connection]", wait(pipes)):
        said = _received(pipe)
        if isinstance(said, Outcome):
            found[pipe] = said
        else:
            watch(said)


def _received(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        raise LoadError("a process of the load has died; its own words stand above.") from None


def _together(parts: list[Outcome], *, cut: bool) -> Outcome:
    return Outcome(
        samples=merge([part.samples for part in parts]),
        begin=min(part.begin for part in parts),
        end=max(part.end for part in parts),
        cpu=tuple(part.cpu[0] for part in parts),
        faults=tuple(fault for part in parts for fault in part.faults),
        unfinished=sum(part.unfinished for part in parts),
        cut=cut,
    )


def _work(pipe: Connection, fault: Fault) -> None:
    """What a process does: one plan after the other, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who tells
    gc.disable()  # nothing here grows in circles, and a collection is a pause
    try:
        pipe.send(True)
        while True:
            said: _Step | None = pipe.recv()
            if said is not None:  # told to stop after it had stopped
                plan, start = said
                pipe.send(_on_a_loop(_step(plan, start, fault, pipe)))
                gc.collect()
    except (EOFError, BrokenPipeError):  # the parent has gone
        pass


def _on_a_loop(step: Coroutine[Any, Any, Outcome]) -> Outcome:
    if sys.platform == "win32":
        return asyncio.run(step)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(step)


async def _step(plan: LoadPlan, start: float, fault: Fault, pipe: Connection) -> Outcome:
    await asyncio.sleep(max(start - time.perf_counter(), 0))
    recorder = Recorder()
    at_work = sender(plan, recorder, fault, start + plan.warm_up_s)
    teller = _Teller(at_work, pipe)
    await at_work.run(teller.look)
    end = at_work.end if plan.seconds is not None and not teller.cut else time.perf_counter()
    return Outcome(
        recorder.samples(),
        at_work.begin,
        end,
        (teller.cpu_share(),),
        tuple(at_work.faults[:10]),
        at_work.unfinished,
        teller.cut,
    )


class _Teller:
    """Tells the parent what is new, hears whether to stop, and reads the CPU's clock."""

    def __init__(self, at_work: Sender, pipe: Connection) -> None:
        self._at_work, self._pipe = at_work, pipe
        self._told, self._told_at = 0, time.perf_counter()
        self._cut_at: float | None = None
        self._from: tuple[float, float] | None = None
        self._to: tuple[float, float] | None = None

    @property
    def cut(self) -> bool:
        return self._cut_at is not None

    def cpu_share(self) -> float:
        """Of one core, while it was measured."""
        if self._from is None or self._to is None or self._to[0] <= self._from[0]:
            return 0.0
        return (self._to[1] - self._from[1]) / (self._to[0] - self._from[0])

    def look(self) -> bool:
        now = time.perf_counter()
        if now >= self._at_work.begin and self._from is None:
            self._from = (now, time.process_time())
        if not self._at_work.over:
            self._to = (now, time.process_time())
        if now - self._told_at > _TELL_S:
            self._told_at = now
            self._pipe.send(self._at_work.recorder.samples(self._told))
            self._told = len(self._at_work.recorder)
        if self._pipe.poll():
            self._pipe.recv()  # there is only one word: stop
            self._at_work.stopped = True
            self._cut_at = self._cut_at or now
        return self._cut_at is not None and now - self._cut_at > _CUT_S
