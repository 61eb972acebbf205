"""A request's way to a model and back, the same for every protocol: let in, read, run, written, counted.

A protocol brings an `Asked`; where a caller closes the connection, the work for it ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from service.engine import ANYBODY, Caller, Engine, VersionFacts, Visit
from service.errors import NotLoaded, ServiceError
from service.http.buffers import Buffers, Share
from service.http.cycle import incoming_of
from service.http.errors import service_error
from service.ranking import Ranked
from service.telemetry import Answered, Metrics

NORM, PRECISION = "Harmonic-Norm", "Harmonic-Precision"
_CALLER = "harmonic.caller"  # in the ASGI scope
T = TypeVar("T")


class Cancelled(Exception):  # noqa: N818 - not an error of the service
    """The caller closed the connection."""


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as bytes."""

    body: bytes
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Asked(Protocol):
    """One request in the words of its protocol."""

    @property
    def model(self) -> str | None:
        """Which model; None for the default."""
        ...

    @property
    def version(self) -> int | None:
        """Which of its versions; None for the newest that is ready."""
        ...

    @property
    def timeout_s(self) -> float | None:
        """Longest wait for the answer, as far as the head says; None for the model's own deadline."""
        ...

    waited_s: float  # for the model to be loaded; it counts for the deadline

    async def read(self, request: Request, facts: VersionFacts, share: Share) -> None:
        """Read the body, counting its bytes in the share. Raises RequestError and its kind."""
        ...

    def submit(self, visit: Visit, caller: Caller, share: Share) -> Awaitable[tuple[Ranked, Answered]]:
        """Put what was read to the model."""
        ...

    def is_short(self, ranked: Ranked) -> bool:
        """True where the answer is written so quickly that no thread is needed for it."""
        ...

    def write(self, facts: VersionFacts, ranked: Ranked, answered: Callable[[], Answered]) -> Written:
        """The answer; `answered` gives the times as they are when it is called."""
        ...


Kind = Callable[[Request], Asked]  # a protocol's own; may raise RequestError and its kind


@dataclass(slots=True)
class _Labels:
    """What the metrics call a request: only names that exist, or callers could invent any number."""

    model: str = ""
    version: str = ""


class Answering:
    """Answers requests of every protocol."""

    def __init__(self, engine: Engine, buffers: Buffers, metrics: Metrics) -> None:
        self._engine = engine
        self._buffers = buffers
        self._metrics = metrics

    async def answer(self, request: Request, kind: Kind) -> Response:
        """The answer, or the error in its place; counted either way."""
        labels = _Labels()
        try:
            response = await self._answer(request, kind, labels)
        except ServiceError as error:
            response = service_error(request, error)
        except (ClientDisconnect, Cancelled):
            response = Response(status_code=499)  # nobody reads it
        except Exception:
            self._metrics.count(labels.model, labels.version, 500)
            raise
        self._metrics.count(labels.model, labels.version, response.status_code)
        return response

    async def _answer(self, request: Request, kind: Kind, labels: _Labels) -> Response:
        started = time.monotonic()
        asked = kind(request)
        while True:
            try:
                return await self._visit(request, asked, labels, started)
            except NotLoaded as missing:  # before anything was read
                left_s = left_of(asked.timeout_s or missing.deadline_s, time.monotonic() - started)
                await self._engine.have(missing.name, missing.version, left_s)
            asked.waited_s = time.monotonic() - started

    async def _visit(self, request: Request, asked: Asked, labels: _Labels, started: float) -> Response:
        with self._engine.visit(asked.model, asked.version) as visit, self._buffers.share() as share:
            facts = visit.facts
            labels.model, labels.version = facts.name, str(facts.version)
            await asked.read(request, facts, share)
            ranked, times = await unless_cancelled(request, asked.submit(visit, caller_of(request.scope), share))
            write = partial(asked.write, facts, ranked, partial(times.written, started))
            written = write() if asked.is_short(ranked) else await asyncio.to_thread(write)
            visit.note(times.written(started))
        return Response(written.body, headers=written.headers | _said(facts), media_type=written.media_type)


def left_of(timeout_s: float | None, waited_s: float) -> float | None:
    """What a wait leaves of a time limit; None of none."""
    return None if timeout_s is None else max(0.001, timeout_s - waited_s)


def patience(timeout_s: float | None, facts: VersionFacts, waited_s: float) -> float | None:
    """How long a request may take that has waited for its model: its own limit, or what is left of the model's."""
    return left_of(timeout_s or facts.policy.deadline_ms / 1000, waited_s) if waited_s else timeout_s


def _said(facts: VersionFacts) -> dict[str, str]:
    """What an answer says of how it came about, where that is not as with most."""
    said = {NORM: "adaptive"} if facts.adaptive else {}
    return said if facts.precision == "fp32" else {**said, PRECISION: facts.precision}


def introduce(scope: Scope, caller: Caller) -> None:
    """Say who asks, for those further in."""
    scope[_CALLER] = caller


def caller_of(scope: Scope) -> Caller:
    """Who asks; anybody, where no keys are wanted."""
    found: Caller = scope.get(_CALLER, ANYBODY)
    return found


async def unless_cancelled(request: Request, work: Awaitable[T]) -> T:
    """What the work gives, or Cancelled as soon as the caller is gone; the work is cancelled then.

    Only for a request whose body was read to its end.
    """
    task = asyncio.current_task()
    gone = False

    def interrupt() -> None:
        nonlocal gone
        gone = True
        if task is not None:
            task.cancel()

    incoming = incoming_of(request.scope)
    watch = None if incoming else asyncio.ensure_future(_watch(request, interrupt))
    if incoming:
        incoming.when_gone(interrupt)
    try:
        return await work
    except asyncio.CancelledError:
        if not gone or task is None or task.uncancel():
            raise  # somebody else cancels: the server, as it stops
        raise Cancelled from None
    finally:
        if incoming:
            incoming.when_gone(None)
        if watch:
            watch.cancel()


async def _watch(request: Request, interrupt: Callable[[], None]) -> None:
    """Where the server is not ours: wait until the caller is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    interrupt()


def version_in(request: Request, refusal: type[ServiceError]) -> int | None:
    """The version in the path; None if it names none. Raises `refusal` for what is no number."""
    text = request.path_params.get("version")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise refusal(f"{text[:40]!r} is no version; versions are whole numbers from 1")
    return int(text)
