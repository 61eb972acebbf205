"""What a step says in figures. Percentiles are exact: each is the latency of some request."""

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.load.plan import ClosedPace, OpenPace, Pace
from service.load.samples import TIMEOUT, WITHOUT_STATUS, Samples
from service.load.target import Insight
from service.load.team import Outcome

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
LATE_MS = 1.0  # a request sent later than this after its moment was not sent at it
_BUSY, _LATE_SHARE = 0.85, 0.01
_MOST_MOMENTS = 120


@dataclass(frozen=True, slots=True)
class Moment:
    """A part of a step, in order of time. at_s: since its begin."""

    at_s: float
    answered: int
    failed: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class StepFigures:
    """One step. latency_ms: of those answered and those given up, from the moment they were meant to be sent.

    late: sent more than LATE_MS after their moment though a connection was free, so by this command's own fault;
    held: sent so late because every connection was busy.
    """

    pace: str
    rate: float | None
    callers: int | None
    seconds: float
    requests: int
    answered: int
    throughput: float
    latency_ms: dict[str, float]
    failures: dict[str, int]
    late: int
    held: int
    late_p99_ms: float
    cpu: tuple[float, ...]
    unfinished: int
    cut: bool
    faults: tuple[str, ...]
    moments: tuple[Moment, ...]
    histogram: tuple[tuple[float, int], ...]  # upper bound in ms, requests
    service: Insight | None

    @property
    def failed(self) -> int:
        """Requests without a good answer."""
        return sum(self.failures.values())

    @property
    def saturated(self) -> str | None:
        """Why these figures may be those of the sender, and not of the service."""
        if self.cpu and max(self.cpu) > _BUSY:
            return f"a sending process used {max(self.cpu):.0%} of a core: give it more with --processes"
        if self.requests and self.late > _LATE_SHARE * self.requests:
            return (
                f"{self.late / self.requests:.1%} of the requests were sent more than {LATE_MS:g} ms late by this "
                "command itself: other work takes its core, or it needs more --processes"
            )
        return None

    def document(self) -> dict[str, Any]:
        """All of it, as it is written to a file."""
        own = {name: getattr(self, name) for name in self.__slots__}
        return own | {"failed": self.failed, "saturated": self.saturated}


def measure(pace: Pace, outcome: Outcome, seen: Insight | None) -> StepFigures:
    """Of the requests that were meant to be sent between begin and end."""
    inside = (outcome.samples.intended >= outcome.begin) & (outcome.samples.intended < outcome.end)
    samples = outcome.samples.only(inside)
    seconds = max(outcome.end - outcome.begin, 1e-9)
    late = samples.late * 1000 > LATE_MS
    return StepFigures(
        pace=str(pace),
        rate=pace.rate if isinstance(pace, OpenPace) else None,
        callers=pace.callers if isinstance(pace, ClosedPace) else None,
        seconds=round(seconds, 3),
        requests=len(samples),
        answered=int(samples.answered.sum()),
        throughput=_throughput(outcome),
        latency_ms=latencies(samples),
        failures=failures(samples),
        late=int((late & ~samples.held).sum()),
        held=int((late & samples.held).sum()),
        late_p99_ms=_percentile(samples.late * 1000, 99.0) if len(samples) else 0.0,
        cpu=tuple(round(share, 3) for share in outcome.cpu),
        unfinished=outcome.unfinished,
        cut=outcome.cut,
        faults=outcome.faults[:10],
        moments=_moments(samples, outcome.begin, seconds),
        histogram=_histogram(samples),
        service=seen,
    )


def latencies(samples: Samples) -> dict[str, float]:
    """Milliseconds. Requests given up count with the time that they were waited for; refusals do not flatter."""
    found = _waited(samples)
    if not len(found):
        return {}
    named = {name: _percentile(found, share) for name, share in PERCENTILES.items()}
    return named | {"mean": float(found.mean()), "max": float(found.max())}


def failures(samples: Samples) -> dict[str, int]:
    """How many by kind: a status, or what kept it from having one."""
    kinds, counts = np.unique(samples.outcome[~samples.answered], return_counts=True)
    return {_named(int(kind)): int(count) for kind, count in zip(kinds, counts, strict=True)}


def _named(outcome: int) -> str:
    if outcome in WITHOUT_STATUS:
        return WITHOUT_STATUS[outcome]
    known = outcome in HTTPStatus._value2member_map_
    return f"{outcome} {HTTPStatus(outcome).phrase}" if known else str(outcome)


def _throughput(outcome: Outcome) -> float:
    """Good answers that came within the measured time, a second."""
    ended = outcome.samples.ended[outcome.samples.answered]
    inside = (ended >= outcome.begin) & (ended < outcome.end)
    return float(inside.sum() / max(outcome.end - outcome.begin, 1e-9))


def _waited(samples: Samples) -> NDArray[np.float64]:
    chosen: NDArray[np.float64] = samples.latency[samples.answered | (samples.outcome == TIMEOUT)]
    return chosen * 1000


def _percentile(values: NDArray[np.float64], share: float) -> float:
    """The least value that so many of a hundred do not exceed."""
    rank = math.ceil(round(share * len(values) / 100, 9))  # 999.0000000001 is meant as 999
    return float(np.partition(values, max(rank, 1) - 1)[max(rank, 1) - 1])


def _moments(samples: Samples, begin: float, seconds: float) -> tuple[Moment, ...]:
    """A second each, or longer ones where they would be too many."""
    width = max(1.0, seconds / _MOST_MOMENTS)
    number = ((samples.intended - begin) / width).astype(int)
    found = []
    for each in range(int(np.ceil(seconds / width))):
        part = samples.only(number == each)
        waited = _waited(part)
        p50, p99 = (_percentile(waited, share) if len(waited) else None for share in (50.0, 99.0))
        answered = int(part.answered.sum())
        found.append(Moment(round(each * width, 3), answered, len(part) - answered, p50, p99))
    return tuple(found)


def _histogram(samples: Samples) -> tuple[tuple[float, int], ...]:
    """Bounds a quarter of a power of two apart."""
    waited = _waited(samples)
    if not len(waited):
        return ()
    place = np.ceil(4 * np.log2(np.maximum(waited, 0.01))).astype(int)
    places, counts = np.unique(place, return_counts=True)
    return tuple((float(2 ** (each / 4)), int(count)) for each, count in zip(places, counts, strict=True))
