"""`--fail-if 'p99>50'`: what must not be, and whether it is."""

import re
from dataclasses import dataclass

from service.load.figures import PERCENTILES, StepFigures
from service.load.plan import LoadError

_LATENCIES = (*PERCENTILES, "mean", "max")
NAMES = (*_LATENCIES, "errors", "error_share", "late", "throughput", "peak")


@dataclass(frozen=True, slots=True)
class Condition:
    """A name, a comparison, a bound. Latencies are in ms, throughput and peak in requests a second."""

    name: str
    above: bool
    bound: float

    def __str__(self) -> str:
        return f"{self.name}{'>' if self.above else '<'}{self.bound:g}"

    def broken_by(self, value: float) -> bool:
        """Is it as it must not be?"""
        return value > self.bound if self.above else value < self.bound


def read_condition(text: str) -> Condition:
    """Raises LoadError for anything that is no condition."""
    found = re.fullmatch(r"\s*([a-z0-9_.]+)\s*([<>])\s*([0-9.]+)\s*(?:ms)?\s*", text)
    if not found or found[1] not in NAMES or found[3].count(".") > 1 or found[3] == ".":
        raise LoadError(f"--fail-if {text!r} is not understood. Say it like 'p99>50'; names: {', '.join(NAMES)}.")
    return Condition(found[1], found[2] == ">", float(found[3]))


def broken(conditions: list[Condition], steps: list[StepFigures], peak: float | None) -> list[str]:
    """A line for every condition that holds of some step, or of the peak."""
    lines = []
    for condition in conditions:
        if condition.name == "peak":
            lines += [f"{condition}: the peak is {peak or 0:g} requests/s"] * condition.broken_by(peak or 0)
            continue
        for step in steps:
            value = _value(condition.name, step)
            if condition.broken_by(value):
                lines.append(f"{condition}: {value:g} at {step.pace}")
    return lines


def _value(name: str, step: StepFigures) -> float:
    if name in _LATENCIES:
        # Where nothing was answered there is no latency, and none is good enough.
        return step.latency_ms.get(name, float("inf"))
    return {
        "errors": float(step.failed),
        "error_share": step.failed / max(step.requests, 1),
        "late": float(step.late),
        "throughput": step.throughput,
    }[name]
