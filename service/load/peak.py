"""The highest rate that a service holds: so many requests a second with p99 within a bound and none failed.

Rates are tried upwards until one is too much, then halved between; the one found has to hold again, for longer.
"""

from collections.abc import Callable
from dataclasses import dataclass

from service.load.figures import StepFigures

_CLOSE = 0.04  # rates this near to each other are one
_UP, _DOWN = 1.25, 0.95
_BOLDER = 1.3  # each step up is so much greater than the last: a first rate may have been far too low
_MOST_STEPS = 16

Step = Callable[[float, bool], StepFigures]  # a rate, and whether it is a confirmation


@dataclass(frozen=True, slots=True)
class Peak:
    """rate: None, if none was found. why: what ended the search above it."""

    rate: float | None
    slo_p99_ms: float
    why: str
    confirmed: StepFigures | None
    tried: tuple[StepFigures, ...]


def find_peak(step: Step, first: float, slo_p99_ms: float) -> Peak:
    """Begin at one rate. What the sender cannot send is no fault of the service, and ends the search."""
    tried: list[StepFigures] = []
    low, high, why, rate, up = 0.0, float("inf"), "", first, _UP
    while high - low > _CLOSE * low and len(tried) < _MOST_STEPS:
        found = step(rate, False)
        tried.append(found)
        reason = too_much(found, slo_p99_ms)
        if reason is None:
            low = rate
        else:
            high, why = rate, f"at {rate:.4g} requests/s {reason}"
        if found.cut:
            return Peak(None, slo_p99_ms, "it was cut short", None, tuple(tried))
        rate, up = (low * up, up * _BOLDER) if high == float("inf") else ((low + high) / 2, up)
    return _confirm(step, low, slo_p99_ms, why, tried)


def _confirm(step: Step, rate: float, slo_p99_ms: float, why: str, tried: list[StepFigures]) -> Peak:
    for _ in range(_MOST_STEPS):
        if rate <= 0:
            break
        found = step(rate, True)
        tried.append(found)
        if found.cut:
            break
        reason = too_much(found, slo_p99_ms)
        if reason is None:
            return Peak(rate, slo_p99_ms, why, found, tuple(tried))
        rate, why = rate * _DOWN, f"at {rate:.4g} requests/s {reason}"
    return Peak(None, slo_p99_ms, why or "no rate held", None, tuple(tried))


def too_much(step: StepFigures, slo_p99_ms: float) -> str | None:
    """Why this rate is not held."""
    if step.failed:
        return f"{step.failed} requests failed ({', '.join(step.failures)})"
    if step.saturated:
        return step.saturated
    p99 = step.latency_ms.get("p99", float("inf"))
    return f"p99 was {p99:.3g} ms" if p99 > slo_p99_ms else None
